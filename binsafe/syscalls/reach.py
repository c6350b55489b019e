"""What can run: a walk over the graphs of all files at once, from what the loader calls."""

from collections.abc import Iterable
from collections.abc import Set as AbstractSet

UNREACHED, ROOT = -2, -1


class Network:
    """A directed graph. It grows by edges; some of them are followed only once a condition is met."""

    def __init__(self, nodes: int) -> None:
        self._inner: list[list[int]] = [[] for _ in range(nodes)]
        self._outer: dict[int, list[int]] = {}
        self._guards: dict[int, list[tuple[AbstractSet[int] | None, int]]] = {}

    def add(self, edges: Iterable[tuple[int, int]], base: int = 0) -> None:
        """The edges inside of one file, whose nodes are counted from ``base``."""
        leads = self._inner
        for source, target in edges:
            leads[source + base].append(target + base)

    def bind(self, source: int, targets: Iterable[int]) -> None:
        """Edges from one file to others, on which no condition bears."""
        self._outer.setdefault(source, []).extend(targets)

    def guard(self, target: int, sources: AbstractSet[int] | None, condition: int) -> None:
        """Let the edges inside of a file to a node wait for a condition, by its number: all of them, or from some."""
        self._guards.setdefault(target, []).append((sources, condition))

    def reach(
        self, roots: Iterable[int], without: Iterable[int] = (), met: AbstractSet[int] = frozenset()
    ) -> list[int]:
        """For each node the one that it was first reached from, breadth first; `ROOT`, or `UNREACHED`.

        Nodes of ``without`` are never entered; edges that wait for another condition than those ``met`` are not taken.
        """
        came_from = [UNREACHED] * len(self._inner)
        barred = list(without)
        for node in barred:
            came_from[node] = ROOT
        front = [node for node in sorted(set(roots)) if came_from[node] == UNREACHED]
        for node in front:
            came_from[node] = ROOT
        while front:
            found = []
            for node in front:
                for target in self._inner[node]:
                    if came_from[target] == UNREACHED and (target not in self._guards or self._open(node, target, met)):
                        came_from[target] = node
                        found.append(target)
                for target in self._outer.get(node, ()):
                    if came_from[target] == UNREACHED:
                        came_from[target] = node
                        found.append(target)
            front = sorted(found)
        for node in barred:
            came_from[node] = UNREACHED
        return came_from

    def _open(self, source: int, target: int, met: AbstractSet[int]) -> bool:
        """Whether the last condition that bears on an edge is met, if any does."""
        bearing = (number for sources, number in reversed(self._guards[target]) if sources is None or source in sources)
        number = next(bearing, None)
        return number is None or number in met
