"""The arguments of system calls: every value that one can have, where all of them can be told.

The walk follows two things back at once, the number of the call and one argument, so that a wrapper which makes many
calls is asked for each of them apart. As for numbers, a parameter leads on to the callers.

An argument that is wrongly taken for known costs a program its life, so the walk is stricter than that for numbers: a
stack slot counts as unknown where something else may write there, and so does what follows a jump table that could not
be read. What one file cannot tell is left to `argument_proofs`, which sees all files.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from msgspec import Struct, structs

from binsafe.syscalls.controlflow.places import Edge, Kind, Place
from binsafe.syscalls.controlflow.program import Program
from binsafe.syscalls.dataflow.backward import before, is_upper_half
from binsafe.syscalls.dataflow.decisive import BITS
from binsafe.syscalls.dataflow.sites import Site
from binsafe.syscalls.dataflow.wrappers import MAX_OPERATIONS, STEP_COST
from binsafe.syscalls.machines.arithmetic import Operation, compute
from binsafe.syscalls.machines.machine import Constant, Flow, Location, Moved, Unknown

_MAX_STEPS = 4_000
"""Instructions that the walk for one argument of one site, or of one function's calls, goes back."""


class Given(NamedTuple):
    """What one way to a call gives one of its arguments; ``value`` is None where that could not be told."""

    number: int
    argument: int
    address: int
    value: int | None


class Carried(NamedTuple):
    """An argument that is what other files pass to an exported function in ``register``, after some arithmetic."""

    number: int
    argument: int
    function: int
    register: str
    operations: tuple[Operation, ...]


class Found(NamedTuple):
    """All that one file says of arguments."""

    given: frozenset[Given]
    carried: frozenset[Carried]


def at_sites(program: Program, sites: Iterable[Site], wanted: Mapping[int, tuple[int, ...]]) -> Found:
    """What a file's own sites are given.

    ``wanted`` says which arguments of which numbers matter.

    Raises:
        OutOfInstructions: the budget was used up on the way.
    """
    given: set[Given] = set()
    carried: set[Carried] = set()
    for address, own, _, told in sites:
        positions = sorted({p for number in own for p in wanted.get(number, ())})
        site = program.place(address) if positions else None
        if site is None:
            continue  # as for most: their functions need not be decoded
        for position in positions:
            numbers_ = frozenset(number for number in own if position in wanted.get(number, ()))
            number = Moved(program.machine.number)
            walk = _Walk(program, numbers_, position, {(each.address, each.value) for each in told})
            walk.ask(_Query(site, number, Moved(program.machine.passed[position]), address))
            walk.run()
            given |= walk.given
            elsewhere = (n for n in told if n.value in numbers_ and n.address not in walk.lost)
            given |= {Given(n.value, position, n.address, None) for n in elsewhere}
            carried |= walk.carried
    return Found(frozenset(given), frozenset(carried))


def to_function(program: Program, places: Iterable[Place], position: int) -> frozenset[tuple[int, int | None]]:
    """(address, value) of what calls of one function pass in one place; None for what could not be told.

    Raises:
        OutOfInstructions: the budget was used up on the way.
    """
    walk = _Walk(program, frozenset({0}), position)
    for place in places:
        walk.ask(_Query(place, Constant(0), Moved(program.machine.arguments[position]), place.address))
    walk.run()
    passed_on = {(each.function, None) for each in walk.carried}
    return frozenset({(each.address, each.value) for each in walk.given} | passed_on)


_Held = Constant | Moved


class _Query(Struct, frozen=True):
    """What do the call's number and its argument come from, just before ``place``?"""

    place: Place
    number: _Held
    argument: _Held | None
    """None once it is known that it will not be known: of which call is still to be found out."""
    outer: int

    @property
    def key(self) -> tuple[int, _Held, _Held | None]:
        return self.place.address, self.number, self.argument


