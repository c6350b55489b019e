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
_PAGE = 0xFFFFFFFF_FF600000
_ENTRIES = ("gettimeofday", "time", "getcpu")
_ENTRY_SIZE = 1024


def calls(code: Code) -> Iterator[str]:
    """Names of the calls that a file's code can have made in this way; some may come twice."""
    yield from (match[1].decode() for match in matches(code.slice.data, _NAME))
    for at, name in enumerate(_ENTRIES if code.slice.arch == "x86_64" else ()):
        low = (_PAGE + at * _ENTRY_SIZE & 0xFFFFFFFF).to_bytes(4, "little")
        if next(iter(code.find(low)), None) is not None:
            yield name
