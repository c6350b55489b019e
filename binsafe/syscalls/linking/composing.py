"""Summaries of a program and of all its libraries -> one graph: names bound as the dynamic linker binds them."""

from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from itertools import chain, pairwise
from typing import NamedTuple

from binsafe.syscalls.linking.c_library import asked, asked_of_services
from binsafe.syscalls.linking.exports import Export
from binsafe.syscalls.linking.reach import Network, Reached
from binsafe.syscalls.linking.summary import Condition, Name, Need, Summary


class File(NamedTuple):
    """A program or library in load order; everything in a ``whole`` one counts as reached."""

    name: str
    summary: Summary
    whole: bool = False
    started: bool = False
    """Whether the kernel starts it: the program, and its interpreter."""
    exported: bool = False
    """Whether all that it exports counts as reached: it is loaded at run time, and its symbols are asked for then."""
    late: bool = False
    """Whether it may be loaded at run time, or for one that is: names are bound in a scope of its own, too."""
    one_build_of_several: bool = False
    """Whether it is one of several builds of a library, of which the processor decides which one is loaded."""

    @property
    def may_be_passed_over(self) -> bool:
        """Whether a name that it defines may be bound to a file behind it."""
        return self.late or self.one_build_of_several


class Step(NamedTuple):
    """One node on a way: the file it lies in, its address (None for a name that is looked up), and a name for it."""

    file: str
    address: int | None
    name: str | None


