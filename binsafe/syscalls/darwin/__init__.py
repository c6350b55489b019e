"""Mach-O -> the calls behind what it imports, and those that it makes itself.

tables          numbers of calls, and the calls behind libSystem's functions
direct          a program's own ``syscall`` and ``svc`` instructions
analysing       both -> Syscalls
"""
