"""What a program asks for by name and has already: its own file, mappings, open files. It has no /proc to find them in.

Nothing is given that it could not have: a duplicate of its own descriptor, what its own memory is made of, the file
that it was started from. All of it is the calling thread's, taken while that thread still waits.
"""

import errno
import os
import re
import socket
import struct
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from binsafe import kernel
from binsafe.sandbox.linux.layout import ITSELF
from binsafe.sandbox.linux.neighbours import own_numbers
from binsafe.sandbox.linux.notifications import MAX_READ, Call, Listener
from binsafe.sandbox.linux.pathcalls import WRITING, PathCall
from binsafe.sandbox.linux.sockets import open_thread

if TYPE_CHECKING:
    from binsafe.sandbox.pseudoterminal import PseudoTerminal

_READ: Final = {ITSELF: "exe", "/proc/self/maps": "maps", "/proc/self/cmdline": "cmdline"}
"""What of /proc/self is given to be read. By its own file a program finds what lies beside it and what is appended to
it, and by its arguments GNUstep's begin (unar). By its mappings glibc's pthread_getattr_np(3) knows how far the first
thread's stack goes: collectors of garbage scan it, and end the program where they cannot (libgc, JavaScriptCore)."""

_ANY_NAME: Final = re.compile(r"/proc/(?:self/task/\d+|thread-self|(\d{1,7})(?:/task/\d+)?)/")
"""/proc/self by its other names; of a number it must be seen whose it is."""

_STREAMS: Final = {
    "/dev/stdin": 0,
    "/dev/stdout": 1,
    "/dev/stderr": 2,
    **{f"/proc/self/fd/{number}": number for number in range(3)},
}
"""Other numbers under /proc are asked for by who wants the file opened anew, with other rights."""
_NUMBERED: Final = re.compile(r"/dev/fd/(\d{1,7})")
"""bash's <(...)."""

_KIND: Final = 0xF
"""The other bits of a socket's type are flags (linux/net.h)."""

_OF_TERMINALS: Final = os.O_ACCMODE | os.O_NONBLOCK
"""What of open(2)'s flags means something for one."""

Give = Callable[[Listener, Call], None]
"""Answers a call."""


def as_self(call: Call, path: str) -> str:
    """The path with /proc/self for what is the calling process's own by another name."""
    match = _ANY_NAME.match(path)
    if match is None or (match[1] and int(match[1]) not in own_numbers(call.pid)):
        return path
    return f"/proc/self/{path[match.end() :]}"


def find(
    call: Call, kind: PathCall, path: str, *, called: str = "", terminal: "PseudoTerminal | None" = None
) -> Give | None:
    """What answers the call with the file of that name (`as_self`), if it is one of these.

    ``called`` is what a program is told that its own file is called, where that has no name; ``terminal`` its own.
    """
    if path == called:
        path = ITSELF
    if kind.buffer is not None:
        where, size = call.arguments[kind.buffer :][:2]
        return (lambda listener, call: _tell_file(listener, call, where, size, called)) if path == ITSELF else None
    if kind.flags is None:
        return None
    flags = call.arguments[kind.flags]
    close_on_exec = bool(flags & os.O_CLOEXEC)
    if path in _READ and not flags & WRITING:
        return lambda listener, call: _give_file(listener, call, _READ[path], close_on_exec)
    if path == "/dev/tty" and terminal is not None:
        return lambda listener, call: _give(listener, call, terminal.opened(flags & _OF_TERMINALS), close_on_exec)
    match = _NUMBERED.fullmatch(path)
    number = int(match[1]) if match else _STREAMS.get(path)
    return None if number is None else lambda listener, call: _give_own(listener, call, number, close_on_exec)


def as_messages(arguments: tuple[int, ...]) -> tuple[int, ...] | None:
    """The arguments of a socketpair(2) for datagrams with the other kind that keeps messages apart; else None."""
    family, kind, *rest = arguments
    if family != socket.AF_UNIX or kind & _KIND != socket.SOCK_DGRAM:
        return None
    return family, kind ^ socket.SOCK_DGRAM ^ socket.SOCK_SEQPACKET, *rest


def give_pair(listener: Listener, call: Call) -> None:
    """Two sockets that are connected with each other, by messages, in place of a pair that takes datagrams (socat).

    One of those would send to any unix socket that the program can name, by an address that lies in memory. Of these
    neither can; what differs otherwise is that one notices when the other is closed.
    """
    kind = call.arguments[1]
    pair = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with pair[0], pair[1]:
        for end in pair:
            os.set_blocking(end.fileno(), not kind & socket.SOCK_NONBLOCK)
        close_on_exec = bool(kind & socket.SOCK_CLOEXEC)
        numbers = [listener.add_descriptor(call, end.fileno(), close_on_exec=close_on_exec) for end in pair]
    listener.write(call, call.arguments[3], struct.pack("=2i", *numbers))
    listener.finish(call)


def _tell_file(listener: Listener, call: Call, where: int, size: int, called: str) -> None:
    """What readlink(2) says of the file that the caller was started from: its path inside."""
    size &= 0xFFFF_FFFF  # an int
    if not 0 < size < 1 << 31:
        raise OSError(errno.EINVAL, "no size")
    text = os.fsencode(called or os.readlink(f"/proc/{call.pid}/exe"))[: min(size, MAX_READ)]
    listener.write(call, where, text)
    listener.finish(call, value=len(text))


def _give_file(listener: Listener, call: Call, name: str, close_on_exec: bool) -> None:
    _give(listener, call, os.open(f"/proc/{call.pid}/{name}", os.O_RDONLY | os.O_CLOEXEC), close_on_exec)


def _give_own(listener: Listener, call: Call, number: int, close_on_exec: bool) -> None:
    """Servers log to /dev/stderr. As dup(2) does, where the kernel's own link would open a file once more."""
    pidfd = open_thread(call.pid)
    try:
        listener.check(call)
        descriptor = kernel.pidfd_getfd(pidfd, number)
    finally:
        os.close(pidfd)
    _give(listener, call, descriptor, close_on_exec)


def _give(listener: Listener, call: Call, descriptor: int, close_on_exec: bool) -> None:
    try:
        listener.check(call)
        listener.give_descriptor(call, descriptor, close_on_exec=close_on_exec)
    finally:
        os.close(descriptor)
