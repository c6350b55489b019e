"""What can run: a walk over the graphs of all files at once, from what the loader calls."""

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from binsafe.syscalls.machine import Addresses
from binsafe.syscalls.sets import distinct, firsts

UNREACHED, ROOT = -2, -1


class Network:
    """A directed graph, its edges sorted for walking; ``conditions`` says of each edge on which one it depends."""

    def __init__(self, nodes: int, sources: Addresses, targets: Addresses, conditions: Addresses | None = None) -> None:
        order = np.argsort(sources, kind="stable")
        self._targets = targets[order]
        self._conditions = np.zeros(len(order), np.int64) if conditions is None else conditions[order]
        self._first = np.searchsorted(sources[order], np.arange(nodes + 1))
        self.nodes = nodes

    def reach(
        self, roots: Iterable[int], without: Iterable[int] = (), met: npt.NDArray[np.bool_] | None = None
    ) -> npt.NDArray[np.int64]:
        """For each node the one that it was first reached from, breadth first; `ROOT`, or `UNREACHED`.

        Nodes of ``without`` are never entered; edges on a condition of which ``met`` says no are never taken.
        """
        came_from = np.full(self.nodes, UNREACHED, np.int64)
        barred = np.fromiter(without, np.int64)
        came_from[barred] = ROOT
        front = distinct(np.fromiter(roots, np.int64))
        front = front[came_from[front] == UNREACHED]
        came_from[front] = ROOT
        while len(front):
            counts = self._first[front + 1] - self._first[front]
            skipped = np.repeat(self._first[front] - np.append(0, np.cumsum(counts)[:-1]), counts)
            edges = skipped + np.arange(len(skipped))
            targets = self._targets[edges]
            origins = np.repeat(front, counts)
            new = came_from[targets] == UNREACHED
            if met is not None:
                new &= met[self._conditions[edges]]
            front, at = firsts(targets[new])
            came_from[front] = origins[new][at]
        came_from[barred] = UNREACHED
        return came_from
