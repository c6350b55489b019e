"""Limits that the program would raise: what is said of it; the kernel decides (getrlimit(2)).

But not about core dumps: where the kernel pipes them to a program of the host's, which root runs there, a limit of 1
stops them and one of 0, which anybody may ask for, does not.
"""

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


def is_of_dumps(call: Call, name: str) -> bool:
    """Whether a call sets the limit of core dumps."""
    return call.arguments[_places(name)[0]] & 0xFFFF_FFFF == resource.RLIMIT_CORE


def raised(listener: Listener, call: Call, name: str, limits: Mapping[str, int]) -> tuple[str, str] | None:
    """The limit that a call would raise above the policy's, and the grant for that; None where that is not so.

    ``limits`` are the policy's, by the names of ``RLIMIT_*``.
    """
    which, wanted = (call.arguments[place] for place in _places(name))
    limit = limit_name(which & 0xFFFF_FFFF)
    try:
        soft, hard = _RLIMIT64.unpack(listener.read(call, wanted, _RLIMIT64.size))
    except (OSError, struct.error):
        return None
    if limit.upper() not in limits or soft > hard or hard <= limits[limit.upper()]:
        return None
    high = "unlimited" if hard == _INFINITE else str(hard)
    return limit, f"--baseline FILE, with {limit}: {high} among its limits"


def _places(name: str) -> tuple[int, int]:
    """The arguments with the limit and with what it shall be."""
    return (1, 2) if name == "prlimit64" else (0, 1)
