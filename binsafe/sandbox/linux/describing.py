"""What a refused call was about, in words, and the option that would grant it where one can."""

import errno
import mmap
import socket
import stat
from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

from binsafe import kernel
from binsafe.model.violation import UNGRANTABLE
from binsafe.policy.constants import HEADERS
from binsafe.policy.walls import WALLS
from binsafe.sandbox.linux.limiting import limit_name
from binsafe.sandbox.linux.lookups import resolve
from binsafe.sandbox.linux.notifications import Call, Listener
from binsafe.sandbox.linux.pathcalls import PATH_CALLS
from binsafe.sandbox.linux.sockets import ONLY_TCP, Address, Refused, parse_address

_INT = 0xFFFF_FFFF
_MODE: Final = 0o7777
_RUNS_AS_OWNER: Final = stat.S_ISUID | stat.S_ISGID
_MADE_BY_MKNOD: Final = frozenset({0, stat.S_IFREG, stat.S_IFIFO})
"""The kinds of mknod(2) that baselines may grant; 0 means a file."""

NO_UDP: Final = f"{ONLY_TCP}; --connect HOST:PORT brings the addresses of a name with it"
A_SOCKET: Final = "--connect HOST:PORT, or --ports :PORT to serve"
FASTOPEN: Final = f"{UNGRANTABLE}MSG_FASTOPEN connects without connect"
NO_NODES: Final = f"{UNGRANTABLE}files, folders, links and pipes are all that is ever made"
NOT_AS_OWNER: Final = f"{UNGRANTABLE}nothing that is left behind may run as its owner, whoever starts it"
ONLY_INSIDE: Final = f"{UNGRANTABLE}a program reaches the processes inside with it and no others"
LINES: Final = f"{UNGRANTABLE}its terminal keeps its mode unless both input and output of binsafe run are one"
_MODES: Final = {
    0x5402: "TCSETS",
    0x5403: "TCSETSW",
    0x5404: "TCSETSF",
    0x402C_542B: "TCSETS2",
    0x402C_542C: "TCSETSW2",
    0x402C_542D: "TCSETSF2",
}
"""tcsetattr(3) (asm-generic/ioctls.h): a full-screen program wants each key, and none of them shown."""
BY_DESCRIPTOR: Final = "a file by its descriptor"
NAMELESS: Final = "a file without a name"
NO_NAME: Final = f"{UNGRANTABLE}a file has to be named to be granted"
_TCP_ONLY: Final = frozenset({"connect", "bind", "socket"})
"""What is asked of these with anything but an internet address."""


class Description(NamedTuple):
    """``operation`` is the word of the violation record; ``grant`` is an option, or why none can grant it."""

    operation: str
    object: str
    grant: str


def describe(listener: Listener, call: Call, name: str) -> Description:
    """Name a call's object; never fails, because what cannot be read is said to be so."""
    try:
        if name in _BY_NAME:
            return _BY_NAME[name](listener, call)
        if name in PATH_CALLS:
            return _path(listener, call, name)
    except Refused as refused:
        return Description(name, refused.object, refused.grant or grant_for(name))
    except OSError:
        return Description(name, "an argument that points nowhere", grant_for(name))
    return Description("syscall", name, grant_for(name))


def grant_for(name: str) -> str:
    """A call that is merely outside the cap can be had by another cap; a wall cannot."""
    if name in _TCP_ONLY:
        return ONLY_TCP
    if name in WALLS:
        return f"{UNGRANTABLE}it {WALLS[name]}"
    if name.isdigit():
        return f"{UNGRANTABLE}this processor's kernel has no call of that number"
    return f"--baseline FILE, with {name} among its calls"


def to_connect(address: Address) -> str:
    """The option that grants a connection."""
    return f"--connect {address}" if address.port else f"{UNGRANTABLE}nobody is reached at port 0"


def by_path(option: str, path: str) -> str:
    """The option that grants a path, where that is known from the root on."""
    return f"{option} {path}" if path.startswith("/") else NO_NAME


