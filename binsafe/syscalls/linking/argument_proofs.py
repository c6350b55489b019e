"""Facts about arguments in each file -> what is proved of the program: nothing where one way to the call is unknown."""

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from binsafe.model.facts import ArgumentValues
from binsafe.syscalls.dataflow.decisive import BITS, FUNCTIONS, decisive
from binsafe.syscalls.linking.c_library import asked
from binsafe.syscalls.machines.arithmetic import Operation, compute
from binsafe.syscalls.tables import names

if TYPE_CHECKING:
    from binsafe.syscalls.linking.composing import Closure

MAX_VALUES = 64
"""Values of one argument that are stated; of more nothing is said."""

Said = tuple[int, int, int | None]
"""Number of a call, position of an argument, and a value that it can have; None where that could not be told."""


def proved(said: Iterable[Said], arch: str) -> dict[str, tuple[ArgumentValues, ...]]:
    """Call name -> the values of those arguments that are known on every way that leads to the call."""
    values: dict[tuple[int, int], set[int | None]] = {}
    for number, position, value in said:
        values.setdefault((number, position), set()).add(value)
    known = names(arch)
    facts: dict[str, list[ArgumentValues]] = {}
    for (number, position), found in sorted(values.items(), key=lambda item: item[0]):
        every = tuple(sorted(value for value in found if value is not None))
        if len(every) == len(found) <= MAX_VALUES:
            fact = ArgumentValues(argument=position, values=every, mask=BITS)
            facts.setdefault(known[number], []).append(fact)
    return {name: tuple(found) for name, found in sorted(facts.items())}


def said(closure: "Closure", passed_on: Iterable[int], arguments: Sequence[str]) -> Iterator[Said]:
    """What the live code of all files says.

    ``passed_on`` are the numbers of calls that are made in ways on which nobody looked at their arguments;
    ``arguments`` are the registers of a function's, in order.
    """
    handed = _handed(closure)
    for number, file in enumerate(closure.files):
        for given in file.summary.given:
            if closure.live(number, given.node):
                yield given.number, given.argument, given.value
        names_of: dict[int, list[str]] = {}
        for export in file.summary.exports.at({carried.function for carried in file.summary.carried}):
            names_of.setdefault(export.address, []).append(export.name)
        for carried in file.summary.carried:
            steps = [Operation(step.name, step.operand) for step in carried.steps]
            position = arguments.index(carried.register) if carried.register in arguments else None
            for name in names_of.get(carried.function, ()):
                looked_at = position in FUNCTIONS.get(name, ())
                for value in handed.get((name, position if looked_at else None), ()):
                    known = None if value is None else compute(value, steps) & BITS
                    yield carried.number, carried.argument, known
            if file.exported:
                yield carried.number, carried.argument, None
    wanted = decisive(closure.files[0].summary.arch, dynamic=True)
    for value in set(passed_on) & wanted.keys():
        yield from ((value, position, None) for position in wanted[value])


def _handed(closure: "Closure") -> dict[tuple[str, int | None], set[int | None]]:
    """(name, position) -> what live code of all files passes there to functions of that name.

    A value that is not known is None, and so is the position where none was looked at.
    """
    found: dict[tuple[str, int | None], set[int | None]] = {}
    for number, file in enumerate(closure.files):
        for handed in file.summary.handed:
            if closure.live(number, handed.node):
                found.setdefault((handed.function, handed.argument), set()).add(handed.value)
        first = file.summary.nodes - len(file.summary.imports)
        for at, wanted in enumerate(file.summary.imports):
            if closure.live(number, first + at):
                found.setdefault((wanted.name, None), set()).add(None)
        for node, name in asked(file.summary):
            if closure.live(number, node):
                for position in (None, *FUNCTIONS.get(name, ())):
                    found.setdefault((name, position), set()).add(None)
    return found
