"""Numbers that one file passes to a wrapper in another.

An exported function whose parameter becomes the number of a system call is followed by its name: what is passed to it
must be known of every file that imports it. The C library's ``syscall`` is such a function; any library can have one of
its own, and may itself pass the number on to another file's.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from binsafe.syscalls.glibc import LOOKS_UP, WATCHED
from binsafe.syscalls.linking.summary import Passed, Summary, Wrapper
from binsafe.syscalls.machines.arithmetic import Operation, compute

_MAX_STEPS = 16
"""Arithmetic on one number on its way through files; two that call each other have no end."""

Watched = frozenset[tuple[str, str]]


class Carrier(NamedTuple):
    """An exported function that hands what it is passed in ``register`` to the kernel, after some arithmetic."""

    name: str
    register: str
    steps: tuple[Operation, ...]


class Numbers(NamedTuple):
    """What is passed to wrappers: (arithmetic still to be done, file, what), and what is not known."""

    known: tuple[tuple[int, int, Passed], ...]
    """(the number that the kernel sees, file, by whom it is passed)."""
    gaps: tuple[tuple[int, int, int, str], ...]
    """(file, node, address, reason)."""
    watched: Watched
    """(function, register) of all wrappers: what must be found out about every file."""


def numbers(summaries: Sequence[Summary], watched: Watched, registers: tuple[str, ...]) -> Numbers:
    """What files pass to each other's wrappers, as far as they were made with these ``watched``.

    Where a file calls a wrapper that was not watched, that is a gap. ``registers`` are those of arguments, in order.
    """
    usual = {(name, registers[which]) for name, places in WATCHED.items() for which in places}
    carriers = _carriers(summaries)
    by_name: dict[tuple[str, str], list[Carrier]] = {}
    for carrier in carriers:
        by_name.setdefault((carrier.name, carrier.register), []).append(carrier)
    known, gaps = [], [*_too_deep(summaries, carriers), *_looked_up(summaries, carriers)]
    for number, summary in enumerate(summaries):
        for passed in summary.passed:
            for carrier in by_name.get((passed.imported, passed.register), ()):
                if passed.value is None:
                    why = f"the number that is passed to {passed.imported} is not known"
                    gaps.append((number, passed.node, passed.address, why))
                else:
                    known.append((compute(passed.value, carrier.steps) & 0xFFFF_FFFF, number, passed))
        first = summary.nodes - len(summary.imports)
        for at, wanted in enumerate(summary.imports):
            for name, register in by_name:
                if name == wanted.name and (name, register) not in usual | watched:
                    gaps.append((number, first + at, 0, f"it calls {name} with a number that was not looked for"))
    return Numbers(tuple(known), tuple(gaps), frozenset(by_name) - usual)


def _carriers(summaries: Sequence[Summary]) -> frozenset[Carrier]:
    """All wrappers by name, those that pass a number on to others among them."""
    exporting = list(_exporting(summaries))
    found = {
        Carrier(name, wrapper.register, _steps(wrapper)) for _, name, wrapper in exporting if wrapper.imported is None
    }
    while True:
        new = {
            Carrier(name, wrapper.register, steps)
            for _, name, wrapper in exporting
            for inner in found
            if (wrapper.imported, wrapper.passed_in) == (inner.name, inner.register)
            if len(steps := _steps(wrapper) + inner.steps) <= _MAX_STEPS
        } - found
        if not new:
            return frozenset(found)
        found |= new


def _too_deep(summaries: Sequence[Summary], carriers: frozenset[Carrier]) -> Iterator[tuple[int, int, int, str]]:
    for number, name, wrapper in _exporting(summaries):
        for inner in carriers:
            ends_here = (wrapper.imported, wrapper.passed_in) == (inner.name, inner.register)
            if ends_here and len(_steps(wrapper) + inner.steps) > _MAX_STEPS:
                node = next(e.first for e in summaries[number].exports.named({name}))
                yield number, node, wrapper.address, "the number is computed in too many steps"


def _looked_up(summaries: Sequence[Summary], carriers: frozenset[Carrier]) -> Iterator[tuple[int, int, int, str]]:
    """Wrappers that are asked for by name when the program runs: what is passed to them is not looked for."""
    names = {carrier.name for carrier in carriers}
    for number, summary in enumerate(summaries):
        for passed in summary.passed:
            if passed.imported in LOOKS_UP and passed.text in names:
                yield number, passed.node, passed.address, f"the number that is passed to {passed.text} is not known"


def _exporting(summaries: Sequence[Summary]) -> Iterator[tuple[int, str, Wrapper]]:
    for number, summary in enumerate(summaries):
        names: dict[int, list[str]] = {}
        for export in summary.exports.at({wrapper.address for wrapper in summary.wrappers}):
            names.setdefault(export.address, []).append(export.name)
        for wrapper in summary.wrappers:
            yield from ((number, name, wrapper) for name in names.get(wrapper.address, ()))


def _steps(wrapper: Wrapper) -> tuple[Operation, ...]:
    return tuple(Operation(step.name, step.operand) for step in wrapper.steps)
