"""What ``posix_spawn`` does in the child for flags that a program never sets, in static programs.

Flags are set by ``posix_spawnattr_setflags`` alone, which is handed them (glibc: ``posix/spawnattr_setflags.c``; musl:
``src/process/posix_spawnattr_setflags.c``); the C library's own callers set those for signals only. It is known by its
whole code, and the child (glibc: ``__spawni_child`` in ``sysdeps/unix/sysv/linux/spawni.c``; musl: ``child`` in
``src/process/posix_spawn.c``) by which calls it makes for which flags. Built differently they are not known, and
nothing is left out.
"""

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from types import MappingProxyType

from binsafe.formats.structure import find_all, matches
from binsafe.syscalls.controlflow.program import Program
from binsafe.syscalls.controlflow.regions import Region
from binsafe.syscalls.dataflow.wrappers import Number, argument
from binsafe.syscalls.glibc import is_static_glibc
from binsafe.syscalls.machines.machine import Flow
from binsafe.syscalls.pruning import actions, musl_actions
from binsafe.syscalls.tables import numbers

_SETTERS = re.compile(
    rb"\xb8\x16\0\0\0\x66\x81\xfe\xff[\0\x01]\x77\x05\x66\x89\x37\x31\xc0\xc3"  # glibc
    rb"|\x0f\xbf\xf6\xb8\x16\0\0\0\xf7\xc6\0\xff\xff\xff\x75\x04\x89\x37\x31\xc0\xc3"  # musl
)
_STORES, _SMALL = b"\x66\x89\x37", 96
"""``mov word ptr [rdi], si``; and bytes of a function that does little else."""
_ENDBR = b"\xf3\x0f\x1e\xfa"
_FLAG_BITS = 16
"""Of what it is handed; Rust's standard library puts its own together in half of a register, and leaves the rest."""
_RESET_IDS, _SET_GROUP, _SET_PARAMETER, _SET_SCHEDULER, _SET_SESSION = 0x01, 0x02, 0x10, 0x20, 0x80
_CALLS: Mapping[int, AbstractSet[str]] = MappingProxyType(
    {
        _SET_SESSION: {"setsid"},
        _SET_GROUP: {"setpgid"},
        _RESET_IDS: {"setresuid", "setresgid", "setuid", "setgid"},
    }
)
"""Flag -> calls of which one is made for it: by these the child is known."""
_BLOCK = 24
"""Instructions behind a branch in which the calls for a flag are made."""
_FUNCTION = 48
"""Bytes of a function that makes one call."""


def never_taken(program: Program, found: Iterable[Number]) -> Mapping[int, set[tuple[int, int]]]:
    """Start of the child's region -> edges between its instructions, by index, of flags and actions that are never set.

    Raises:
        OutOfInstructions: the budget was used up.
    """
    if program.machine.arch != "x86_64" or program.go is not None or program.slice.linkage == "dynamic":
        return {}
    made: dict[int, set[int]] = {}
    for number in found:
        made.setdefault(number.address, set()).add(number.value)
    children = [region for region in _candidates(program, made) if _is_child(program, region, made)]
    if len(children) != 1:
        return {}
    child = children[0]
    edges: set[tuple[int, int]] = set()
    flags = _set_flags(program)
    if flags is not None:
        edges |= {edge for flag, edge in _branches(child) if not flags & flag}
    edges |= actions.never_taken(program, child, lambda at: _made_behind(child, at, made))
    edges |= musl_actions.never_taken(program, child, lambda at: _made_at(child, at, made))
    return {child.start: edges}


def _set_flags(program: Program) -> int | None:
    """All flags that anybody sets; None where that cannot be told."""
    setters = [
        code.address + match.start() - len(_ENDBR) * (code.data[match.start() - len(_ENDBR) : match.start()] == _ENDBR)
        for code in program.code.ranges
        for match in matches(code.data, _SETTERS)
    ]
    if not setters:
        return 0 if is_static_glibc(program.slice.data) and not _may_have_setter(program) else None
    place = program.place(setters[0]) if len(setters) == 1 else None
    given = None if place is None else argument(program, [place], program.machine.arguments[1], bits=_FLAG_BITS)
    if given is None or given.gaps or given.parameters or not given.numbers:
        return None
    flags = 0
    for number in given.numbers:
        flags |= number.value
    return flags


