"""Seccomp user notifications: reading a call that waits, looking at its arguments, answering it.

Layouts and request numbers are those of ``linux/seccomp.h``; the order of the steps is that of ``seccomp_unotify(2)``:
open what belongs to the caller, ask the kernel whether the call still waits, and only then trust what was read.
"""

import contextlib
import errno
import fcntl
import os
import select
import struct
from typing import Final, NamedTuple

from binsafe import kernel

_RECV: Final = 0xC050_2100
_SEND: Final = 0xC018_2101
_ID_VALID: Final = 0x4008_2102
_ADDFD: Final = 0x4018_2103
_USER_NOTIF_FLAG_CONTINUE: Final = 1
_ADDFD_FLAG_SETFD: Final = 1
_ADDFD_FLAG_SEND: Final = 2

_NOTIF = struct.Struct("=QIIiIQ6Q")
_RESPONSE = struct.Struct("=QqiI")
_ADDFD_REQUEST = struct.Struct("=QIIII")

MAX_READ: Final = 4096
"""Most bytes that are ever read of an argument (a path); a socket address is at most 128."""


class Gone(Exception):
    """The call does not wait any more."""


class Call(NamedTuple):
    """A system call that waits for an answer. ``pid`` is the calling thread's id on the host."""

    id: int
    pid: int
    number: int
    arch: int
    arguments: tuple[int, ...]


class Listener:
    """The descriptor of a filter's notifications."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor

    def receive(self) -> Call | None:
        """The next waiting call; None when its caller has gone in the meantime."""
        buffer = bytearray(_NOTIF.size)
        try:
            fcntl.ioctl(self.descriptor, _RECV, buffer)
        except OSError as error:
            if error.errno in (errno.ENOENT, errno.EINTR):
                return None
            raise
        identity, pid, _flags, number, arch, _pointer, *arguments = _NOTIF.unpack(buffer)
        return Call(identity, pid, number, arch, tuple(arguments))

    def check(self, call: Call) -> None:
        """Raise :class:`Gone` unless the call still waits, so that ``call.pid`` is still the caller's."""
        self._ask(_ID_VALID, struct.pack("=Q", call.id))

    def finish(self, call: Call, error: int = 0, value: int = 0) -> None:
        """Answer: success with ``value``, or failure with ``error``, without the kernel doing anything."""
        self._ask(_SEND, _RESPONSE.pack(call.id, value, -error, 0))

    def proceed(self, call: Call) -> None:
        """Let the kernel do the call. Never for a decision: the caller could change the arguments meanwhile."""
        self._ask(_SEND, _RESPONSE.pack(call.id, 0, 0, _USER_NOTIF_FLAG_CONTINUE))

    def replace_descriptor(self, call: Call, target: int, source: int, *, close_on_exec: bool) -> None:
        """Put our descriptor ``source`` in place of the caller's descriptor ``target`` (Linux 5.9).

        Not with the flag that answers in the same step (``SECCOMP_ADDFD_FLAG_SEND``): it makes the call return the
        descriptor's number, and a program may rightly expect bind() to return 0.
        """
        flags = os.O_CLOEXEC if close_on_exec else 0
        self._ask(_ADDFD, _ADDFD_REQUEST.pack(call.id, _ADDFD_FLAG_SETFD, source, target, flags))

    def give_descriptor(self, call: Call, source: int, *, close_on_exec: bool) -> None:
        """Answer with a new descriptor of the caller's for our ``source``, as open(2) does (Linux 5.14)."""
        flags = os.O_CLOEXEC if close_on_exec else 0
        self._ask(_ADDFD, _ADDFD_REQUEST.pack(call.id, _ADDFD_FLAG_SEND, source, 0, flags))

    def add_descriptor(self, call: Call, source: int, *, close_on_exec: bool) -> int:
        """Give the caller our descriptor ``source``; its number there. The call still waits for its answer."""
        flags = os.O_CLOEXEC if close_on_exec else 0
        return self._ask(_ADDFD, _ADDFD_REQUEST.pack(call.id, 0, source, 0, flags))

    def read(self, call: Call, address: int, size: int) -> bytes:
        """Up to ``size`` bytes of the caller's memory; raises OSError (EFAULT) where nothing is mapped."""
        descriptor = os.open(f"/proc/{call.pid}/mem", os.O_RDONLY | os.O_CLOEXEC)
        try:
            self.check(call)
            return os.pread(descriptor, min(size, MAX_READ), address)
        except (OverflowError, OSError) as error:
            raise OSError(errno.EFAULT, "the argument points nowhere") from error
        finally:
            os.close(descriptor)

    def write(self, call: Call, address: int, content: bytes) -> None:
        """Put an answer into memory that the caller may write itself; raises OSError (EFAULT) where it may not."""
        self.check(call)
        try:
            kernel.write_memory(call.pid, address, content)
        except OSError as error:
            raise OSError(errno.EFAULT, "the argument points nowhere") from error

    def read_text(self, call: Call, address: int) -> str:
        """A NUL-terminated string of the caller's, which may go on in a second page; longer ones are cut.

        Bytes that are no UTF-8 come as in all paths of Python's: as lone surrogates (PEP 383).
        """
        room = MAX_READ - address % MAX_READ
        text = self.read(call, address, room)
        if b"\0" not in text and len(text) == room:
            with contextlib.suppress(OSError):  # it may be the last page, too: then this is all there is
                text += self.read(call, address + room, MAX_READ - room)
        return os.fsdecode(text.split(b"\0", 1)[0])

    def _ask(self, request: int, payload: bytes) -> int:
        try:
            result: int = fcntl.ioctl(self.descriptor, request, bytearray(payload))  # of bytes it would return those
        except OSError as error:
            if error.errno == errno.ENOENT:
                raise Gone from error
            raise
        return result


def readable(descriptor: int) -> bool:
    """Whether there is something to read now, the end included."""
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    return bool(poll.poll(0))
