"""What a refused call was about, in words, and the option that would grant it where one can."""

import errno
import mmap
import socket
from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

from binsafe.policy.constants import HEADERS
from binsafe.policy.walls import WALLS
from binsafe.sandbox.linux.lookups import PATH_CALLS, resolve
from binsafe.sandbox.linux.notifications import Call, Listener
from binsafe.sandbox.linux.sockets import Refused, parse_address

_INT = 0xFFFF_FFFF


class Description(NamedTuple):
    """``operation`` is the word of the violation record; ``grant`` is None where no option can grant it."""

    operation: str
    object: str
    grant: str | None


def describe(listener: Listener, call: Call, name: str) -> Description:
    """Name a call's object; never fails, because what cannot be read is said to be so."""
    try:
        if name in _BY_NAME:
            return _BY_NAME[name](listener, call)
        if name in PATH_CALLS:
            return _path(listener, call, name)
    except Refused as refused:
        return Description(name, refused.object, None)
    except OSError:
        return Description(name, "an argument that points nowhere", None)
    arguments = " ".join(f"{argument:#x}" for argument in call.arguments)
    return Description("syscall", arguments, _baseline(name))


def _baseline(name: str) -> str | None:
    """A call that is merely outside the cap can be had by another cap; a wall cannot."""
    return None if name in WALLS or name.isdigit() else f"--baseline FILE, with {name} among its calls"


def _path(listener: Listener, call: Call, name: str) -> Description:
    kind = PATH_CALLS[name]
    text = listener.read_text(call, call.arguments[kind.path])
    path = resolve(call, text, kind.folder) or text
    option = "--write" if kind.writes else "--read"
    return Description("write" if kind.writes else "read", path, f"{option} {path}")


def _connect(listener: Listener, call: Call) -> Description:
    raw = listener.read(call, call.arguments[1], min(call.arguments[2] & _INT, 128))
    address = parse_address(raw)
    return Description("connect", str(address), f"--connect {address}")


def _bind(listener: Listener, call: Call) -> Description:
    raw = listener.read(call, call.arguments[1], min(call.arguments[2] & _INT, 128))
    address = parse_address(raw)
    return Description("bind", str(address), f"--ports :{address.port}")


def _sendto(listener: Listener, call: Call) -> Description:
    if call.arguments[4] == 0:
        return Description("send", f"flags {call.arguments[3]:#x}", None)
    address = parse_address(listener.read(call, call.arguments[4], min(call.arguments[5] & _INT, 128)))
    return Description("send", str(address), f"--connect {address}")


def _execute(argument: int) -> Callable[[Listener, Call], Description]:
    def describe_path(listener: Listener, call: Call) -> Description:
        text = listener.read_text(call, call.arguments[argument])
        path = resolve(call, text, 0 if argument else None) or text or "a file by its descriptor"
        return Description("execute", path, f"--exec {path}" if path.startswith("/") else None)

    return describe_path


def _socket(listener: Listener, call: Call) -> Description:
    del listener
    family, kind, protocol = (argument & _INT for argument in call.arguments[:3])
    base = kind & ~(socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
    words = [
        next((each.name for each in socket.AddressFamily if each.value == family), f"family {family}"),
        next((each.name for each in socket.SocketKind if each.value == base), f"type {base}"),
        *([f"protocol {protocol}"] if protocol else []),
    ]
    plain = family in (socket.AF_INET, socket.AF_INET6) and base == socket.SOCK_STREAM and protocol in (0, 6)
    return Description("socket", " ".join(words), "--baseline network_server" if plain else None)


def _numbered(operation: str, *parts: tuple[int, Mapping[int, str]]) -> Callable[[Listener, Call], Description]:
    """Objects that are numbers with a meaning: commands, options."""

    def describe_numbers(listener: Listener, call: Call) -> Description:
        del listener
        words = [names.get(call.arguments[index] & _INT, str(call.arguments[index] & _INT)) for index, names in parts]
        return Description(operation, " ".join(words), _baseline(operation))

    return describe_numbers


def _memory(listener: Listener, call: Call) -> Description:
    del listener
    protection = call.arguments[2]
    what = "memory that can be written and executed" if protection & mmap.PROT_WRITE else "memory that can be executed"
    return Description("memory", what, None)


def _process(listener: Listener, call: Call) -> Description:
    del listener, call
    return Description("process", "another process", "--exec PATH, for a program that it starts")


def _signal(listener: Listener, call: Call) -> Description:
    del listener
    target, number = call.arguments[0], call.arguments[1]
    return Description("signal", f"process {target if target < 1 << 31 else target - (1 << 64)} signal {number}", None)


def _names(*headers: str) -> Mapping[int, str]:
    return {value: name for header in headers for name, value in HEADERS.get(header, {}).items()}


_LEVELS: Final = {1: "SOL_SOCKET", 0: "IPPROTO_IP", 6: "IPPROTO_TCP", 41: "IPPROTO_IPV6"}

_BY_NAME: Final[Mapping[str, Callable[[Listener, Call], Description]]] = {
    "connect": _connect,
    "bind": _bind,
    "sendto": _sendto,
    "execve": _execute(0),
    "execveat": _execute(1),
    "socket": _socket,
    "socketpair": _socket,
    "setsockopt": _numbered("setsockopt", (1, _LEVELS), (2, {})),
    "getsockopt": _numbered("getsockopt", (1, _LEVELS), (2, {})),
    "ioctl": _numbered("ioctl", (1, _names("asm-generic/ioctls.h"))),
    "fcntl": _numbered("fcntl", (1, _names("asm-generic/fcntl.h"))),
    "prctl": _numbered("prctl", (0, _names("linux/prctl.h"))),
    "mmap": _memory,
    "mprotect": _memory,
    "pkey_mprotect": _memory,
    "clone": _process,
    "fork": _process,
    "vfork": _process,
    "kill": _signal,
    "tkill": _signal,
}


def error_name(number: int) -> str:
    """EPERM for 1, and so on; "0" where the kernel went on."""
    return errno.errorcode.get(number, str(number))
