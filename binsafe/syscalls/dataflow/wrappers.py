"""The number of a system call, by a walk backward from its site.

The walk follows one location (the number's register at first) to where its value comes from. Where it comes to the
first instruction of a function, the number is a parameter and the function a *wrapper*: the walk goes on at every
direct call of it, and at every jump and fall into it, as many levels up as there are. No convention for arguments is
needed for that, so stripped C, Go's register and stack conventions and hand-written assembler are one case.

Each step back is `backward`'s, and takes for granted what is said there. Mostly one of the first tells the number, and
nothing but the instruction before leads to each: that is seen at once, without a walk.
"""

from collections import deque
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from msgspec import Struct, structs

from binsafe.syscalls.controlflow.incoming import NEAR
from binsafe.syscalls.controlflow.places import Edge, Kind, Place
from binsafe.syscalls.controlflow.program import Program
from binsafe.syscalls.controlflow.regions import Region
from binsafe.syscalls.dataflow.backward import before, is_upper_half
from binsafe.syscalls.machines.arithmetic import Operation, compute, result
from binsafe.syscalls.machines.machine import Constant, Flow, Location, Unknown

MAX_OPERATIONS = 16
"""Arithmetic on one number, each step of 32 bits counting twice; a loop that counts it up has no end."""
_MAX_STEPS = 20_000
"""Instructions that one walk goes back; the longest that found an answer took 3,000."""
_NEAR_STEPS = 20
"""As many more for each place where it begins: of all the nearest come first, so that no endless way hides another."""
_ALL = -1
"""In place of an index: all computed jumps of a region."""
_MAX_STEPS_IN_DOUBT = 300
"""The same from what may be no code at all: constants among code lead to and fro without an end. In 75 real programs
those that are code have their number one step away, and what is found more than 261 away is no number of a call."""
_UNLED = "no way leads to this code but one that is computed"
_STARTS_ANEW = "runtime.morestack"
"""What Go calls where the stack is too small, before anything else: behind it the function begins again, with the
parameters that it had (cmd/internal/obj/x86/obj6.go and arm64/obj7.go, ``stacksplit``)."""
_SEEN = (1 << 32) - 1
"""Bits of a number that the kernel looks at."""
_MAX_SEARCHED = 4_000
"""Instructions of a function that are looked through for branches to a site; in longer ones numbers are walked to."""
STEP_COST = 100
"""A step back takes as long as decoding so many instructions."""


class Number(NamedTuple):
    """A number that a site can be given; ``address`` is the site, or the outermost call or jump that leads there."""

    value: int
    address: int


class Gap(NamedTuple):
    """A way to a site whose number could not be told."""

    address: int
    reason: str


class Parameter(NamedTuple):
    """The number is what other files pass to an exported function, after some arithmetic."""

    function: int
    location: str
    operations: tuple[Operation, ...]


class Resolution(NamedTuple):
    """All that one site, or one argument, can be given."""

    numbers: frozenset[Number]
    gaps: frozenset[Gap]
    parameters: frozenset[Parameter] = frozenset()


class _Query(Struct, frozen=True):
    """What does ``location`` hold just before ``place``? ``outer`` is the last crossing on the way from the site."""

    place: Place
    location: Location
    operations: tuple[Operation, ...]
    outer: int


def resolve(program: Program, site: Place, led_to: int, *, plausible: bool) -> Resolution:
    """Every number that a site can be given, of which the kernel sees 32 bits, and every way on which it is not told.

    ``plausible`` as `sites.is_plausible` says, ``led_to`` as `Incoming.last_leading_to`.

    Raises:
        OutOfInstructions: the budget was used up on the way.
    """
    steps = _MAX_STEPS if plausible else _MAX_STEPS_IN_DOUBT
    return _set_before(program, site, led_to) or argument(program, [site], program.machine.number, steps=steps)


