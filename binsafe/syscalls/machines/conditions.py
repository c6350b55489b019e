"""Conditions of branches, by arm64's names for them (Arm ARM, C1.2.4); x86 has the same under other names."""

from collections.abc import Callable, Container, Mapping
from operator import and_
from types import MappingProxyType
from typing import NamedTuple

from binsafe.syscalls.decoding.decode import Instructions

_LOOK_BACK = 4
"""Instructions before a branch among which is what sets its flags."""

Combining = Callable[[int, int], int]


class Tested(NamedTuple):
    """The condition of a branch: a predicate on registers, as they are before the instruction at the index ``at``."""

    at: int
    registers: tuple[str, ...]
    holds: Callable[[tuple[int, ...]], bool]
    """Whether the branch is taken where the registers hold these 64 bits."""
    limit: tuple[bool, int] | None = None
    """(taken, n): the branch is taken (or not taken) if and only if the one register is less than n, unsigned."""
    bits: int = 64
    """Low bits of the registers of which it speaks."""


class Settled(NamedTuple):
    """What a branch implies: ``register`` holds ``value`` behind the instruction at the index ``at``."""

    at: int
    register: str
    value: int
    taken: bool = True
    """Whether that is so where the branch is taken; else it is where it is not."""


_COMPARED: Mapping[str, Callable[[int, int, int], bool]] = MappingProxyType(
    {
        "eq": lambda a, b, _: a == b,
        "ne": lambda a, b, _: a != b,
        "lt": lambda a, b, _: a < b,
        "le": lambda a, b, _: a <= b,
        "gt": lambda a, b, _: a > b,
        "ge": lambda a, b, _: a >= b,
        "lo": lambda a, b, bits: a % (1 << bits) < b % (1 << bits),
        "ls": lambda a, b, bits: a % (1 << bits) <= b % (1 << bits),
        "hi": lambda a, b, bits: a % (1 << bits) > b % (1 << bits),
        "hs": lambda a, b, bits: a % (1 << bits) >= b % (1 << bits),
    }
)
"""After a comparison: predicates on both operands as signed numbers, and on their width in bits."""
_AGAINST_ZERO: Mapping[str, Callable[[int], bool]] = MappingProxyType(
    {
        "eq": lambda v: v == 0,
        "ne": lambda v: v != 0,
        "mi": lambda v: v < 0,
        "pl": lambda v: v >= 0,
        "lt": lambda v: v < 0,
        "ge": lambda v: v >= 0,
        "le": lambda v: v <= 0,
        "gt": lambda v: v > 0,
    }
)
"""After an operation that clears carry and overflow: predicates on its signed result."""
_LIMITS: Mapping[str, tuple[bool, int]] = MappingProxyType(
    {"lo": (True, 0), "ls": (True, 1), "hi": (False, 1), "hs": (False, 0)}
)
"""Condition -> (taken, more): the branch is taken, or not, if and only if a number is less than the constant + more."""


def flags_set_at(instructions: Instructions, at: int, leave: Container[str]) -> int | None:
    """The index of what sets the flags that the branch at an index depends on; None where it is too far away.

    ``leave`` are mnemonics of instructions that compilers put in between and that leave the flags alone.
    """
    first = max(0, at - _LOOK_BACK)
    return next((before for before in range(at - 1, first - 1, -1) if instructions.names[before] not in leave), None)


def compared(at: int, condition: str, first: str, second: str | int, bits: int) -> Tested | None:
    """The condition of a branch after a comparison of a register with another or a constant; None if not known here."""
    meets = _COMPARED.get(condition)
    if meets is None:
        return None
    tested = _tested(at, first, second, lambda a, b: meets(_signed(a, bits), _signed(b, bits), bits))
    if condition not in _LIMITS or isinstance(second, str):
        return tested
    taken, more = _LIMITS[condition]
    return tested._replace(limit=(taken, second % (1 << bits) + more), bits=bits)


def combined(
    at: int, condition: str, first: str, second: str | int, bits: int, combine: Combining = and_
) -> Tested | None:
    """The condition of a branch after an operation on both whose result is compared with zero."""
    meets = _AGAINST_ZERO.get(condition)
    return None if meets is None else _tested(at, first, second, lambda a, b: meets(_signed(combine(a, b), bits)))


def _tested(at: int, first: str, second: str | int, meets: Callable[[int, int], bool]) -> Tested:
    if isinstance(second, int):
        return Tested(at, (first,), lambda held: meets(held[0], second))
    if first == second:
        return Tested(at, (first,), lambda held: meets(held[0], held[0]))
    return Tested(at, (first, second), lambda held: meets(held[0], held[1]))


def _signed(value: int, bits: int) -> int:
    value %= 1 << bits
    return value - ((value >> bits - 1) << bits)
