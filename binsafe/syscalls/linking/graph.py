"""One file as a graph: functions and tables of pointers, and what each of them can lead to.

As a linker's garbage collection does (``--gc-sections``) functions and data are nodes alike: that a function's address
stands in a table means nothing until live code refers to the table. Edges come from scanning bytes, not from decoding;
one too many costs precision, one too few would cost a program its life, so where bytes leave a doubt they make an edge.

Nodes are numbered: functions first, then data objects that hold pointers, then imports (names that the loader looks
up in all files).

A linker leaves only those names in a file that something in it refers to. Where nothing but the stub of such a name or
its entry of the global offset table is found, code refers to these in a way that is not looked for here: then the name
counts as called by whoever loads the file.
"""

from collections.abc import Iterator
from functools import cached_property
from itertools import chain
from typing import NamedTuple

import numpy as np

from binsafe.arrays import NDArray
from binsafe.formats.elf_linking import Linking
from binsafe.syscalls.controlflow.incoming import crossing
from binsafe.syscalls.controlflow.program import Program
from binsafe.syscalls.decoding.code import HIGHEST_ADDRESS
from binsafe.syscalls.linking import implicit_edges
from binsafe.syscalls.linking.objects import objects
from binsafe.syscalls.machines.edges import (
    CALLED,
    LOADED,
    LOADED_WIDE,
    LOADED_WIDEST,
    MAYBE_TAKEN,
    TAKEN,
    WIDE,
    WIDEST,
    WORD,
    Addresses,
    Edges,
    joined,
)
from binsafe.syscalls.sets import among, distinct, merged, packed

_NOTHING = np.array([], np.int64)
_AT_ONCE = 1 << 18
"""References that are looked at at a time."""


class Graph(NamedTuple):
    """Nodes and edges of one file."""

    functions: int
    data: Addresses
    """Where each data object starts."""
    imports: tuple[int, ...]
    """Index of each import among the dynamic symbols."""
    sources: Addresses
    targets: Addresses
    entry: int
    """The function that starts a program; -1 where there is none."""
    roots: Addresses
    """What the loader calls in every file: initialisers, finalisers, resolvers; and initial thread-local memory.

    And the imports that are ``unseen``, and whatever is called in ways that cannot be seen, or named in such.
    """
    unseen: Addresses
    """Imports of which it is not seen who uses them."""

    @property
    def nodes(self) -> int:
        """How many there are."""
        return self.functions + len(self.data) + len(self.imports)


def build(program: Program, linking: Linking) -> Graph:
    """The graph of a file that a dynamic linker loads."""
    return _Builder(program, linking).build()