def argument(
    program: Program, places: Iterable[Place], location: Location, *, bits: int = 32, steps: int = _MAX_STEPS
) -> Resolution:
    """All that the low ``bits`` of a location can hold before some instructions: sites, or calls of one function.

    Raises:
        OutOfInstructions: the budget was used up on the way.
    """
    walk = _Walk(program, (1 << bits) - 1)
    for place in places:
        walk.ask(_Query(place, location, (), place.address))
    several = len(walk.pending) > 1
    for _ in range(steps + _NEAR_STEPS * len(walk.pending) * several):
        if not walk.pending:
            break
        walk.advance(walk.pending.popleft() if several else walk.pending.pop())
    if walk.pending:
        walk.gap(walk.pending[0].place.address, "the number is set too far away")
    return Resolution(frozenset(walk.numbers), frozenset(walk.gaps), frozenset(walk.parameters))


def _set_before(program: Program, site: Place, led_to: int) -> Resolution | None:
    """What the walk would find where an instruction shortly before a site sets its number, and control runs straight.

    None where more may lead there. So it is for nine of the C library's sites in ten; most of
    these `sites.find` tells by their bytes alone.
    """
    region, instructions = site.region, site.region.instructions
    if len(instructions) > _MAX_SEARCHED or region.indirect_jumps or region.caught is None:
        return None
    for at in range(site.at - 1, -1, -1):
        behind = instructions.addresses[at + 1]
        if led_to >= behind or behind <= site.address - NEAR or region.leaving(at) is not Flow.NEXT:
            return None
        if at + 1 in region.pads or instructions.end_in(behind):
            return None
        if program.taken.stray(region, behind) is not None or any(program.taken.at_odd_places(behind)):
            return None
        sources = program.sources(Place(region, at), program.machine.number)
        if sources is None:
            continue
        numbers = [Number(source.value & _SEEN, site.address) for source in sources if isinstance(source, Constant)]
        program.decoder.spend(STEP_COST)
        return Resolution(frozenset(numbers), frozenset()) if numbers and len(numbers) == len(sources) else None
    return None


