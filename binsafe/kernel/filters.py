"""What is decided about each system call -> the filter that the kernel runs (``struct seccomp_data``, linux/seccomp.h).

    another architecture, or x32           the process is killed: those calls have numbers of their own
    listed, conditions met                 its action
    anything else                          what the caller says

Numbers are found by binary search, about eight comparisons deep, so a common call costs as much as a rare one.
"""

from collections.abc import Iterator, Mapping
from typing import Final

import msgspec

from binsafe.kernel.bpf import Branch, Item, Label, Op, Statement, assemble
from binsafe.model import Condition
from binsafe.syscalls import tables

RET_KILL_PROCESS: Final = 0x8000_0000
RET_ERRNO: Final = 0x0005_0000
RET_USER_NOTIF: Final = 0x7FC0_0000
RET_ALLOW: Final = 0x7FFF_0000

EPERM: Final = 1
ENOSYS: Final = 38
"""Both from asm-generic/errno.h; not Python's ``errno``, which is the host's and may be macOS's."""

X32_BIT: Final = 0x4000_0000
"""``__X32_SYSCALL_BIT`` of asm/unistd.h: x86-64's other calling convention, under the same audit architecture."""

_NR, _ARCH, _ARGS = 0, 4, 16
"""Offsets in ``struct seccomp_data``; each argument is eight bytes, the low word first."""

_WORD = 0xFFFF_FFFF


class Refusal(msgspec.Struct, frozen=True):
    """What becomes of calls that are not listed, and of listed ones whose conditions are not met."""

    unlisted: int
    unmet: int


Alternatives = tuple[tuple[Condition, ...], ...]
Outcome = int | Alternatives
"""What becomes of a call: a fixed action, or ALLOW when one of the alternatives holds, else what `Refusal` says."""


def compile_decided(decided: Mapping[str, Outcome], arch: str, refusal: Refusal) -> bytes:
    """The filter for calls that are decided already, by name: an array of ``struct sock_filter``.

    Raises:
        CannotExpress: it would be longer than the kernel takes.
    """
    return assemble(tuple(_program(decided, arch, refusal)))


def _program(decided: Mapping[str, Outcome], arch: str, refusal: Refusal) -> Iterator[Item]:
    yield Statement(Op.LOAD, _ARCH)
    yield Branch(Op.JUMP_EQUAL, tables.AUDIT_ARCH[arch], if_false="kill")
    yield Statement(Op.LOAD, _NR)
    if arch == "x86_64":
        yield Branch(Op.JUMP_AT_LEAST, X32_BIT, if_true="kill")
    numbers = tables.numbers(arch)
    by_number = {numbers[name]: outcome for name, outcome in decided.items()}
    yield from _search(_ranges(by_number, refusal.unlisted), refusal.unmet)
    yield Label("kill")
    yield Statement(Op.RETURN, RET_KILL_PROCESS)


def _ranges(by_number: Mapping[int, Outcome], unlisted: int) -> list[tuple[int, Outcome]]:
    """The numbers from 0 up as ranges of one outcome, each with its first number."""
    ranges: list[tuple[int, Outcome]] = [(0, unlisted)]
    for number in sorted({n + step for n in by_number for step in (0, 1)}):
        outcome = by_number.get(number, unlisted)
        if ranges[-1][0] == number:  # number 0
            ranges[-1] = (number, outcome)
        elif ranges[-1][1] != outcome:
            ranges.append((number, outcome))
    return ranges


def _search(ranges: list[tuple[int, Outcome]], unmet: int) -> Iterator[Item]:
    """A balanced tree of comparisons with the call's number; the code of each outcome is its leaf."""
    if len(ranges) == 1:
        number, outcome = ranges[0]
        yield from _leaf(number, outcome, unmet)
        return
    middle = len(ranges) // 2
    upper = f"from {ranges[middle][0]}"
    yield Branch(Op.JUMP_AT_LEAST, ranges[middle][0], if_true=upper)
    yield from _search(ranges[:middle], unmet)
    yield Label(upper)
    yield from _search(ranges[middle:], unmet)


def _leaf(number: int, outcome: Outcome, refused: int) -> Iterator[Item]:
    if isinstance(outcome, int):
        yield Statement(Op.RETURN, outcome)
        return
    for i, condition in enumerate(outcome):
        unmet = f"{number} alternative {i + 1}"
        for j, test in enumerate(condition):
            yield from _test(test, met=f"{number} met {i}.{j}", unmet=unmet)
        yield Statement(Op.RETURN, RET_ALLOW)
        yield Label(unmet)
    yield Statement(Op.RETURN, refused)


def _test(test: Condition, *, met: str, unmet: str) -> Iterator[Item]:
    """One 64-bit comparison as two of 32 bits: the high word first, then the low words that go with it."""
    mask_high, mask_low = test.mask >> 32, test.mask & _WORD
    by_high: dict[int, list[int]] = {}
    for value in test.values:
        by_high.setdefault(value >> 32, []).append(value & _WORD)
    for i, (high, lows) in enumerate(by_high.items(), 1):
        otherwise = unmet if i == len(by_high) else f"{met} or {i}"
        if mask_high:
            yield from _load(_ARGS + 8 * test.argument + 4, mask_high)
            yield Branch(Op.JUMP_EQUAL, high, if_false=otherwise)
        yield from _load(_ARGS + 8 * test.argument, mask_low)
        for low in lows[:-1]:
            yield Branch(Op.JUMP_EQUAL, low, if_true=met)
        yield Branch(Op.JUMP_EQUAL, lows[-1], if_true=met, if_false=otherwise)
        if otherwise != unmet:
            yield Label(otherwise)
    yield Label(met)


def _load(offset: int, mask: int) -> Iterator[Item]:
    yield Statement(Op.LOAD, offset)
    if mask != _WORD:
        yield Statement(Op.AND, mask)
