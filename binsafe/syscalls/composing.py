"""Summaries of a program and of all its libraries -> one graph: names bound as the dynamic linker binds them."""

from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from itertools import accumulate
from typing import NamedTuple

from binsafe.syscalls.patterns import LISTED, asked, is_c_library, service_function
from binsafe.syscalls.reach import UNREACHED, Network
from binsafe.syscalls.summary import Condition, Export, Name, Need, Summary


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
        self._bases = list(accumulate((file.summary.nodes for file in files), initial=0))
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
            for condition in file.summary.conditions
            if condition.absent is None or not exists(condition.absent)
        ]
        self._network = Network(self._bases[-1])
        self._connect()
        self._met: frozenset[int] = frozenset()
        while True:
            self.came_from = self._network.reach(self._roots(), met=self._met)
            met = self._met.union(at for at, (_, each) in enumerate(self._conditions) if self._is_met(each))
            if met == self._met:
                break
            self._met = met

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
            for at, (file, condition) in enumerate(self._conditions)
            if at not in self._met
            for node in condition.sources or ()
            for call in condition.calls
        )

    def node(self, file: int, node: int) -> int:
        """A file's node in the whole graph."""
        return self._bases[file] + node

    def live(self, file: int, node: int) -> bool:
        """Whether a file's node is reached."""
        return self.came_from[self._bases[file] + node] != UNREACHED

    def likely(self) -> list[bool]:
        """Which nodes are reached without passing through a fatal error."""
        fatal = [self.node(number, node) for number, file in enumerate(self.files) for node in file.summary.fatal]
        return [origin != UNREACHED for origin in self._network.reach(self._roots(), fatal, self._met)]

    def way(self, file: int, node: int) -> list[Step]:
        """The nodes on the shortest way from a root to a node, both included."""
        steps = []
        at = self.node(file, node)
        while at >= 0:
            steps.append(self._step(at))
            at = self.came_from[at]
        return steps[::-1]

    def _connect(self) -> None:
        """Edges of the files themselves, those on conditions, from imports to what they are bound to, by name."""
        for number, file in enumerate(self.files):
            base, summary = self._bases[number], file.summary
            self._network.add(_without_lists(summary) if is_c_library(summary) else summary.edges(), base)
            first = base + summary.nodes - len(summary.imports)
            for at, wanted in enumerate(summary.imports):
                found = self._bind(number, wanted)
                if found is not None:
                    self._network.bind(first + at, self._span(*found))
            for node, name in asked(summary):  # whichever file is asked
                for found in (*self._exports.get(name, ()), *self._services.get(name, ())):
                    self._network.bind(base + node, self._span(*found))
        for at, (number, condition) in enumerate(self._conditions):
            sources = None if condition.sources is None else {self.node(number, node) for node in condition.sources}
            for node in condition.targets:
                self._network.guard(self.node(number, node), sources, at)

    def _span(self, file: int, export: Export) -> range:
        return range(self.node(file, export.first), self.node(file, export.last))

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
            yield from (base + node for node in summary.started())
            if file.started and summary.entry >= 0:
                yield base + summary.entry
            if file.whole:
                yield from range(base, base + summary.nodes)
            if file.exported:
                yield from (base + node for export in summary.exports for node in range(export.first, export.last))

    def _step(self, at: int) -> Step:
        number = bisect_right(self._bases, at) - 1
        file, node = self.files[number], at - self._bases[number]
        own = file.summary.nodes - len(file.summary.imports)
        if node >= own:
            return Step(file.name, None, file.summary.imports[node - own].name)
        address = file.summary.addresses()[node]
        name = next((e.name for e in file.summary.exports if e.address == address), None)
        return Step(file.name, address, name)


def _without_lists(library: Summary) -> Iterator[tuple[int, int]]:
    """The edges of the C library but for those that only list the functions of the name services built into it.

    ``__nss_files_functions`` and ``__nss_dns_functions`` (``nss/nss_module.h``) fill the same table that is filled by
    looking names up in a library: as there, what is called of it are the names in `patterns.asked`.
    """
    functions = {e.first for e in library.exports if service_function(e.name) and e.first < e.last}
    serving = Counter(source for source, target in library.edges() if target in functions)
    for source, target in library.edges():
        if target not in functions or serving[source] < LISTED:
            yield source, target
