"""Places where the program enters the kernel -> the numbers and arguments that they can be given.

sites           byte scan for the system-call instruction, confirmed by bytes or aligned decoding
backward        one step back: where what a register or stack slot holds came from
callees         which functions return twice, or write to their caller's frame: what lies there is not known then
wrappers        the number, by a backward walk that leaves functions through their callers
relayed         the number, where it is handed on in an object together with the function that reads it (musl)
broadcast       the number, where it is read from an object on a caller's stack, by other threads as well (glibc)
arguments       the same for arguments, of those calls and functions that ``decisive`` lists
"""
