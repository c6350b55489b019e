"""Calls that the kernel's own code in user space makes on a program's behalf: no code of the program shows them.

The vDSO falls back to the call where the clock is not readable from user mode, or nothing random is left (kernel,
``lib/vdso/gettimeofday.c`` and ``getrandom.c``; ``time`` and ``getcpu`` are answered always). Programs find it by name:
no name in the file, no way there. glibc's own files and Go's programs have the names, used or not, and beside each use
the call itself, so that what can be reached of them says more (``sysdep-vdso.h``; ``runtime/sys_linux_amd64.s``).

Older programs call fixed addresses instead, the vsyscall page (``arch/x86/entry/vsyscall/vsyscall_64.c``): the kernel
does the work, and seccomp sees the call.
"""

import re
from collections.abc import Iterator

from binsafe.formats.structure import matches
from binsafe.syscalls.decoding.code import Code

_NAME = re.compile(rb"__(?:vdso|kernel)_(clock_gettime|gettimeofday|clock_getres|getrandom)")
_PAGE = re.compile(rb"\x60\xff")
"""The upper half of the four bytes that code says of an address in the page at 0xffffffffff600000: to look for all four
takes ten times as long, since zeros are everywhere."""
_ENTRIES = {b"\x00\x00": "gettimeofday", b"\x00\x04": "time", b"\x00\x08": "getcpu"}


def calls(code: Code) -> Iterator[str]:
    """Names of the calls that a file's code can have made in this way; some may come twice."""
    yield from (match[1].decode() for match in matches(code.slice.data, _NAME))
    for part in code.ranges if code.slice.arch == "x86_64" else ():
        lower = (bytes(part.data[max(0, at - 2) : at]) for at in (match.start() for match in matches(part.data, _PAGE)))
        yield from (_ENTRIES[half] for half in lower if half in _ENTRIES)