class Closure:
    """All files as one graph; a node's number is its own file's plus the file's base."""

    def __init__(self, files: Sequence[File], exists: Callable[[str], bool] = lambda _: True) -> None:
        """``exists`` tells whether something is at a path of the system, see `known_libraries`."""
        self.files = files
        self._network = Network([file.summary.leads for file in files])
        self._bases = self._network.bases
        self._conditions = [
            (number, condition)
            for number, file in enumerate(files)
            for condition in file.summary.conditions
            if condition.absent is None or not exists(condition.absent)
        ]
        self._definitions: dict[str, list[tuple[int, Export]]] = {}
        wanted = self._wanted()
        for number, file in sorted(enumerate(files), key=lambda each: each[1].late):  # the global scope comes first
            for export in file.summary.exports.named(wanted):
                self._definitions.setdefault(export.name, []).append((number, export))
        self._connect()
        self._reached = Reached(self._network, self._roots(), whole=self._whole())
        while met := [at for at, (_, each) in enumerate(self._conditions) if self._is_newly_met(at, each)]:
            for at in met:
                self._reached.meet(at)

    def _wanted(self) -> frozenset[str]:
        """The names whose definitions matter: few of those that there are."""
        imported = (wanted.name for file in self.files for wanted in file.summary.imports)
        by_name = (name for file in self.files for _, name in asked(file.summary))
        needed = (need.name for _, condition in self._conditions for need in condition.needs)
        return frozenset(chain(imported, by_name, needed))

    def _is_reached(self, name: str) -> bool:
        """Whether a definition of a name is reached."""
        return any(self.live(number, e.first) for number, e in self._definitions.get(name, ()) if e.first < e.last)

    def _is_newly_met(self, at: int, condition: Condition) -> bool:
        if at in self._reached.met:
            return False
        return any(self._is_reached(need.name) and self._has_bits(need) for need in condition.needs)

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
            if at not in self._reached.met
            for node in condition.sources or ()
            for call in condition.calls
        )

    def node(self, file: int, node: int) -> int:
        """A file's node in the whole graph."""
        return self._bases[file] + node

    def live(self, file: int, node: int) -> bool:
        """Whether a file's node is reached."""
        return self._bases[file] + node in self._reached

    def likely(self) -> Reached:
        """What is reached without passing through a fatal error."""
        fatal = [self.node(number, node) for number, file in enumerate(self.files) for node in file.summary.fatal]
        return Reached(self._network, self._roots(), fatal, self._reached.met, self._whole())

    @cached_property
    def _origins(self) -> list[int]:
        return self._network.origins(chain(self._roots(), *self._whole()), self._reached.met)

    def way(self, file: int, node: int) -> list[Step]:
        """The nodes on the shortest way from a root to a node, both included."""
        steps = []
        at = self.node(file, node)
        while at >= 0:
            steps.append(self._step(at))
            at = self._origins[at]
        return steps[::-1]

    def _connect(self) -> None:
        """Edges from imports to what they are bound to, those by name, and those that wait for conditions."""
        for number, file in enumerate(self.files):
            base, summary = self._bases[number], file.summary
            first = base + summary.nodes - len(summary.imports)
            for at, wanted in enumerate(summary.imports):
                for found in self._bind(number, wanted):
                    self._network.bind(first + at, self._span(*found))
            for node, name in asked(summary):  # whichever file is asked
                for found in self._definitions.get(name, ()):
                    self._network.bind(base + node, self._span(*found))
            for node, name in asked_of_services(summary):
                services = ((n, e) for n, each in enumerate(self.files) for e in each.summary.services.get(name, ()))
                for found in services:
                    self._network.bind(base + node, self._span(*found))
        for at, (number, condition) in enumerate(self._conditions):
            sources = None if condition.sources is None else {self.node(number, node) for node in condition.sources}
            for node in condition.targets:
                self._network.guard(self.node(number, node), sources, at)

    def _span(self, file: int, export: Export) -> range:
        base = self._bases[file]
        return range(base + export.first, base + export.last)

    def _bind(self, asking: int, wanted: Name) -> Sequence[tuple[int, Export]]:
        """The definitions that the linker may take: one, or several where more than the order of the files decides.

        At the start the first in load order with that name and version is taken, but by glibc the file's own where it
        says so (``DF_SYMBOLIC``), which musl does not heed. At run time names are bound in the global scope and in that
        of the file that was asked for, whose order depends on flags (dlopen(3): ``RTLD_DEEPBIND``) and on what was
        loaded before: whatever is loaded then may take any, and be taken by a file that has waited for the name.
        Nor is it known which of several builds of a library is loaded.

        Who asks without a version gets that of the file's oldest version, or the default one (``do_lookup_x`` in glibc,
        ``elf/dl-lookup.c``); a definition without a version serves everybody. For a copied object the asking file's own
        definition is the copy, not what is meant.
        """
        file, found = self.files[asking], self._definitions.get(wanted.name, ())
        several = file.late or file.summary.symbolic
        taken: list[tuple[int, Export]] = []
        for number, export in found:
            if taken and not (several or number == taken[-1][0] or self.files[taken[-1][0]].may_be_passed_over):
                break
            same = wanted.version is None or export.version == wanted.version
            fits = same or (export.default and export.version is None)
            if fits and not (wanted.copied and number == asking):
                taken.append((number, export))
        return taken or [each for each in found if each[0] != asking]

    def _whole(self) -> list[range]:
        """The nodes of each file of which everything counts as reached."""
        return [range(*span) for file, span in zip(self.files, pairwise(self._bases), strict=True) if file.whole]

    def _roots(self) -> Iterator[int]:
        """What is reached in any case of the files that are not `_whole`."""
        for base, file in zip(self._bases, self.files, strict=False):
            summary = file.summary
            if file.whole:
                continue
            yield from (base + node for node in summary.started())
            if file.started and summary.entry >= 0:
                yield base + summary.entry
            if file.exported:
                yield from (base + node for span in summary.exports.spans() for node in range(*span))

    def _step(self, at: int) -> Step:
        number = bisect_right(self._bases, at) - 1
        file, node = self.files[number], at - self._bases[number]
        own = file.summary.nodes - len(file.summary.imports)
        if node >= own:
            return Step(file.name, None, file.summary.imports[node - own].name)
        address = file.summary.addresses()[node]
        name = next((export.name for export in file.summary.exports.at({address})), None)
        return Step(file.name, address, name)