class _Builder:
    def __init__(self, program: Program, linking: Linking) -> None:
        self.program = program
        self.linking = linking
        self.layout = program.layout
        self.functions = len(self.layout.starts)
        self.references = program.references
        self.cuts, self.cut_nodes, self.ends = objects(program, linking)
        self.objects = int(self.cut_nodes.max(initial=-1)) + 1
        used = distinct(program.pointers.symbols)
        self.imports = used[used > 0]

    def build(self) -> Graph:
        edges = chain(
            self._direct(),
            [self._short(), self._falls(), self._edges(*self.program.catching.leading_elsewhere())],
            self._referred(),
            [self._pointed(), implicit_edges.going_on(self.program)],
        )
        pairs = merged(distinct(packed(each.sources, each.targets)) for each in edges)
        lone = self._lone(pairs & np.uint64(0xFFFF_FFFF))
        hopped = implicit_edges.hopped(self.program, self._forsaken(pairs))
        more = joined(implicit_edges.computed(self.program, lone), hopped)
        headless = self._headless(pairs & np.uint64(0xFFFF_FFFF))
        pairs = merged([pairs, packed(more.sources, more.targets), packed(headless.sources, headless.targets)])
        entered = implicit_edges.entered(self.program, self._only(pairs), pairs)
        pairs = merged([pairs, packed(entered.sources, entered.targets)])
        pairs = pairs[pairs >> np.uint64(32) != pairs & np.uint64(0xFFFF_FFFF)]
        sources, targets = (pairs >> np.uint64(32)).astype(np.int32), (pairs & np.uint64(0xFFFF_FFFF)).astype(np.int32)
        del pairs
        unseen = self._unseen(sources, targets)
        return Graph(
            self.functions,
            self.cuts[self.cut_nodes >= 0],
            tuple(self.imports.tolist()),
            sources,
            targets,
            int(self._node(np.array([min(self.program.slice.entry, HIGHEST_ADDRESS)], np.int64))[0]),
            distinct(np.concatenate([self._roots, unseen, self._overlooked(targets)])),
            unseen,
        )

    def _lone(self, targets: NDArray[np.uint64]) -> Addresses:
        """Functions that nothing leads to, and that no other file can ask for."""
        led_to = self._asked_for.copy()
        led_to[targets[targets < self.functions].astype(np.int64)] = True
        return np.flatnonzero(~led_to)

    def _forsaken(self, pairs: NDArray[np.uint64]) -> Addresses:
        """Functions that nothing leads to but such functions, and that no other file can ask for."""
        sources, targets = self._leading(pairs)
        dead, before = np.zeros(self.functions + self.objects + len(self.imports), np.bool_), -1
        while before < (before := int(np.count_nonzero(dead))):
            led_to = self._asked_for.copy()
            led_to[targets[~dead[sources]]] = True
            dead[: self.functions] = ~led_to
        return np.flatnonzero(dead)

    def _leading(self, pairs: NDArray[np.uint64]) -> tuple[Addresses, Addresses]:
        """Those edges, as columns, that lead from anything to another function."""
        sources, targets = (pairs >> np.uint64(32)).astype(np.int64), (pairs & np.uint64(0xFFFF_FFFF)).astype(np.int64)
        kept = (targets < self.functions) & (sources != targets)
        return sources[kept], targets[kept]

    def _only(self, pairs: NDArray[np.uint64]) -> Addresses:
        """For each function the one node that leads to it; -1 where there is none, or several, or others ask for it."""
        sources, targets = self._leading(pairs)
        least, most = np.full(self.functions, HIGHEST_ADDRESS), np.full(self.functions, -1)
        np.minimum.at(least, targets, sources)
        np.maximum.at(most, targets, sources)
        return np.where((least == most) & ~self._asked_for, most, -1)

    @cached_property
    def _asked_for(self) -> NDArray[np.bool_]:
        """Which functions others can ask for, or start."""
        symbols = self.linking.symbols
        known = np.concatenate([self.layout.exact(symbols.values[symbols.defined]), self._roots])
        asked_for = np.zeros(self.functions, np.bool_)
        asked_for[known[(known >= 0) & (known < self.functions)]] = True
        return asked_for

    def _headless(self, targets: NDArray[np.uint64]) -> Edges:
        """From what names the end of an object to which nothing leads to that: both are one, and the name a member's.

        Compilers leave out what nothing uses. So it is with intrusive lists, whose users count back from the list's
        member to the start of the object (``container_of``).
        """
        led_to = np.zeros(self.functions + self.objects, np.bool_)
        led_to[targets[targets < len(led_to)].astype(np.int64)] = True
        lone = np.flatnonzero(~led_to[self.functions :] & (self.ends >= 0))
        ends = self.ends[lone]
        pointers, references = self.program.pointers, self.references
        named, pointed = (np.flatnonzero(among(each, ends)) for each in (references.targets, pointers.targets))
        sources = (
            self._node(ends),
            self.layout.containing(references.sources[named]),
            self._node(pointers.slots[pointed]),
        )
        which = [np.searchsorted(ends, each) for each in (ends, references.targets[named], pointers.targets[pointed])]
        return _known(np.concatenate(sources), self.functions + lone[np.concatenate(which)])

    def _unseen(self, sources: Addresses, targets: Addresses) -> Addresses:
        """Imports that nothing leads to but stubs and single pointers which nothing leads to."""
        first = self.functions + self.objects
        passing, led_to, used = np.zeros((3, first + len(self.imports)), np.bool_)
        stubs = self.layout.exact(np.array(list(self.program.stubs.values()), np.int64))
        single = self._node(self.program.pointers.slots[self.program.pointers.single])
        for each in (stubs, single):
            passing[each[each >= 0]] = True
        led_to[targets] = True
        used[targets[led_to[sources] | ~passing[sources]]] = True
        return first + np.flatnonzero(~used[first:])

    def _overlooked(self, targets: Addresses) -> Addresses:
        """Tables of functions that nothing leads to, and no other file can ask for: compilers keep none without a use.

        What names one is not understood, as GCC's ``lea r12, [rip + table - 2312]`` for ``table[letter - 'a']``.
        """
        pointers, symbols = self.program.pointers, self.linking.symbols
        tables = self._node(pointers.slots[self.program.code.holds(pointers.targets) | (pointers.symbols > 0)])
        known = self._node(np.concatenate([symbols.values[symbols.defined], pointers.slots[pointers.single]]))
        return tables[(tables >= self.functions) & ~among(tables, np.concatenate([targets, known]))]

    def _node(self, addresses: Addresses) -> Addresses:
        """The node of each address: the function that starts there, or the object that holds it; -1 for neither."""
        nodes, in_code = np.full(len(addresses), -1, np.int64), self.program.code.holds(addresses)
        inside, outside = addresses[in_code], addresses[~in_code]
        at = self.layout.containing(inside)
        nodes[in_code] = np.where((self.layout.starts[at] == inside) | (self.layout.ends[at] == 0), at, -1)
        at = np.searchsorted(self.cuts, outside, side="right") - 1
        object_ = np.where(at >= 0, self.cut_nodes[at], -1)
        nodes[~in_code] = np.where(object_ >= 0, object_ + self.functions, -1)
        return nodes

    def _edges(self, sources: Addresses, targets: Addresses) -> Edges:
        """Edges from the functions that hold the sources to the nodes of the targets."""
        return _known(self.layout.containing(sources), self._node(targets))

    def _direct(self) -> Iterator[Edges]:
        return (self._edges(*part) for part in chain(self.program.calls.parts(), self.program.jumps.parts()))

    def _short(self) -> Edges:
        """Jumps of two bytes to a neighbour, confirmed by decoding: as bytes they are too frequent to be believed.

        A program of which tables say too little counts as a whole (`Summary.mapped`), with or without them.
        """
        whole = self.program.slice.kind == "executable" and not self.program.is_mapped()
        found = [] if whole else list(crossing(self.program))
        return (
            self._edges(*(np.array(column, np.int64) for column in zip(*found, strict=True)))
            if found
            else Edges(_NOTHING, _NOTHING)
        )

    def _falls(self) -> Edges:
        at = np.flatnonzero(self.layout.falls)
        return Edges(at, at + 1)

    def _referred(self) -> Iterator[Edges]:
        """To functions and tables whose address is taken; to what single pointers lead to that are loaded."""
        taken = among(self.references.uses, (TAKEN, MAYBE_TAKEN))
        places, targets = self.references.sources[taken], self.references.targets[taken]
        for sources, named in _parts(places, targets):
            node = self._node(named)
            yield _known(self.layout.containing(sources), node)
            users, beside = sources[node < 0], named[node < 0]
            yield self._edges(users, implicit_edges.begun_before(self.program, self.cuts, beside))
            yield self._edges(users, implicit_edges.ended_behind(self.program, beside))
        for part in _parts(*implicit_edges.reached(self.program, Edges(places, targets))):
            yield self._edges(*part)
        bases, functions = self.program.distant
        starts = self.layout.exact(functions) >= 0  # into the middle of one leads a jump table, or nothing but chance
        bases, functions = bases[starts], functions[starts]
        at, counts = _spread(np.searchsorted(targets, bases), np.searchsorted(targets, bases, side="right"))
        yield self._edges(places[at], np.repeat(functions, counts))
        for uses, size in (((LOADED, CALLED), WORD), ((LOADED_WIDE,), WIDE), ((LOADED_WIDEST,), WIDEST)):
            chosen = among(self.references.uses, uses)
            places, targets = self.references.sources[chosen], self.references.targets[chosen]
            first, last = (np.searchsorted(self.program.pointers.slots, targets + by) for by in (1 - WORD, size))
            at, counts = _spread(first, last)
            yield _known(self.layout.containing(np.repeat(places, counts)), self._pointees[at])

    @cached_property
    def _pointees(self) -> Addresses:
        """The node that each pointer leads to; -1 for none."""
        symbols, targets = self.program.pointers.symbols, self.program.pointers.targets
        imported = self.functions + self.objects + np.searchsorted(self.imports, symbols)
        node = np.where(
            self.program.code.holds(targets), implicit_edges.meant(self.layout, targets), self._node(targets)
        )
        return np.where(symbols > 0, imported, node)

    def _pointed(self) -> Edges:
        """From a data object to what its pointers lead to, names that the loader looks up among that.

        From a function, too, into whose code the loader writes them (``DT_TEXTREL``).
        """
        slots = self.program.pointers.slots
        written = self.program.code.holds(slots)
        return _known(np.where(written, self.layout.containing(slots), self._node(slots)), self._pointees)

    @cached_property
    def _roots(self) -> Addresses:
        """All functions of Go: types name their methods by distances from the first (``abi.TextOff``)."""
        started = [min(address, HIGHEST_ADDRESS) for address in self.linking.started]
        slots = self.program.pointers.slots
        inside = np.zeros(len(slots), np.bool_)
        for start, end in self.linking.arrays:
            inside |= (slots >= start) & (slots < end)
        hidden = _NOTHING if self.program.go is None else np.arange(self.functions)
        called = np.array([*started, *self.program.pointers.resolvers.tolist()], np.int64)
        found = np.concatenate([self._node(called), self._pointees[inside], hidden])
        return distinct(found[found >= 0])


def _known(origin: Addresses, node: Addresses) -> Edges:
    """The edges of which both ends are nodes."""
    kept = (origin >= 0) & (node >= 0)
    return Edges(origin[kept], node[kept])


def _spread(first: Addresses, last: Addresses) -> tuple[Addresses, Addresses]:
    """All indices of some ranges, one range behind the other, and how many each has."""
    counts = last - first
    return np.repeat(first - np.cumsum(counts) + counts, counts) + np.arange(counts.sum()), counts


def _parts(*columns: Addresses) -> Iterator[tuple[Addresses, ...]]:
    """Some columns in parts: what is found out about each entry takes several times its own memory."""
    for first in range(0, len(columns[0]), _AT_ONCE):
        yield tuple(column[first : first + _AT_ONCE] for column in columns)
