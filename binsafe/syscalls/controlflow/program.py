"""The whole program: what the other packages ask about its code.

Code is decoded only where it is asked for, one region at a time; before, all is scanned for branches and addresses.
The other modules of this package find the answers, each with a weak reference to the program.
"""

import weakref
from bisect import bisect_right
from collections.abc import Collection, Container, Mapping
from functools import cached_property
from itertools import chain

import numpy as np

from binsafe.formats import eh_frame, gopclntab
from binsafe.formats.eh_frame_hdr import listed
from binsafe.formats.elf_linking import Linking
from binsafe.model import Slice
from binsafe.syscalls.controlflow.address_taken import Taken
from binsafe.syscalls.controlflow.bounds import Bounds, Span
from binsafe.syscalls.controlflow.catching import Catching
from binsafe.syscalls.controlflow.distances import named_by_distance
from binsafe.syscalls.controlflow.incoming import Incoming
from binsafe.syscalls.controlflow.index import Index, Referring
from binsafe.syscalls.controlflow.layout import layout
from binsafe.syscalls.controlflow.outlined import Outlined
from binsafe.syscalls.controlflow.places import Edge, Place
from binsafe.syscalls.controlflow.pointers import pointers
from binsafe.syscalls.controlflow.regions import Region
from binsafe.syscalls.controlflow.slots import Slots, stubs_of
from binsafe.syscalls.controlflow.switches import Cases, Switches
from binsafe.syscalls.decoding.code import Code, CodeRange
from binsafe.syscalls.decoding.decode import LONGEST, Decoder, Detail, Instruction
from binsafe.syscalls.machines.edges import Addresses, Edges, References, joined
from binsafe.syscalls.machines.machine import Location, Machine, Source, Step
from binsafe.syscalls.sets import distinct

_MAX_KEPT_BYTES = 1 << 26
"""Memory for decoded instructions that are kept; what is found out about them takes half as much again."""
_SCANNED_BYTES = 1 << 10
"""Bytes that a scan passes over while one instruction is decoded, roughly."""
_UNMAPPED_PART = 0.05
_START_UP_CODE = 1024
"""Bytes in `crt1.o` and its like that no table mentions: much of a small program."""


