"""Addresses of code that registers hold, and how far behind something may be added to them: for both processors."""

from typing import NamedTuple

import numpy as np

from binsafe.arrays import NDArray
from binsafe.syscalls.machines.machine import Addresses, Edges, joined


class Sums(NamedTuple):
    """What is added to addresses of code."""

    known: Edges
    """From instructions that add a constant to one to the sum, where that is such an address, too."""
    unknown: Edges
    """From instructions that compute one to which something is added that is not known, to that address."""

    def inside(self, start: int, end: int) -> "Sums":
        """Those of which the sum, where it is known, lies in a range."""
        kept = (self.known.targets >= start) & (self.known.targets < end)
        return self._replace(known=Edges(self.known.sources[kept], self.known.targets[kept]))


def all_of(*sums: Sums) -> Sums:
    """The sums of several ways to compute them."""
    return Sums(*(joined(*each) for each in zip(*sums, strict=True)))


class Held(NamedTuple):
    """Addresses of code in registers: where instructions begin that put them there, and end, as indices."""

    starts: Addresses
    ends: Addresses
    registers: Addresses
    addresses: Addresses

    def chosen(self, which: slice) -> "Held":
        """Some of them."""
        return Held(*(column[which] for column in self))

    def behind(self, calls: Addresses, kept: NDArray[np.bool_], reach: range, end: int) -> tuple[Addresses, Addresses]:
        """(which one, index) of what stands behind, in which they may be held yet.

        That is up to the next of ``calls`` or, in registers that are ``kept`` over these, up to the far end of
        ``reach``; and at least to its near one. Whatever stands between counts for nothing.
        """
        called = np.concatenate((calls, np.array([end])))[np.searchsorted(calls, self.ends)]
        called[kept[self.registers]] = end
        counts = np.minimum(np.clip(called - self.ends, reach.start, reach.stop), end - self.ends)
        counts = np.maximum(counts, 0)
        which = np.repeat(np.arange(len(counts)), counts)
        return which, np.arange(len(which)) + np.repeat(self.ends - np.cumsum(counts) + counts, counts)


def together(*held: Held) -> Held:
    """Those that several ways have put there."""
    return Held(*map(np.concatenate, zip(*held, strict=True)))
