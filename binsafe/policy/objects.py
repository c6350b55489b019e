"""What the objects of grants look like: one check per kind, used for baselines, policy files and command lines alike.

Each check returns the object in its one canonical form or raises `ObjectError`, whose text says what was expected.
"""

import posixpath
import re
from collections.abc import Callable
from typing import Final

from binsafe.model.policy import GrantKind

MAX_OBJECT = 4_096
"""Characters of an object or value; PATH_MAX of linux/limits.h."""

MAX_PORT = 0xFFFF

LIMITS: Final = ("nofile", "nproc", "core", "fsize", "cpu", "as")
"""Resource limits by the kernel's names (``RLIMIT_*`` of asm-generic/resource.h): descriptors, processes of this user,
bytes of a core file, bytes of any file, seconds of processor time, bytes of address space."""

ARTIFACT: Final = "artifact"
SCRATCH: Final = "scratch"
TEMPORARY: Final = "TMPDIR"
"""The variable that names the folder for temporary files (environ(7))."""

SEARCHED: Final = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
"""PATH, where no grant sets it. Servers find themselves there, too (haproxy's reload); what may be executed is decided
elsewhere."""

PACK: Final = "pack "
"""How the reasons of what packs grant begin."""

LOADER: Final = "loader"
LIBRARY: Final = "library"
"""Access of a ``read`` grant whose file is also mapped as code: the dynamic loader, which the kernel starts first, and
the libraries that it loads."""

_CONTROL: Final = r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]"
_HOST: Final = r"(?=.{1,253}$)(?!-)[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63})*"
_VARIABLE: Final = r"[A-Za-z_][A-Za-z0-9_]{0,127}"
_NUMBER: Final = r"0|[1-9][0-9]{0,18}"
"""Patterns; not compiled before one is needed, which at a start with a policy that is remembered none is."""


class ObjectError(ValueError):
    """An object that a grant of its kind cannot have: ``message`` says why, ``expected`` what it can have."""

    def __init__(self, message: str, expected: str) -> None:
        super().__init__(f"{message}: expected {expected}")
        self.message = message
        self.expected = f"expected {expected}"


def port_number(text: str, lowest: int = 1) -> int:
    """A TCP port in plain decimal.

    Raises:
        ObjectError: it is none.
    """
    if re.fullmatch(_NUMBER, text) is None or not lowest <= int(text) <= MAX_PORT:
        raise ObjectError(f"{text!r} is no port", f"a number from {lowest} to {MAX_PORT}")
    return int(text)


def port_range(text: str) -> range:
    """Ports as ``4000-4009``, or a single one.

    Raises:
        ObjectError: it is neither.
    """
    first, dash, last = text.partition("-")
    low = port_number(first)
    high = port_number(last) if dash else low
    if low > high:
        raise ObjectError(f"the range {text} ends before it begins", f"{high}-{low}")
    return range(low, high + 1)


def absolute_path(text: str) -> str:
    """An absolute path without ``.``, ``..``, doubled or trailing slashes, or control characters.

    Raises:
        ObjectError: it is none. ``..`` is refused, not resolved: only a look at the file system could resolve it.
    """
    if not text.startswith("/"):
        raise ObjectError(f"{text!r} is not absolute", "a path that starts with /")
    if re.search(_CONTROL, text) or len(text) > MAX_OBJECT:
        raise ObjectError(f"{text[:80]!r} is no path", f"at most {MAX_OBJECT} printable characters")
    if posixpath.normpath(text) != text or text.startswith("//"):
        raise ObjectError(f"{text!r} is not in its plain form", f"{'/' + posixpath.normpath(text).lstrip('/')!r}")
    return text


def _listen(text: str) -> str:
    host, _, port = text.rpartition(":")
    if host != "127.0.0.1":
        raise ObjectError(f"{text!r} is no loopback address", "127.0.0.1:PORT")
    return f"{host}:{port_number(port, lowest=0)}"


def _connect(text: str) -> str:
    host, colon, port = text.rpartition(":")
    if not colon:
        raise ObjectError(f"{text!r} has no port", "HOST:PORT")
    if not (re.fullmatch(_HOST, host) or _is_ipv6(host)):
        raise ObjectError(f"{text!r} names no host", "HOST:PORT, an IPv6 address in brackets")
    return f"{host}:{port_number(port)}"


def _is_ipv6(host: str) -> bool:
    from socket import AF_INET6, inet_pton  # few grants name an address

    try:
        return host.startswith("[") and host.endswith("]") and bool(inet_pton(AF_INET6, host[1:-1]))
    except (OSError, ValueError):
        return False


def _path_or(*words: str) -> Callable[[str], str]:
    return lambda text: text if text in words else absolute_path(text)


def _variable(text: str) -> str:
    if re.fullmatch(_VARIABLE, text) is None:
        raise ObjectError(f"{text!r} names no environment variable", "letters, digits and _")
    return text


def _limit(text: str) -> str:
    if text not in LIMITS:
        raise ObjectError(f"unknown limit {text!r}", f"one of {', '.join(LIMITS)}")
    return text


_CHECKS: Final[dict[GrantKind, Callable[[str], str]]] = {
    "listen": _listen,
    "connect": _connect,
    "read": _path_or(ARTIFACT, SCRATCH),
    "write": _path_or(SCRATCH),
    "execute": _path_or(ARTIFACT),
    "environment": _variable,
    "limit": _limit,
}


def check_object(kind: GrantKind, text: str) -> str:
    """The object of a grant in its canonical form. System-call names need a table: `reading` looks at those.

    Raises:
        ObjectError: a grant of that kind cannot have it.
    """
    return _CHECKS[kind](text)


def check_value(kind: GrantKind, text: str) -> str:
    """The access of a grant: the protocol, the value of a variable or limit, or nothing.

    Raises:
        ObjectError: a grant of that kind cannot have it.
    """
    if kind in {"listen", "connect"} and text != "tcp":
        raise ObjectError(f"{text!r} is no protocol that can be granted", "'tcp'")
    if kind == "limit" and re.fullmatch(_NUMBER, text) is None:
        raise ObjectError(f"{text!r} is no limit", "a whole number")
    if kind == "environment" and (re.search(_CONTROL, text) or len(text) > MAX_OBJECT):
        raise ObjectError("the value is no text", f"at most {MAX_OBJECT} printable characters")
    if kind == "read" and text in {LOADER, LIBRARY}:
        return text
    if kind == "write" and text == SCRATCH:  # an empty folder of the program's own at that path
        return text
    if kind in {"read", "write", "execute"} and text:
        raise ObjectError(f"a {kind} grant has no access {text!r}", "none")
    return text
