"""Other processes' memory, descriptors and files, where we may trace them."""

from __future__ import annotations

import ctypes
import errno
import os
import struct

from binsafe.kernel.calls import check, libc, syscall

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

_EPOLL_CTL_ADD: Final = 1
_SYS_PIDFD_GETFD: Final = 438
_SYS_OPENAT2: Final = 437
_AS_IN_ROOT: Final = 0x10 | 0x02
"""RESOLVE_IN_ROOT, RESOLVE_NO_MAGICLINKS (linux/openat2.h)"""


def write_memory(pid: int, address: int, content: bytes) -> None:
    """Write to another process's memory as it may itself (process_vm_writev(2)); never a part."""
    own = ctypes.create_string_buffer(content, len(content))
    size = len(content)
    ours, theirs = (struct.pack("=QQ", where, size) for where in (ctypes.addressof(own), address))
    one, flags = ctypes.c_ulong(1), ctypes.c_ulong(0)
    if check(libc.process_vm_writev(ctypes.c_int(pid), ours, one, theirs, one, flags), "process_vm_writev") != size:
        raise OSError(14, os.strerror(14), "process_vm_writev")


def pidfd_getfd(pidfd: int, descriptor: int) -> int:
    """A duplicate of another process's descriptor; needs the right to trace it."""
    return syscall(_SYS_PIDFD_GETFD, "pidfd_getfd", ctypes.c_int(pidfd), ctypes.c_int(descriptor), ctypes.c_uint(0))


def is_there(pid: int, path: str) -> bool:
    """Whether a process would find something at an absolute path; links lead where they lead that process."""
    root = os.open(f"/proc/{pid}/root", os.O_PATH | os.O_CLOEXEC)
    try:
        how = struct.pack("=QQQ", os.O_PATH | os.O_CLOEXEC, 0, _AS_IN_ROOT)
        where = (ctypes.c_int(root), os.fsencode(path), how, ctypes.c_size_t(len(how)))
        os.close(syscall(_SYS_OPENAT2, "openat2", *where))
    except OSError as error:
        return error.errno not in (errno.ENOENT, errno.ENOTDIR)
    finally:
        os.close(root)
    return True


def epoll_add(epoll: int, descriptor: int, events: int, data: int) -> None:
    """epoll_ctl(EPOLL_CTL_ADD) with data of the caller's choice, which Python's own does not offer."""
    packing = "=IQ" if os.uname().machine == "x86_64" else "=I4xQ"  # packed on x86-64 alone (linux/eventpoll.h)
    event = struct.pack(packing, events, data)
    result = libc.epoll_ctl(ctypes.c_int(epoll), ctypes.c_int(_EPOLL_CTL_ADD), ctypes.c_int(descriptor), event)
    check(result, "epoll_ctl")
