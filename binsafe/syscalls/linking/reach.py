"""What can run: a walk over the graphs of all files at once, from what the loader calls."""

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from itertools import accumulate, chain

UNREACHED, ROOT = -2, -1
_REACHED, _BARRED = 1, 2

Leads = tuple[Sequence[int], Sequence[int]]
"""Of a file: for each node, by the file's own numbers, where those begin that it leads to, and these."""


class Network:
    """The graphs of some files, numbered one behind the other, and what binds them.

    Edges inside of a file may wait for a condition; the last one that bears on an edge decides.
    """

    def __init__(self, files: Sequence[Leads]) -> None:
        self.files = files
        self.bases = list(accumulate((len(firsts) - 1 for firsts, _ in files), initial=0))
        """The number of each file's first node; at last how many nodes there are."""
        self.bound: dict[int, Sequence[int]] = {}
        self.guards: dict[int, list[tuple[AbstractSet[int] | None, int]]] = {}

    def bind(self, source: int, targets: Sequence[int]) -> None:
        """Edges on which no condition bears, wherever they lead."""
        known = self.bound.get(source)
        self.bound[source] = targets if known is None else (*known, *targets)

    def guard(self, target: int, sources: AbstractSet[int] | None, condition: int) -> None:
        """Let the edges inside of a file to a node wait for a condition, by its number: all of them, or from some."""
        self.guards.setdefault(target, []).append((sources, condition))

    def condition(self, source: int, target: int) -> int | None:
        """What an edge inside of a file waits for."""
        bearing = self.guards.get(target, ())
        return next((number for sources, number in reversed(bearing) if sources is None or source in sources), None)

    def origins(self, roots: Iterable[int], met: AbstractSet[int] = frozenset()) -> list[int]:
        """For each node the one that it was first reached from, breadth first; `ROOT`, or `UNREACHED`."""
        came_from = [UNREACHED] * self.bases[-1]
        front = sorted(set(roots))
        for node in front:
            came_from[node] = ROOT
        while front:
            found = []
            for node in front:
                for target in self._next(node, met):
                    if came_from[target] == UNREACHED:
                        came_from[target] = node
                        found.append(target)
            front = sorted(found)
        return came_from

    def _next(self, node: int, met: AbstractSet[int]) -> Iterator[int]:
        file = bisect_right(self.bases, node) - 1
        base = self.bases[file]
        firsts, targets = self.files[file]
        for target in targets[firsts[node - base] : firsts[node - base + 1]]:
            condition = self.condition(node, target + base)
            if condition is None or condition in met:
                yield target + base
        yield from self.bound.get(node, ())


class Reached:
    """The nodes that are reached from some roots; more of them when a condition is met."""

    def __init__(
        self,
        network: Network,
        roots: Iterable[int],
        without: Iterable[int] = (),
        met: Iterable[int] = (),
        whole: Iterable[range] = (),
    ) -> None:
        """Nodes of ``without`` are never entered; of ``whole`` files all others are reached."""
        self._network = network
        self._nodes = bytearray(network.bases[-1])
        self._held: dict[int, list[int]] = {}
        self.met = set(met)
        for node in without:
            self._nodes[node] = _BARRED
        self._follow(chain(roots, *map(self._leaving, whole)))

    def __contains__(self, node: int) -> bool:
        return self._nodes[node] == _REACHED

    def meet(self, condition: int) -> None:
        """Follow the edges that waited for it."""
        self.met.add(condition)
        self._follow(self._held.pop(condition, ()))

    def _leaving(self, file: range) -> list[int]:
        """Enter all nodes of a file but those from which edges lead to other files, which are still to be entered.

        A large program has a million, and where they lead inside of it says nothing new.
        """
        nodes = self._nodes
        leaving = [node for node in self._network.bound if node in file and not nodes[node]]
        nodes[file.start : file.stop] = nodes[file.start : file.stop].replace(b"\0", bytes([_REACHED]))
        for node in leaving:
            nodes[node] = 0
        return leaving

    def _follow(self, roots: Iterable[int]) -> None:
        nodes, network = self._nodes, self._network
        bases, bound, guards = network.bases, network.bound, network.guards
        pending = self._entered(roots)
        base, end = 0, 0
        firsts, targets = network.files[0] if network.files else ([], [])
        while pending:
            node = pending.pop()
            if not base <= node < end:
                file = bisect_right(bases, node) - 1
                base, end = bases[file], bases[file + 1]
                firsts, targets = network.files[file]
            at = node - base
            for inner in targets[firsts[at] : firsts[at + 1]]:
                target = inner + base
                if nodes[target]:
                    continue
                if target in guards and self._is_held(node, target):
                    continue
                nodes[target] = _REACHED
                pending.append(target)
            if node in bound:
                for target in bound[node]:
                    if not nodes[target]:
                        nodes[target] = _REACHED
                        pending.append(target)

    def _entered(self, roots: Iterable[int]) -> list[int]:
        """Those that were not reached before, each once: all nodes of a large program may be roots."""
        found = []
        for node in roots:
            if not self._nodes[node]:
                self._nodes[node] = _REACHED
                found.append(node)
        return found

    def _is_held(self, source: int, target: int) -> bool:
        """Whether an edge waits; if so it is noted."""
        condition = self._network.condition(source, target)
        if condition is None or condition in self.met:
            return False
        self._held.setdefault(condition, []).append(target)
        return True
