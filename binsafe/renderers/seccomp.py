"""Policy -> seccomp: the filter that we load ourselves.

The filter asks the supervisor (``SECCOMP_RET_USER_NOTIF``) about everything that is not plainly granted, so that each
refusal can be answered with the right error and reported. What it decides alone:

    another architecture, or x32           the process is killed: those calls have numbers of their own
    granted, conditions met                allowed
    exit, exit_group, rt_sigreturn, ...    allowed, always (`walls.ALWAYS`)
    clone3                                 ENOSYS, on which libraries fall back to clone, whose flags can be tested
    bind, execve, execveat                 supervisor, always: it decides on the address, and on whose exec it is
    anything else                          supervisor

Numbers are found by binary search, about eight comparisons deep, so a common call costs as much as a rare one.
Constants are those of linux/seccomp.h and linux/audit.h.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Final

import msgspec

from binsafe.errors import UsageError
from binsafe.model import Condition, Policy
from binsafe.policy.walls import ALWAYS, NEEDS_CONDITION, SUPERVISED, WALLS
from binsafe.renderers.bpf import Branch, Item, Label, Op, Statement, assemble
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
_ARGUMENTS = range(6)


class Refusal(msgspec.Struct, frozen=True):
    """What becomes of calls that are not listed, and of listed ones whose conditions are not met."""

    unlisted: int
    unmet: int


_TO_SUPERVISOR: Final = Refusal(RET_USER_NOTIF, RET_USER_NOTIF)

Alternatives = tuple[tuple[Condition, ...], ...]
Outcome = int | Alternatives
"""What becomes of a call: a fixed action, or ALLOW when one of the alternatives holds and the supervisor otherwise."""


def compile_filter(policy: Policy, arch: str, *, notify: frozenset[str] = frozenset()) -> bytes:
    """The classic BPF program for ``seccomp(SECCOMP_SET_MODE_FILTER)``: an array of ``struct sock_filter``.

    ``arch`` is the processor that the program is for, as the report names it. Calls of ``notify`` that are granted pass
    by the supervisor, which makes the tests of their arguments and lets them go on.

    Raises:
        UsageError: the policy is another processor's, or grants a call that is unknown there or that is a wall.
        CannotExpress: the filter would be longer than the kernel takes.
    """
    decided = {name: RET_USER_NOTIF if name in notify else outcome for name, outcome in outcomes(policy, arch).items()}
    return assemble(tuple(program_of(decided, arch, _TO_SUPERVISOR)))


def compile_alone(policy: Policy, arch: str, *, may_bind: bool, launcher: Iterable[str] = ()) -> bytes:
    """The same for launchers that have no supervisor, and start the program after the filter: execve is open.

    What is not listed is answered ENOSYS, so that libraries fall back; a listed call whose conditions fail, EPERM.
    ``launcher`` are calls that the launcher's own process makes under the filter.

    Raises:
        UsageError, CannotExpress: as `compile_filter`.
    """
    decided = dict(outcomes(policy, arch))
    refused = RET_ERRNO | EPERM
    decided |= {"execve": RET_ALLOW, "execveat": refused, "bind": RET_ALLOW if may_bind else refused}
    decided |= dict.fromkeys(launcher, RET_ALLOW)
    return assemble(tuple(program_of(decided, arch, Refusal(RET_ERRNO | ENOSYS, refused))))


def outcomes(policy: Policy, arch: str) -> Mapping[str, Outcome]:
    """Call name -> what becomes of it; calls that are not named go to the supervisor.

    Raises:
        UsageError: as `compile_filter`.
    """
    if policy.artifact.system != "linux" or policy.artifact.arch != arch:
        system = f"{policy.artifact.system} on {policy.artifact.arch}"
        raise UsageError(f"the policy is for {system}, not for linux on {arch}", hint="derive it from the right binary")
    known = tables.numbers(arch)
    result: dict[str, Outcome] = {}
    for grant in policy.of("syscall"):
        _refuse(grant.object, grant.when, known)
        if grant.object in SUPERVISED:
            continue
        before = result.get(grant.object, ())
        result[grant.object] = (*before, grant.when) if grant.when and isinstance(before, tuple) else RET_ALLOW
    fixed = {**dict.fromkeys(ALWAYS, RET_ALLOW), **dict.fromkeys(SUPERVISED, RET_USER_NOTIF)}
    fixed["clone3"] = RET_ERRNO | ENOSYS
    return {**result, **{name: action for name, action in fixed.items() if name in known}}


def _refuse(name: str, when: tuple[Condition, ...], known: Mapping[str, int]) -> None:
    """The last door before the kernel: whoever made the policy, the walls stand."""
    if name not in known:
        raise UsageError(f"no system call {name!r} on this processor", hint="leave it out of the policy")
    if name in WALLS:
        raise UsageError(f"{name} cannot be granted: {WALLS[name]}", hint="leave it out of the policy")
    if name in NEEDS_CONDITION and not when:
        raise UsageError(f"{name} cannot be granted whole", hint="grant it by its arguments, with conditions")
    for test in when:
        if not test.values or test.argument not in _ARGUMENTS or any(v & ~test.mask or v < 0 for v in test.values):
            raise UsageError(f"a condition of {name} can never hold", hint="leave the grant out of the policy")


def program_of(decided: Mapping[str, Outcome], arch: str, refusal: Refusal) -> Iterator[Item]:
    """The filter for calls that are decided already, by name."""
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