class _Walk:
    def __init__(
        self, program: Program, numbers_: frozenset[int], position: int, told: Iterable[tuple[int, int]] = ()
    ) -> None:
        """``told`` are numbers and where the walk loses them: it goes on there for what else they are called with."""
        self.program = program
        self.told = frozenset(told)
        self.lost: set[int] = set()
        """Where a number was lost."""
        self.numbers = numbers_
        """Those of which this argument matters; what is found for another one is dropped."""
        self.position = position
        self.given: set[Given] = set()
        self.carried: set[Carried] = set()
        self.pending: list[_Query] = []
        self.seen: set[tuple[int, _Held, _Held | None]] = set()

    def run(self) -> None:
        for _ in range(_MAX_STEPS):
            if not self.pending:
                return
            self._advance(self.pending.pop())
        for query in self.pending:
            self._unknown(query.number, query.outer)

    def ask(self, query: _Query) -> None:
        """Put a question on the list, unless it is answered or was there before."""
        if self._is_doubtful(query):
            query = structs.replace(query, argument=None)
        if isinstance(query.number, Constant):
            value = query.number.value & BITS
            if value not in self.numbers:
                return
            query = structs.replace(query, number=Constant(value))
            if not isinstance(query.argument, Moved):
                known = None if query.argument is None else query.argument.value & BITS
                self.given.add(Given(value, self.position, query.outer, known))
                return
        if query.key not in self.seen:
            self.seen.add(query.key)
            self.pending.append(query)

    def _is_doubtful(self, query: _Query) -> bool:
        """Whether the argument lies where others may write, or is the upper half of what two stores may have made."""
        if not isinstance(query.argument, Moved) or not isinstance(query.argument.location, int):
            return False
        shifted = is_upper_half(query.argument, query.argument.operations)
        return shifted or query.place.region.is_exposed(query.argument.location)

    def _advance(self, query: _Query) -> None:
        """Go one instruction back, on every way."""
        region, index = query.place.region, query.place.at
        if region.is_unreachable(index):
            return
        jumps = self.program.jumped_to(region)
        if jumps is not None:
            followed = [held.location for held in (query.number, query.argument) if isinstance(held, Moved)]
            query = structs.replace(query, place=self.program.undisturbed(query.place, followed, jumps))
            region, index = query.place.region, query.place.at
        entries = self.program.entries(query.place)
        inside = region.direct_predecessors(index)
        self.program.decoder.spend(STEP_COST * max(1, len(entries) + len(inside)))
        if index == 0:
            if self._at_entry(query):
                return
        elif jumps is None or not (inside or entries or index in jumps) or self.program.may_be_gone_to(query.place):
            self._unknown(query.number, query.outer)
            return
        for at in (*inside, *(jumps or {}).get(index, ())):
            self._back(query, Edge(Kind.FLOW, Place(region, at)))
        for edge in entries:
            self._back(query, edge)

    def _at_entry(self, query: _Query) -> bool:
        """What else than calls and jumps that are seen can supply it? True where that settles the question."""
        start, region = query.place.region.start, query.place.region
        if not region.anchored or start == self.program.slice.entry or self.program.taken.at(start) is not None:
            self._unknown(query.number, query.outer)
            return True
        if self.program.exported(start) and isinstance(query.number, Constant):
            if isinstance(query.argument, Moved) and isinstance(query.argument.location, str):
                carried, register = query.argument.operations, str(query.argument.location)
                self.carried.add(Carried(query.number.value, self.position, start, register, carried))
            else:
                self._unknown(query.number, query.outer)
        return False

    def _back(self, query: _Query, edge: Edge) -> None:
        """Go back over one edge, and on with where the two came from."""
        if self._is_lost(query, edge):
            query = structs.replace(query, argument=None)
        outer = edge.place.address if edge.enters else query.outer
        for number in self._numbers(query, edge):
            for argument in self._before(query, edge, query.argument):
                self.ask(_Query(edge.place, number, argument, outer))

    def _numbers(self, query: _Query, edge: Edge) -> Iterator[_Held]:
        """What the number was before an edge, and where it is lost there what is told; all else is not said here."""
        for number in self._before(query, edge, query.number):
            if number is not None:
                yield number
                continue
            at = edge.place.address
            self.lost.add(at)
            yield from (Constant(value) for address, value in self.told if address == at)

    def _before(self, query: _Query, edge: Edge, held: _Held | None) -> Iterator[_Held | None]:
        """What was held before an edge; None where that is not known."""
        if not isinstance(held, Moved):
            yield held
            return
        for origin in before(self.program, query.place, edge, held.location):
            source = origin.source
            if isinstance(source, Unknown):
                yield None
            elif isinstance(source, Constant):
                yield Constant(compute(source.value, held.operations))
            else:
                operations = source.operations + held.operations
                yield Moved(source.location, operations) if len(operations) <= MAX_OPERATIONS else None

    def _is_lost(self, query: _Query, edge: Edge) -> bool:
        """Whether a call may have changed a slot: Go's older convention returns results where arguments are passed."""
        location: Location = query.argument.location if isinstance(query.argument, Moved) else ""
        called = edge.kind is Kind.FLOW and edge.place.region.leaving(edge.place.at) is Flow.CALL
        return called and isinstance(location, int) and location < 0 and self.program.is_go(query.place.region)

    def _unknown(self, number: _Held, address: int) -> None:
        """Nothing is known of the argument on some way: for one number, or for whichever it turns out to be."""
        for value in self.numbers if isinstance(number, Moved) else {number.value & BITS} & self.numbers:
            self.given.add(Given(value, self.position, address, None))
