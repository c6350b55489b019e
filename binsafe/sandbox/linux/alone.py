"""Calls that name another process or thread, in the forms that can mean the program itself alone.

By far most of such calls are of these forms: the filter lets them through, and the rest comes by (``reaching``).
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from binsafe.model import Condition
from binsafe.renderers.narrowing import FCNTL, OWN_PROCESS, Tests

_F_SETOWN: Final = 8
"""asm-generic/fcntl.h"""
_INT: Final = 0xFFFF_FFFF
_OTHER_LIMITS: Final = (3, 6, 7)
"""RLIMIT_STACK, RLIMIT_NPROC, RLIMIT_NOFILE (asm-generic/resource.h): what a program may set beside core dumps."""
PRIO_PROCESS, PRIO_PGRP = 0, 1
"""linux/resource.h"""


def _is(argument: int, *values: int) -> Condition:
    return Condition(argument=argument, mask=_INT, values=values)


_OF_ITSELF: Final = ((_is(0, 0, OWN_PROCESS),),)

ALONE: Final[Mapping[str, tuple[Tests, ...]]] = MappingProxyType(
    {
        "kill": (),
        "pidfd_open": (),
        "tkill": (),
        "tgkill": ((_is(0, OWN_PROCESS),),),
        "fcntl": (*FCNTL, (Condition(argument=1, values=(_F_SETOWN,)), _is(2, OWN_PROCESS))),
        **dict.fromkeys(("getpriority", "setpriority"), ((_is(0, PRIO_PROCESS), _is(1, 0, OWN_PROCESS)),)),
        **dict.fromkeys(
            ("sched_getaffinity", "sched_getparam", "sched_getscheduler", "get_robust_list", "getpgid", "getsid"),
            _OF_ITSELF,
        ),
        "prlimit64": ((Condition(argument=2, values=(0,)),),),
        "setrlimit": ((_is(0, *_OTHER_LIMITS),),),  # see `limiting`
    }
)
"""Call -> the forms of it that the filter lets through without asking, on top of what the policy says."""