class Program:
    """One file and its code. Regions are decoded when they are asked for, and kept as long as there is room."""

    def __init__(
        self,
        slice_: Slice,
        machine: Machine,
        decoder: Decoder,
        linking: Linking | None = None,
        go: gopclntab.FunctionTable | None = None,
    ) -> None:
        """``go`` is Go's own table of functions, if it was read already."""
        self.slice = slice_
        self.machine = machine
        self.decoder = decoder
        self.code = Code(slice_)
        decoder.spend(self.code.size // _SCANNED_BYTES)
        self.calls = Index(self.code, machine.calls, decoder.spend)
        self.jumps = Index(self.code, machine.jumps, decoder.spend)
        self.go = gopclntab.functions(slice_) if go is None else go
        """Go's own table; None for other programs."""
        self.pointers = pointers(slice_, self.code, linking, self.go)
        self.stubs = stubs_of(slice_, self.code, self.pointers)
        """Slot of the global offset table -> the stub that jumps to where it points."""
        unwound = listed(slice_, linking)
        self.layout = layout(
            slice_,
            self.code,
            linking=linking,
            table=self.go,
            stubs=np.array(list(self.stubs.values()), np.int64),
            led_to=np.concatenate([self.calls.targets, self.pointers.targets]),
            unwound=unwound,
            told=None if unwound is None or len(unwound.starts) else self.frames,
        )
        here: Program = weakref.proxy(self)  # in a circle all would stay in memory until somebody looks for such
        self._bounds = Bounds(here)
        self.catching = Catching(slice_, unwound, decoder.spend)
        self._regions: dict[int, Region] = {}
        self._begun: set[int] = set()
        """Regions that were decoded in part."""
        self._kept = 0
        self._details: dict[int, Detail | None] = {}
        self.incoming = Incoming(here)
        self.outlined = Outlined(here)
        self.switches = Switches(here)
        self.taken = Taken(here)
        self.returning: dict[int, bool] = {}
        """See `returns`: what is known already."""
        self.onward: dict[tuple[int, str], tuple[tuple[int | str, str], ...] | None] = {}
        """See `registers`: what functions do with what they are given in a register, as far as is known."""
        self.leading = False
        """See `led_to`: whether it is being asked where a jump through a pointer leads."""
        self.slots = Slots(here, linking)
        self._exported = (
            np.array([], np.int64) if linking is None else distinct(linking.symbols.values[linking.symbols.defined])
        )

    def start(self, address: int) -> int:
        """The start of the function that holds an address of code, as far as tables and code tell."""
        return self._bounds.start(address)

    def span(self, address: int) -> Span | None:
        """Where the region starts and ends that holds an address; None where there is no code."""
        return self._bounds.span(address)

    def is_known(self, start: int) -> bool:
        """Whether a function starts there of which a table of the file says where it ends."""
        return self.go is not None or self._bounds.is_known(start)

    def exported(self, address: int) -> bool:
        """Whether other files can call what starts at an address."""
        at = int(np.searchsorted(self._exported, address))
        return at < len(self._exported) and bool(self._exported[at] == address)

    def is_mapped(self) -> bool:
        """Whether it is position-independent, and tables name the functions of nearly all of its code."""
        if not self.slice.traits.get("pie", False):
            return False  # its code names addresses in more ways than are looked for
        starts, ends = self.layout.starts, self.layout.ends
        missing = self.code.size - int(np.where(ends > 0, ends - starts, 0).sum())
        return missing <= max(_START_UP_CODE, _UNMAPPED_PART * self.code.size)

    def is_go(self, region: Region) -> bool:
        """Whether it is code that Go's own table lists and so follows Go's conventions."""
        return self.go_name(region.start) is not None

    def go_name(self, address: int) -> str | None:
        """The name of the Go function that holds an address; None for other code."""
        index = None if self.go is None else self.go.containing(address)
        return None if self.go is None or index is None else self.go.name(index)

    def go_function(self, address: int) -> int | None:
        """Where the Go function starts that holds an address; None for other code."""
        index = None if self.go is None else self.go.containing(address)
        return None if self.go is None or index is None else self.go.addresses[index]

    def region(self, address: int) -> Region | None:
        """The region that holds an address of executable memory."""
        span = self._bounds.span(address)
        if span is None:
            return None
        start = span.start
        if start not in self._regions:
            instructions = self.decoder.sweep(self.code.read(start, span.end), start)
            self._make_room(instructions.kept_bytes)
            known = span.anchored and self.is_known(start)
            self._regions[start] = Region(
                self.machine, start, instructions, anchored=span.anchored, known=known, catching=self.catching
            )
        return self._regions[start]

    def is_start(self, address: int) -> bool:
        """Whether an instruction starts at an address.

        The first question about a region decodes it up to that address only; the second one decodes all of it.
        """
        span = self._bounds.span(address)
        if span is None or span.start in self._regions or span.start in self._begun:
            return self.place(address) is not None
        self._begun.add(span.start)
        code = self.code.read(span.start, min(span.end, address + LONGEST))
        return self.decoder.sweep(code, span.start).at(address) is not None

    def forget(self, start: int) -> None:
        """Drop what is known about the region that starts there: its bounds have changed."""
        self._regions.pop(start, None)
        self.incoming.forget(start)
        self.switches.forget(start)
        self.onward.clear()

    def _make_room(self, size: int) -> None:
        """Drop all decoded regions when they take too much memory; what is asked for again is decoded again."""
        self._kept += size
        if self._kept > _MAX_KEPT_BYTES:
            self._regions.clear()
            self._details.clear()
            self.incoming.forget_all()
            self.switches.forget_all()
            self._kept = size

    def place(self, address: int) -> Place | None:
        """The instruction that starts at an address; None if none does when its region is decoded."""
        region = self.region(address)
        index = None if region is None else region.at(address)
        return None if region is None or index is None else Place(region, index)

    def branch(self, opcode: int) -> Place | None:
        """The instruction whose opcode stands at an address, behind its prefixes: scans find branches by their opcode.

        Linkers make ``addr32 call`` of a call through a slot that they know (psABI, B.2), compilers write ``bnd``.
        """
        region = self.region(opcode)
        at = -1 if region is None else bisect_right(region.instructions.addresses, opcode) - 1
        if region is None or at < 0:
            return None
        before = self.code.read(region.instructions.addresses[at], opcode)
        return Place(region, at) if self.machine.prefixes.issuperset(before) else None

    def callee(self, call: Place) -> int | None:
        """What a call leads to, be it through the global offset table; None where that is not known."""
        target = call.region.flow(call.at)[1]
        named = self.machine.named(call.region.instructions, call.at, call.at) if target is None else ()
        return self.slots.target(named[0]) if len(named) == 1 else target

    def sources(self, place: Place, location: Location, *, own: bool = False) -> tuple[Source, ...] | None:
        """See `Machine.sources`: where the value comes from that a location holds after an instruction.

        A slot of the compiler's ``own`` changes by no store through a pointer.
        """
        if self.machine.keeps(place.region.instructions, place.at, location):
            return None
        return self.machine.sources(self._step(place, own=own), location)

    def after(self, place: Place, known: Mapping[str, int]) -> Mapping[str, int]:
        """See `Machine.after`: the registers whose value is known after an instruction."""
        return self.machine.after(self._step(place), known)

    def leads(self, place: Place, known: Mapping[str, int]) -> int | None:
        """See `Machine.leads`: the target of an indirect jump."""
        return self.machine.leads(self._step(place), known)

    def _step(self, place: Place, *, own: bool = False) -> Step:
        return Step(
            place.instruction,
            lambda: place.region.frames[place.at],
            lambda: self._detail(place.instruction),
            self.code.constant,
            (lambda _: False) if own else place.region.is_exposed,
        )

    def entries(self, place: Place) -> list[Edge]:
        """All edges to an instruction from other regions, calls included, and from code whose exceptions it catches."""
        return self.incoming.entries(place)

    def may_be_gone_to(self, place: Place) -> bool:
        """Whether code may come to a place inside of a function by its address: held in memory, taken or computed.

        Not where jump tables of the function lead there, which hold it. Of Go see `Switches.labels`.
        """
        region, address, taken = place.region, place.address, self.taken
        if not place.at:
            return False
        at = int(np.searchsorted(self.held, address))
        held = at < len(self.held) and bool(self.held[at] == address) and not self.is_go(region)
        if held and place.at not in (self.jumped_to(region) or ()):
            return True
        found = chain(taken.at_odd_places(address), taken.label(address))
        return next(found, None) is not None or taken.stray(region, address) is not None

    def undisturbed(self, place: Place, locations: Collection[Location], stops: Container[int] = ()) -> Place:
        """The earliest instruction before ``place`` in the same basic block behind which the locations are unchanged.

        Nor does a branch in between say what one of them holds where it is not taken. It goes back no further than to
        an index of ``stops``, the targets of jump tables.
        """
        return self.incoming.undisturbed(place, locations, stops)

    def cases(self, region: Region) -> Cases | None:
        """Where the jump tables of a region lead; None where one could not be read."""
        return self.switches.cases(region)

    def jumped_to(self, region: Region) -> Mapping[int, tuple[int, ...]] | None:
        """Index -> the jumps of the region that lead there through jump tables; None where one could not be read."""
        cases = self.cases(region)
        return None if cases is None else cases.inside

    def named_at(self, place: Place) -> tuple[int, ...]:
        """The addresses that an instruction may name.

        Where one can hold a whole address, what stands before it says no more: to look there would ask who leads to it,
        of one function inside of another without end.
        """
        straight = place.at if self.machine.names_absolutely else self.undisturbed(place, ()).at
        return self.machine.named(place.region.instructions, place.at, straight)

    def one_named_at(self, place: Place) -> int | None:
        """The address that an instruction names; None where it names none, or may name several."""
        named = self.named_at(place)
        return named[0] if len(named) == 1 else None

    @cached_property
    def frames(self) -> eh_frame.Frames | None:
        """What the unwinder is told; None where not all of it is understood."""
        return eh_frame.frames(self.slice)

    @cached_property
    def held(self) -> Addresses:
        """The addresses that memory holds, ascending; -1 for those of symbols."""
        return np.sort(self.pointers.targets)

    @cached_property
    def references(self) -> Referring:
        """All instructions that name addresses of the file's memory."""
        fixed = not self.slice.traits.get("pie") and self.go is None  # Go's assembler has a ``lea`` for ``$f(SB)``

        def scan(piece: CodeRange) -> References:
            whole = self.code.range_of(piece.address) or piece
            return self.machine.references(self.machine.restored(piece, whole), fixed=fixed)

        return Referring(self.code, scan, self.decoder.spend)

    @cached_property
    def distant(self) -> Edges:
        """See `named_by_distance`; by target."""
        none = np.array([], np.int64)
        found = joined(Edges(none, none), *named_by_distance(self))
        order = np.argsort(found.targets, kind="stable")
        return Edges(found.sources[order], found.targets[order])

    def _detail(self, instruction: Instruction) -> Detail | None:
        address, size, code = instruction.address, instruction.size, self.code
        if address not in self._details:
            self._details[address] = self.decoder.detail(lambda: code.read(address, address + size), instruction)
        return self._details[address]