class _Walk:
    def __init__(self, program: Program, mask: int) -> None:
        self.program = program
        self.mask = mask
        self.parameters: set[Parameter] = set()
        self.pending: deque[_Query] = deque()
        self.numbers: set[Number] = set()
        self.gaps: set[Gap] = set()
        self.seen: set[tuple[int, Location, tuple[Operation, ...]]] = set()
        self.passed: set[tuple[int, int, Location, tuple[Operation, ...]]] = set()

    def ask(self, query: _Query) -> None:
        """Put a question on the list, unless it was there before."""
        key = (query.place.address, query.location, query.operations)
        if key not in self.seen:
            self.seen.add(key)
            self.pending.append(query)

    def advance(self, query: _Query) -> None:
        """Go one instruction back, on every way."""
        self._unless_unread(query.place)
        read = self.program.jumped_to(query.place.region)
        tables = self.program.switches.ways(query.place.region)
        query = structs.replace(query, place=self.program.undisturbed(query.place, (query.location,), tables))
        region, at = query.place.region, query.place.at
        if region.is_unreachable(at):
            self._unless_computed(query.place)
            return
        inner, entries = region.direct_predecessors(at), self.program.entries(query.place)
        computed: Sequence[int] = tables.get(at, ())
        if at:
            self._unless_computed(query.place)
        else:
            self._at_entry(query)
        if at in tables and not computed:
            self.gap(query.place.address, _UNLED)
        if at and not inner and not computed:
            # what nothing leads to may be reached through a table that could not be read
            unseen = read is None or at not in region.pads
            computed = region.indirect_jumps if unseen and self._is_first(region, _ALL, query) else ()
            if not entries and not region.indirect_jumps and not region.ends_before(at):
                self.gap(query.place.address, _UNLED)
        self.program.decoder.spend(STEP_COST * max(1, len(inner) + len(computed) + len(entries)))
        for index in (*inner, *computed):
            if self._is_first(region, index, query):
                self._back(query, Edge(Kind.FLOW, Place(region, index)))
        for edge in entries:
            self._back(query, edge)

    def _unless_unread(self, place: Place) -> None:
        """Tell of ways that may lead to any instruction of a region."""
        if place.region.caught is None:
            self.gap(place.address, "it is not understood where exceptions are caught")
        if (jump := self.program.switches.in_doubt(place.region)) is not None:
            self.gap(jump, "it is not understood where this jump leads")

    def _unless_computed(self, place: Place) -> None:
        """Tell of jumps into a function to addresses that are computed or stored, which may lead to a place in it."""
        taken = self.program.taken
        if (used := next(taken.label(place.address), None)) is not None:
            self.gap(place.address, f"what uses the address taken at {used:#x} may lead to this code")
        self._unless_changed(place.region, place.address)
        if any(taken.at_odd_places(place.region.instructions.addresses[place.region.behind_padding(place.at)])):
            self.gap(place.address, _UNLED)

    def _unless_changed(self, region: Region, address: int) -> None:
        """Tell of an address in a region of which another is made: see `Taken.stray`."""
        if (used := self.program.taken.stray(region, address)) is not None:
            self.gap(address, f"what is computed from the address taken at {used:#x} may lead to this code")

    def _at_entry(self, query: _Query) -> None:
        """The number is a parameter: what else than direct calls can supply it?"""
        region = query.place.region
        if not region.anchored:
            self.gap(region.start, "the number is set far away in a very large function")
        elif region.start == self.program.slice.entry:
            self.gap(region.start, "the number would be what the kernel starts the program with")
        else:
            taken = self.program.taken.at(region.start)
            if taken is not None:
                self.gap(region.start, f"the number is a parameter of a function whose address is taken at {taken:#x}")
            if self.program.exported(region.start):
                self._from_outside(query)

    def _from_outside(self, query: _Query) -> None:
        """Other files call the function: they supply it too, where the convention lets them."""
        if isinstance(query.location, str):
            self.parameters.add(Parameter(query.place.region.start, query.location, query.operations))
        else:
            self.gap(query.place.address, "the number is on the stack of whoever calls from another file")

    def _is_first(self, region: Region, index: int, query: _Query) -> bool:
        """Whether no walk has passed an instruction with this question yet: a jump table's many targets all do."""
        key = (region.start, index, query.location, query.operations)
        known = key in self.passed
        self.passed.add(key)
        return not known

    def _back(self, query: _Query, edge: Edge) -> None:
        """Go back over one edge, and on with where the value came from."""
        outer = edge.place.address if edge.enters else query.outer
        if edge.kind is Kind.ENTRY:  # a label in the middle of a function may be taken for the start of one
            self._unless_changed(edge.place.region, query.place.address)
        origins = [*before(self.program, query.place, edge, query.location)]
        if not origins and edge.kind is Kind.FLOW:
            self._behind(edge.place)
        for origin in origins:
            source, address = origin.source, origin.address
            if isinstance(source, Unknown):
                self.gap(address, f"the number is {source.reason}")
            elif isinstance(source, Constant):
                self.numbers.add(Number(compute(source.value, query.operations) & self.mask, outer))
            elif is_upper_half(source, query.operations):
                self.gap(address, "the number is the upper half of what two stores may have made")
            elif len(operations := source.operations + query.operations) > MAX_OPERATIONS:
                self.gap(address, "the number is computed in too many steps")
            elif (number := result(operations, self.mask)) is not None:
                self.numbers.add(Number(number, outer))
            else:
                self.ask(_Query(edge.place, source.location, operations, outer))

    def _behind(self, call: Place) -> None:
        """Behind a call that does not return a function may begin: what leads there?"""
        region, called = call.region, self.program.callee(call)
        if called is not None and (self.program.go_name(called) or "").startswith(_STARTS_ANEW):
            return
        at = region.behind_padding(call.at + 1)
        tables = self.program.jumped_to(region)
        led = at in region.jumps_to or at in region.pads or tables is None or at in tables
        begin = Place(region, at)
        if not led and not region.is_padding(at) and not self.program.entries(begin):
            self.gap(begin.address, _UNLED)

    def gap(self, address: int, reason: str) -> None:
        """Say where the number could not be told, and why."""
        self.gaps.add(Gap(address, reason))
