"""Summaries of a program and of all its libraries -> one graph: names bound as the dynamic linker binds them."""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from binsafe.syscalls import habits
from binsafe.syscalls.conditions import Condition, Need, conditional
from binsafe.syscalls.patterns import asked, handed_out, is_c_library, service_function
from binsafe.syscalls.reach import UNREACHED, Network
from binsafe.syscalls.summary import Export, Name, Summary

_Column = np.ndarray[tuple[int], np.dtype[np.int64]]


class File(NamedTuple):
    """A program or library in load order; everything in a ``whole`` one counts as reached."""

    name: str
    summary: Summary
    whole: bool = False
    started: bool = False
    """Whether the kernel starts it: the program, and its interpreter."""
    exported: bool = False
    """Whether all that it exports counts as reached: it is loaded at run time, and its symbols are asked for then."""


class Step(NamedTuple):
    """One node on a way: the file it lies in, its address (None for a name that is looked up), and a name for it."""

    file: str
    address: int | None
    name: str | None


class Closure:
    """All files as one graph; a node's number is its own file's plus the file's base."""

    def __init__(self, files: Sequence[File], exists: Callable[[str], bool] = lambda _: True) -> None:
        """``exists`` tells whether something is at a path of the system, see `binsafe.syscalls.habits`."""
        self.files = files
        self._bases = np.cumsum([0, *(file.summary.nodes for file in files)]).tolist()
        self._exports: dict[str, list[tuple[int, Export]]] = {}
        self._services: dict[str, list[tuple[int, Export]]] = {}
        for number, file in enumerate(files):
            for export in file.summary.exports:
                self._exports.setdefault(export.name, []).append((number, export))
                service = service_function(export.name)
                if service is not None:
                    self._services.setdefault(service, []).append((number, export))
        self._conditions = [
            (number, condition)
            for number, file in enumerate(files)
            for condition in habits.conditions(file.summary, exists)
        ]
        columns = [*self._own_edges(), *self._bound_edges(), *self._asked_edges()]
        sources, targets, depending = (np.concatenate(column) for column in zip(*columns, strict=True))
        self._network = Network(self._bases[-1], sources, targets, depending)
        self._met = np.zeros(len(self._conditions) + 1, np.bool_)
        self._met[0] = True
        while True:
            self.came_from = self._network.reach(self._roots(), met=self._met)
            met = np.array([True, *(self._is_met(condition) for _, condition in self._conditions)])
            if (met == self._met).all():
                break
            self._met |= met

    def reached(self, name: str) -> bool:
        """Whether a definition of a name is reached."""
        return any(self.live(number, e.first) for number, e in self._exports.get(name, ()) if e.first < e.last)

    def _is_met(self, condition: Condition) -> bool:
        return any(self.reached(need.name) and self._has_bits(need) for need in condition.needs)

    def _has_bits(self, need: Need) -> bool:
        """Whether what is passed to the function can have one of the bits: unless it is known of all that call it."""
        if need.bits is None:
            return True
        passed = [
            each.value
            for number, file in enumerate(self.files)
            for each in file.summary.passed
            if each.imported == need.name and self.live(number, each.node)
        ]
        asked_for = any(name == need.name for file in self.files for _, name in asked(file.summary))
        return asked_for or any(value is None or value & need.bits for value in passed)

    def never(self) -> frozenset[tuple[int, int, str]]:
        """(file, node, call) of the calls that are not made: their condition is not met."""
        return frozenset(
            (file, node, call)
            for (file, condition), met in zip(self._conditions, self._met[1:], strict=True)
            if not met
            for node in condition.sources or ()
            for call in condition.calls
        )

    def node(self, file: int, node: int) -> int:
        """A file's node in the whole graph."""
        return int(self._bases[file]) + node

    def live(self, file: int, node: int) -> bool:
        """Whether a file's node is reached."""
        return bool(self.came_from[self.node(file, node)] != UNREACHED)

    def likely(self) -> "np.ndarray[tuple[int], np.dtype[np.bool_]]":
        """Which nodes are reached without passing through a fatal error."""
        fatal = [self.node(number, node) for number, file in enumerate(self.files) for node in file.summary.fatal]
        found: np.ndarray[tuple[int], np.dtype[np.bool_]] = (
            self._network.reach(self._roots(), fatal, self._met) != UNREACHED
        )
        return found

    def way(self, file: int, node: int) -> list[Step]:
        """The nodes on the shortest way from a root to a node, both included."""
        steps = []
        at = self.node(file, node)
        while at >= 0:
            steps.append(self._step(at))
            at = int(self.came_from[at])
        return steps[::-1]

    def _own_edges(self) -> Iterator[tuple[_Column, _Column, _Column]]:
        for number, (file, base) in enumerate(zip(self.files, self._bases, strict=False)):
            sources, targets = file.summary.edges()
            if is_c_library(file.summary):
                kept = ~handed_out(file.summary, sources, targets)
                sources, targets = sources[kept], targets[kept]
            depending = np.zeros(len(sources), np.int64)
            for at, (owner, condition) in enumerate(self._conditions, start=1):
                if owner == number and condition.targets:
                    depending[conditional(condition, sources, targets)] = at
            yield sources + base, targets + base, depending

    def _bound_edges(self) -> Iterator[tuple[_Column, _Column, _Column]]:
        for number, file in enumerate(self.files):
            first = self.node(number, file.summary.nodes - len(file.summary.imports))
            for at, wanted in enumerate(file.summary.imports):
                found = self._bind(number, wanted)
                if found is not None:
                    targets = np.arange(found[1].first, found[1].last) + self._bases[found[0]]
                    yield np.full(len(targets), first + at, np.int64), targets, np.zeros_like(targets)

    def _asked_edges(self) -> Iterator[tuple[_Column, _Column, _Column]]:
        """From code that looks a name up at run time to every definition of it, whichever file is asked."""
        pairs = [
            (self.node(number, node), self.node(defining, target))
            for number, file in enumerate(self.files)
            for node, name in asked(file.summary)
            for defining, export in (*self._exports.get(name, ()), *self._services.get(name, ()))
            for target in range(export.first, export.last)
        ]
        if pairs:
            sources, targets = np.array(pairs, np.int64).T
            yield sources, targets, np.zeros_like(targets)

    def _bind(self, asking: int, wanted: Name) -> tuple[int, Export] | None:
        """The definition that the linker takes: the first in load order with that name and version.

        Who asks without a version gets a default one; a definition without a version serves everybody. For a copied
        object the asking file's own definition is the copy, not what is meant.
        """
        found = self._exports.get(wanted.name, ())
        for number, export in found:
            fits = wanted.version is None or export.version in {None, wanted.version}
            usable = export.default or (wanted.version is not None and export.version == wanted.version)
            if fits and usable and not (wanted.copied and number == asking):
                return number, export
        return next(((number, export) for number, export in found if number != asking), None)

    def _roots(self) -> Iterator[int]:
        for number, file in enumerate(self.files):
            summary, base = file.summary, self._bases[number]
            yield from (np.frombuffer(summary.roots, np.dtype("<i4")) + base).tolist()
            if file.started and summary.entry >= 0:
                yield base + summary.entry
            if file.whole:
                yield from range(base, base + summary.nodes)
            if file.exported:
                yield from (base + node for export in summary.exports for node in range(export.first, export.last))

    def _step(self, at: int) -> Step:
        number = int(np.searchsorted(self._bases, at, side="right")) - 1
        file, node = self.files[number], at - self._bases[number]
        own = file.summary.nodes - len(file.summary.imports)
        if node >= own:
            return Step(file.name, None, file.summary.imports[node - own].name)
        address = int(file.summary.addresses()[node])
        name = next((e.name for e in file.summary.exports if e.address == address), None)
        return Step(file.name, address, name)
