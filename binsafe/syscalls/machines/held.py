"""Addresses of code in registers, and what is added to them there: for both processors."""

from typing import NamedTuple

import numpy as np

from binsafe.arrays import NDArray
from binsafe.syscalls.machines.edges import Addresses, Edges, joined


class Sums(NamedTuple):
    """Additions to addresses of code."""

    known: Edges
    """From an instruction that adds a constant to an address, to the sum."""
    unknown: Edges
    """From an instruction that computes an address to which something unknown is added later, to that address."""
    data: Edges
    """From an instruction that adds a constant and something unknown, to the sum of address and constant: no code."""

    def inside(self, start: int, end: int) -> "Sums":
        """With the known sums that lie in a range of addresses, and those of data that do not."""

        def chosen(edges: Edges, *, inside: bool) -> Edges:
            kept = ((edges.targets >= start) & (edges.targets < end)) == inside
            return Edges(edges.sources[kept], edges.targets[kept])

        return self._replace(known=chosen(self.known, inside=True), data=chosen(self.data, inside=False))


def all_of(*sums: Sums) -> Sums:
    """Several in one."""
    return Sums(*(joined(*each) for each in zip(*sums, strict=True)))


class Held(NamedTuple):
    """Registers that hold addresses of code, as columns: one row for each instruction that puts one there.

    Where instructions start and end are indices into the code of a range.
    """

    starts: Addresses
    """The instruction that computes the address; copies of the address have the same one."""
    ends: Addresses
    """Behind the instruction that fills this register."""
    registers: Addresses
    addresses: Addresses

    def chosen(self, which: slice | NDArray[np.bool_]) -> "Held":
        """Some of the rows."""
        return Held(*(column[which] for column in self))

    def passed_on(self, which: Addresses, ends: Addresses, registers: Addresses) -> "Held":
        """The addresses of some rows in other registers, which are filled before ``ends``."""
        return Held(self.starts[which], ends, registers, self.addresses[which])

    def behind(self, calls: Addresses, kept: NDArray[np.bool_], reach: range, end: int) -> tuple[Addresses, Addresses]:
        """(row, index) of all places at which a register may still hold its address: those shortly behind its end.

        Those are up to the next of ``calls``, where the register is not ``kept`` over calls, but ``reach.start`` of
        them at least and ``reach.stop`` at most. That the register may be overwritten there is not looked at.
        """
        called = np.concatenate((calls, np.array([end])))[np.searchsorted(calls, self.ends)]
        called[kept[self.registers]] = end
        counts = np.minimum(np.clip(called - self.ends, reach.start, reach.stop), end - self.ends)
        counts = np.maximum(counts, 0)
        which = np.repeat(np.arange(len(counts)), counts)
        return which, np.arange(len(which)) + np.repeat(self.ends - np.cumsum(counts) + counts, counts)


def together(*held: Held) -> Held:
    """The rows of several."""
    return Held(*map(np.concatenate, zip(*held, strict=True)))