def _may_have_setter(program: Program) -> bool:
    """Whether a small function may store its second parameter, of 16 bits, where the first one points.

    That is all that ``posix_spawnattr_setflags`` does, by whatever compiler it was made.
    """
    told = program.frames
    stores = [code.address + at for code in program.code.ranges for at in find_all(code.data, _STORES)]
    extents = [None if told is None else told.holding(store) for store in stores]
    return told is None or any(extent is None or extent.end - extent.start <= _SMALL for extent in extents)


def _candidates(program: Program, made: Mapping[int, AbstractSet[int]]) -> Iterator[Region]:
    """The regions that make a call for `_RESET_IDS` themselves."""
    known = numbers(program.machine.arch)
    wanted = {known[name] for name in _CALLS[_RESET_IDS]}
    starts = {region.start for at, values in made.items() if values & wanted and (region := program.region(at))}
    yield from (region for start in sorted(starts) if (region := program.region(start)) is not None)


def _is_child(program: Program, region: Region, made: Mapping[int, AbstractSet[int]]) -> bool:
    known = numbers(program.machine.arch)
    made_for: dict[int, set[int]] = {}
    for flag, (_, led) in _branches(region):
        made_for[flag] = made_for.get(flag, set()) | _made_behind(region, led, made)
    return all(made_for.get(flag, set()) & {known[name] for name in names} for flag, names in _CALLS.items())


def _made_behind(region: Region, at: int, made: Mapping[int, AbstractSet[int]]) -> set[int]:
    """The numbers of the calls that are made from an instruction on, here or by small functions that are called."""
    result: set[int] = set()
    for index in range(at, min(at + _BLOCK, len(region.instructions))):
        result |= _made_at(region, index, made)
        if region.leaving(index) is Flow.RETURN:
            break
    return result


def _made_at(region: Region, index: int, made: Mapping[int, AbstractSet[int]]) -> set[int]:
    """The numbers of the calls that are made at an instruction, or by the small function that it calls."""
    flow, target = region.flow(index)
    places = [region.instructions.addresses[index]]
    places += range(target, target + _FUNCTION) if flow is Flow.CALL and target is not None else ()
    return {value for address in places for value in made.get(address, ())}


def _branches(region: Region) -> Iterator[tuple[int, tuple[int, int]]]:
    """Flag and edge of each branch that is followed only where the first word of an object has a flag."""
    names = region.instructions.names
    loaded: set[str] = set()
    for at in range(len(names) - 2):
        operands = region.instructions.operands(at)
        first, _, second = operands.partition(", ")
        register = _FULL.get(first, "")
        if names[at].startswith("mov"):
            if _FIRST_WORD.fullmatch(second) or _FULL.get(second, "-") in loaded:
                loaded.add(register)
            else:
                loaded.discard(register)
            continue
        flag, branch = _tested(region, at)
        is_skipped = names[branch] == "je" and branch == at + 1
        target = branch + 1 if is_skipped else region.at(region.flow(branch)[1])
        if flag is not None and target is not None and (register in loaded or _FIRST_WORD.fullmatch(first)):
            yield flag, (branch, target)
        if region.leaving(at) is Flow.CALL:
            loaded -= _LOST_IN_CALLS
        elif names[at] not in {"test", "cmp"}:
            loaded.discard(register)


def _tested(region: Region, at: int) -> tuple[int | None, int]:
    """The flag that is asked for at an instruction, and the index of the branch."""
    names, operands = region.instructions.names, region.instructions.operands
    second = operands(at).partition(", ")[2]
    if names[at] in {"test", "and"} and names[at + 1] in {"jne", "je"} and second in _FLAGS:
        return int(second, 0), at + 1
    both = (names[at], second) == ("and", hex(_SET_PARAMETER | _SET_SCHEDULER))
    if both and operands(at + 1).endswith(f", {_SET_PARAMETER:#x}") and names[at + 1 : at + 3] == ["cmp", "je"]:
        return _SET_PARAMETER, at + 2
    return None, at


_FIRST_WORD = re.compile(r"(?:byte|d?word) ptr \[r\w+\]")
_FLAGS: Collection[str] = {"1", "2", "0x20", "0x80"}
_FULL: Mapping[str, str] = MappingProxyType(
    {name: full for full in ("rax", "rbx", "rcx", "rdx") for name in (full, f"e{full[1:]}", full[1:], f"{full[1]}l")}
)
"""Names of the registers in which flags are tested -> the whole register's."""
_LOST_IN_CALLS = frozenset({"rax", "rcx", "rdx"})
