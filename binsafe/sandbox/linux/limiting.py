"""Limits that the program would raise: what is said of it; the kernel decides (getrlimit(2))."""

import resource
import struct
from collections.abc import Mapping
from typing import Final

from binsafe.sandbox.linux.notifications import Call, Listener

_RLIMIT64: Final = struct.Struct("=QQ")
_INFINITE: Final = (1 << 64) - 1


def raised(listener: Listener, call: Call, limits: Mapping[str, int]) -> str | None:
    """The limit that a prlimit(2) would raise above the policy's, as "nofile: 65536"; None where that is not so.

    ``limits`` are the policy's, by the names of ``RLIMIT_*``.
    """
    number = call.arguments[1] & 0xFFFF_FFFF
    name = next((name for name in limits if getattr(resource, f"RLIMIT_{name}", None) == number), None)
    try:
        soft, hard = _RLIMIT64.unpack(listener.read(call, call.arguments[2], _RLIMIT64.size))
    except (OSError, struct.error):
        return None
    if name is None or soft > hard or hard <= limits[name]:
        return None
    return f"{name.lower()}: {'unlimited' if hard == _INFINITE else hard}"
