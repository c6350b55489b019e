"""Linux system-call names and numbers, as data: ``linux_calls.json`` beside this file says which kernel they are from.

The table must be a current kernel's. One that ends early cannot even name ``getrandom``, ``rseq``, ``clone3`` or
``close_range``, and a filter made with it breaks every modern program. ``tests/syscalls/generate_linux_calls.py`` makes
the data anew. Only the standard library is imported here: the sandbox reads this table while it starts a program.
"""

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

import msgspec

from binsafe.errors import UsageError

AUDIT_ARCH: Mapping[str, int] = MappingProxyType({"x86_64": 0xC000_003E, "arm64": 0xC000_00B7})
"""What ``seccomp_data.arch`` holds for native 64-bit calls: ``AUDIT_ARCH_*`` of ``<linux/audit.h>``."""


@cache
def numbers(arch: str) -> Mapping[str, int]:
    """Call name -> number for ``x86_64`` or ``arm64``, ordered by number.

    Raises:
        UsageError: there is no table for that processor.
    """
    table = _data()["numbers"].get(arch)
    if table is None:
        raise UsageError(f"no table of system calls for {arch!r}", hint=f"known: {', '.join(_data()['numbers'])}")
    return MappingProxyType(table)


@cache
def names(arch: str) -> Mapping[int, str]:
    """Number -> call name: `numbers` turned round.

    Raises:
        UsageError: there is no table for that processor.
    """
    return MappingProxyType({number: name for name, number in numbers(arch).items()})


def kernel_version() -> str:
    """The Linux release that the numbers were taken from."""
    version: str = _data()["linux"]
    return version


@cache
def _data() -> dict[str, Any]:
    data: dict[str, Any] = msgspec.json.decode(Path(__file__).with_name("linux_calls.json").read_bytes())
    return data
