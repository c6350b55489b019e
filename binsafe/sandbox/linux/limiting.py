"""Limits that the program would raise: what is said of it; the kernel decides (getrlimit(2))."""

import resource
import struct
from collections.abc import Mapping
from typing import Final

from binsafe.sandbox.linux.notifications import Call, Listener

_RLIMIT64: Final = struct.Struct("=QQ")
_INFINITE: Final = (1 << 64) - 1
_NAMES: Final = {
    value: name.removeprefix("RLIMIT_").lower()
    for name, value in vars(resource).items()
    if name.startswith("RLIMIT_") and name != "RLIMIT_OFILE"  # NOFILE's other name
}


def limit_name(number: int) -> str:
    """As baselines write it; the number where it has none."""
    return _NAMES.get(number, str(number))


def raised(listener: Listener, call: Call, limits: Mapping[str, int]) -> tuple[str, str] | None:
    """The limit that a prlimit(2) would raise above the policy's, and how far; None where that is not so.

    ``limits`` are the policy's, by the names of ``RLIMIT_*``.
    """
    name = limit_name(call.arguments[1] & 0xFFFF_FFFF)
    try:
        soft, hard = _RLIMIT64.unpack(listener.read(call, call.arguments[2], _RLIMIT64.size))
    except (OSError, struct.error):
        return None
    if name.upper() not in limits or soft > hard or hard <= limits[name.upper()]:
        return None
    return name, "unlimited" if hard == _INFINITE else str(hard)