def _path(listener: Listener, call: Call, name: str) -> Description:
    kind = PATH_CALLS[name]
    text = listener.read_text(call, call.arguments[kind.path])
    path = resolve(call, text, kind.folder) or text
    mode = 0 if kind.mode is None else call.arguments[kind.mode]
    if mode & _RUNS_AS_OWNER:
        return Description("write", f"{path} with mode {mode & _MODE:o}", NOT_AS_OWNER)
    if name in ("mknod", "mknodat") and stat.S_IFMT(mode) not in _MADE_BY_MKNOD:
        return Description("write", f"a device or a socket, {path}", NO_NODES)
    if name == "renameat2" and call.arguments[4] & HEADERS["linux/fs.h"]["RENAME_WHITEOUT"]:
        return Description("write", f"a device at the old place of {path}", grant_for(name))
    operation = "write" if kind.writes else "read"
    return Description(operation, path, by_path(f"--{operation}", path))


def _open_file(listener: Listener, call: Call) -> Description:
    """The file whose descriptor fchmod(2) was given."""
    del listener
    what = f"descriptor {call.arguments[0] & _INT} with mode {call.arguments[1] & _MODE:o}"
    special = call.arguments[1] & _RUNS_AS_OWNER
    return Description("write", what, NOT_AS_OWNER if special else grant_for("fchmod"))


def _connect(listener: Listener, call: Call) -> Description:
    raw = listener.read(call, call.arguments[1], min(call.arguments[2] & _INT, 128))
    address = parse_address(raw)
    return Description("connect", str(address), to_connect(address))


def _sendto(listener: Listener, call: Call) -> Description:
    if call.arguments[4] == 0:
        return Description("send", f"flags {call.arguments[3]:#x}", FASTOPEN)
    address = parse_address(listener.read(call, call.arguments[4], min(call.arguments[5] & _INT, 128)))
    return Description("send", str(address), to_connect(address))


def _message(name: str, place: int) -> Callable[[Listener, Call], Description]:
    """What a message was denied for, where that was not the call itself; ``place`` is the argument with its flags."""

    def describe_message(listener: Listener, call: Call) -> Description:
        del listener
        if call.arguments[place] & socket.MSG_FASTOPEN:
            return Description("send", f"flags {call.arguments[place]:#x}", FASTOPEN)
        return Description("syscall", name, grant_for(name))

    return describe_message


def _execute(listener: Listener, call: Call) -> Description:
    text = listener.read_text(call, call.arguments[1])
    path = resolve(call, text, 0) or text or BY_DESCRIPTOR
    return Description("execute", path, by_path("--exec", path))


