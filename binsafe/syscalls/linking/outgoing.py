"""What a file passes to functions of other files, as far as it matters there: numbers, names, arguments."""

from collections.abc import Container, Iterable, Iterator
from typing import NamedTuple

from binsafe.syscalls.controlflow.program import Program
from binsafe.syscalls.dataflow import arguments
from binsafe.syscalls.dataflow.decisive import FUNCTIONS
from binsafe.syscalls.dataflow.wrappers import argument
from binsafe.syscalls.glibc import LOADS_LIBRARIES, LOOKS_UP
from binsafe.syscalls.linking.graph import Graph
from binsafe.syscalls.linking.summary import Handed, Passed, Step, Wrapper

_MAX_TEXT = 200
_TEXTUAL = (*LOADS_LIBRARIES, *LOOKS_UP)


class _Imported(NamedTuple):
    """An imported function: its node, and the slots through which it is called."""

    name: str
    node: int
    slots: list[int]


class Outgoing:
    """The calls of imported functions in one file."""

    def __init__(self, program: Program, graph: Graph, names: Iterable[str]) -> None:
        """``names`` are those of the graph's imports."""
        self._program = program
        first = graph.nodes - len(graph.imports)
        self._imports = [(name, first + at, graph.imports[at]) for at, name in enumerate(names)]

    def passed(self, name: str, register: str) -> tuple[set[Passed], set[Wrapper]]:
        """What is passed in a register to functions of a name; and exported functions that pass on what they get.

        Raises:
            OutOfInstructions: the budget was used up on the way.
        """
        passed: set[Passed] = set()
        wrappers: set[Wrapper] = set()
        for imported in self._imported((name,)):
            places = [place for slot in imported.slots for place in self._program.slots.called_through(slot)]
            found = argument(self._program, places, register, bits=64)
            for n in found.numbers:
                text = self._text(n.value) if name in _TEXTUAL else None
                passed.add(Passed(name, register, self._function(n.address), n.address, n.value, text))
            unknown = {g.address for g in found.gaps} | {*self._taken(imported.slots)}
            for p in found.parameters:
                if name in _TEXTUAL:
                    unknown.add(p.function)
                else:
                    steps = tuple(Step(step.name, step.operand) for step in p.operations)
                    wrappers.add(Wrapper(p.function, p.location, steps, name, register))
            passed |= {Passed(name, register, self._function(a), a, None) for a in unknown}
        return passed, wrappers

    def imports(self, name: str) -> bool:
        """Whether the file imports something of that name."""
        return any(each == name for each, _, _ in self._imports)

    def handed(self) -> Iterator[Handed]:
        """What is passed to those of `decisive.FUNCTIONS`; that it is unknown as well where their address goes.

        Raises:
            OutOfInstructions: the budget was used up on the way.
        """
        for name, _, slots in self._imported(FUNCTIONS):
            places = [place for slot in slots for place in self._program.slots.called_through(slot)]
            stubs = [self._program.stubs[slot] for slot in slots if slot in self._program.stubs]
            gone = {address for stub in stubs if (address := self._program.taken.at(stub)) is not None}
            gone.update(self._taken(slots))
            for position in FUNCTIONS[name]:
                found = arguments.to_function(self._program, places, position)
                for address, value in found.union((address, None) for address in gone):
                    yield Handed(name, position, self._function(address), value)

    def nothing_known(self) -> Iterator[Handed]:
        """That of none of it anything is known."""
        imported = self._imported(FUNCTIONS)
        return (Handed(name, position, node, None) for name, node, _ in imported for position in FUNCTIONS[name])

    def _imported(self, names: Container[str]) -> Iterator[_Imported]:
        pointers = self._program.pointers
        chosen = (each for each in self._imports if each[0] in names)
        return (
            _Imported(name, node, pointers.slots[pointers.symbols == index].tolist()) for name, node, index in chosen
        )

    def _function(self, address: int) -> int:
        return self._program.layout.function(address)

    def _taken(self, slots: Iterable[int]) -> Iterator[int]:
        """Where an imported function's address goes further than into a call."""
        return (address for slot in slots for address in self._program.slots.taken_from(slot))

    def _text(self, address: int) -> str | None:
        """The string at an address of memory; None where the program can write it, too."""
        found = self._program.code.constants(address, _MAX_TEXT).partition(b"\0")[0]
        return found.decode("ascii", "replace") if found and found.isascii() else None
