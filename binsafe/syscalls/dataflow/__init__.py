"""Places where the program enters the kernel -> the numbers and arguments that they can be given.

sites           byte scan for the system-call instruction, confirmed by aligned decoding
backward        one step back: where what a register or stack slot holds came from
returns         which functions never return: nothing comes from behind a call of them
wrappers        the number, by a backward walk that leaves functions through their callers
relayed         the number, where it is handed on in an object together with the function that reads it
arguments       the same for arguments, of those calls and functions that ``decisive`` lists
"""