def _socket(listener: Listener, call: Call) -> Description:
    del listener
    family, kind, protocol = (argument & _INT for argument in call.arguments[:3])
    base = kind & ~(socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
    words = [
        next((each.name for each in socket.AddressFamily if each.value == family), f"family {family}"),
        next((each.name for each in socket.SocketKind if each.value == base), f"type {base}"),
        *([f"protocol {protocol}"] if protocol else []),
    ]
    grant = ONLY_TCP
    if family in (socket.AF_INET, socket.AF_INET6):
        if base == socket.SOCK_STREAM and protocol in (0, 6):
            grant = A_SOCKET
        elif base == socket.SOCK_DGRAM:
            grant = NO_UDP  # what asks a name server, or whether there is IPv6 before it asks
    return Description("socket", " ".join(words), grant)


def _numbered(operation: str, *parts: tuple[int, Mapping[int, str]]) -> Callable[[Listener, Call], Description]:
    """Objects that are numbers with a meaning: commands, options."""

    def describe_numbers(listener: Listener, call: Call) -> Description:
        del listener
        words = [names.get(call.arguments[index] & _INT, str(call.arguments[index] & _INT)) for index, names in parts]
        return Description(operation, " ".join(words), grant_for(operation))

    return describe_numbers


def _device(listener: Listener, call: Call) -> Description:
    """What a device is asked. Its terminal is one of its own, whose mode would change nothing about ours."""
    del listener
    request = call.arguments[1] & _INT
    names = _names("asm-generic/ioctls.h") | _MODES
    return Description("ioctl", names.get(request, f"{request:#x}"), LINES if request in _MODES else grant_for("ioctl"))


def _memory(listener: Listener, call: Call) -> Description:
    del listener
    protection = call.arguments[2]
    what = "memory that can be written and executed" if protection & mmap.PROT_WRITE else "memory that can be executed"
    return Description("memory", what, "--pack jit, if it is a language runtime that makes code while it runs")


def _process(listener: Listener, call: Call) -> Description:
    del listener, call
    return Description("process", "another process", "--exec PATH, for a program that it starts")


def _limit(listener: Listener, call: Call) -> Description:
    del listener
    whose = signed(call.arguments[0])
    what = limit_name(call.arguments[1] & _INT)
    return Description("limit", f"{what} of process {whose}" if whose else what, grant_for("prlimit64"))


def _signal(listener: Listener, call: Call) -> Description:
    del listener
    return Description("signal", f"process {signed(call.arguments[0])}", ONLY_INSIDE)


def signed(argument: int) -> int:
    """A C int in a register."""
    low = argument & _INT
    return low - (1 << 32) if low >> 31 else low


def _names(*headers: str) -> dict[int, str]:
    return {value: name for header in headers for name, value in HEADERS.get(header, {}).items()}


_NAMESPACES: Final = {
    kernel.CLONE_NEWNS: "mount",
    kernel.CLONE_NEWCGROUP: "cgroup",
    kernel.CLONE_NEWUTS: "uts",
    kernel.CLONE_NEWIPC: "ipc",
    kernel.CLONE_NEWUSER: "user",
    kernel.CLONE_NEWPID: "pid",
    kernel.CLONE_NEWNET: "net",
    0x80: "time",
}


def _namespaces(listener: Listener, call: Call) -> Description:
    del listener
    words = [name for flag, name in _NAMESPACES.items() if call.arguments[0] & flag]
    return Description("syscall", f"unshare {' '.join(words) or 'nothing'}", grant_for("unshare"))


_LEVELS: Final = {
    0: ("IPPROTO_IP", "linux/in.h", "IP_"),
    1: ("SOL_SOCKET", "asm-generic/socket.h", "SO_"),
    6: ("IPPROTO_TCP", "linux/tcp.h", "TCP_"),
    41: ("IPPROTO_IPV6", "linux/in6.h", "IPV6_"),
}
"""Level of socket options -> its name, and where the names of its options stand, which begin so."""


def _socket_option(operation: str) -> Callable[[Listener, Call], Description]:
    def describe_option(listener: Listener, call: Call) -> Description:
        level = call.arguments[1] & _INT
        word, header, prefix = _LEVELS.get(level, (str(level), "", ""))
        options = {number: name for number, name in _names(header).items() if name.startswith(prefix)}
        return _numbered(operation, (1, {level: word}), (2, options))(listener, call)

    return describe_option


_BY_NAME: Final[Mapping[str, Callable[[Listener, Call], Description]]] = {
    "connect": _connect,
    "sendto": _sendto,
    "sendmsg": _message("sendmsg", 2),
    "sendmmsg": _message("sendmmsg", 3),
    "execveat": _execute,
    "socket": _socket,
    "socketpair": _socket,
    "setsockopt": _socket_option("setsockopt"),
    "getsockopt": _socket_option("getsockopt"),
    "ioctl": _device,
    "fcntl": _numbered("fcntl", (1, _names("asm-generic/fcntl.h"))),
    "prctl": _numbered("prctl", (0, _names("linux/prctl.h"))),
    "fchmod": _open_file,
    "mmap": _memory,
    "mprotect": _memory,
    "pkey_mprotect": _memory,
    "clone": _process,
    "fork": _process,
    "vfork": _process,
    "prlimit64": _limit,
    "kill": _signal,
    "tkill": _signal,
    "tgkill": _signal,
    "unshare": _namespaces,
    "keyctl": _numbered("keyctl", (0, {})),
    "bpf": _numbered("bpf", (0, {})),
    "ptrace": _numbered("ptrace", (0, {})),
}


def error_name(number: int) -> str:
    """EPERM for 1, and so on; "0" where the kernel went on."""
    return errno.errorcode.get(number, str(number))
