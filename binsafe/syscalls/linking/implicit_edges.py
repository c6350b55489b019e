"""Edges that no reference states: a function runs on into the next, or an address is computed from that of another.

- Assembler has functions that run on into the next one (``memmove`` of glibc), or branch into the middle of another
  one, and arrays of stubs of one size, of which only the first is named (``first + number * size``).
- Pointers may have tags in their low bits, or an offset that is subtracted before a call: an address inside of a
  function counts for that function.
- Tables may be named by an address shortly before their start or behind their end, or reached from their last entry or
  from another variable: GCC for arm64 has one anchor for many variables (``-fsection-anchors``), LLVM merges many into
  one (``GlobalMerge``).
"""

from itertools import chain

import numpy as np

from binsafe.arrays import NDArray
from binsafe.syscalls.controlflow.index import BEFORE_TABLE
from binsafe.syscalls.controlflow.layout import Layout
from binsafe.syscalls.controlflow.program import Program
from binsafe.syscalls.decoding.decode import LONGEST
from binsafe.syscalls.machines.edges import TAKEN, Addresses, Edges, joined
from binsafe.syscalls.sets import among, packed

_LAST = 8
"""Bytes at a function's end that are looked at."""
_PADDING = 64
"""Bytes to which functions are aligned at most."""
_REACH = 1 << 12
"""Bytes from an address that code names to what it reaches from there."""
_STEPS_BACK = (80, 77, 73)
"""Bytes before a branch from which decoding tells whether it is one: from three places, as one may take longer."""
_STUB = 256
"""Bytes of the largest stub of an array."""


def going_on(program: Program) -> Edges:
    """From functions whose known end is not one to the next, by number. A stub's ends in a jump, and padding."""
    starts, ends = program.layout.starts, program.layout.ends
    gaps = starts[1:] - ends[:-1]
    stubs = among(starts[:-1], np.array(list(program.stubs.values()), np.int64))
    chosen = np.flatnonzero((ends[:-1] > 0) & (gaps >= 0) & (gaps < _PADDING) & ~stubs)
    found = []
    for code in program.code.ranges:
        inside = chosen[(ends[chosen] >= code.address + _LAST) & (ends[chosen] <= code.end)]
        if not len(inside):
            continue  # most files have sections of a few bytes
        last = code.array()[(ends[inside] - code.address)[:, None] + np.arange(-_LAST, 0)]
        last[np.arange(-_LAST, 0) < (starts - ends)[inside][:, None]] = 0  # of the function before
        found.append(inside[~program.machine.closes(last)])
    at = np.concatenate(found) if found else chosen
    return Edges(at, at + 1)


def entered(program: Program, only: Addresses, pairs: NDArray[np.uint64]) -> Edges:
    """From functions that branch into the middle of another one to that one; confirmed by decoding, as chance does it.

    So does code that leaves out what a function begins with. Parts that a compiler has split off from a function do so,
    too, and it into these; most of that adds nothing and is left out: ``pairs`` are the edges that are known, and
    ``only`` says of each function what alone leads to it, be it for a way back that was left out.
    """
    layout, found = program.layout, set[tuple[int, int]]()
    for sources, targets in chain(program.calls.parts(), program.jumps.parts()):
        origins, holders = layout.containing(sources), np.maximum(layout.containing(targets), 0)
        into = (layout.exact(targets) < 0) & (origins >= 0) & (origins != holders) & program.code.holds(targets)
        at = np.flatnonzero(into)
        at = at[(layout.ends[holders[at]] > targets[at]) & (only[origins[at]] != holders[at])]
        at = at[~among(packed(origins[at], holders[at]), pairs)]
        branches = zip(*(each[at].tolist() for each in (origins, holders, sources, targets)), strict=True)
        for origin, holder, source, target in branches:
            if (origin, holder) in found or not _may_begin(program, source, int(layout.starts[origin])):
                continue
            place = program.branch(source)
            if place is not None and place.region.flow(place.at)[1] == target:
                found.add((origin, holder))
    found |= {(holder, int(only[holder])) for origin, holder in found if only[holder] not in {-1, origin}}
    columns = np.array(sorted(found), np.int64).reshape(-1, 2)
    return Edges(columns[:, 0], columns[:, 1])


def hopped(program: Program, forsaken: Addresses) -> Edges:
    """From functions with a jump of two bytes into the middle of a neighbour to that, of those that are ``forsaken``.

    Assemblers make such of a jump to a label nearby. As bytes they are too frequent to be looked for everywhere.
    """
    layout, found = program.layout, set[tuple[int, int]]()
    for at in forsaken[layout.ends[forsaken] > 0].tolist():
        start, end = int(layout.starts[at]), int(layout.ends[at])
        for source, target in program.incoming.short(start, end, from_inside=False):
            place = program.branch(source)
            if place is not None and place.region.flow(place.at)[1] == target:
                found.add((layout.function(source), at))
    columns = np.array(sorted(found), np.int64).reshape(-1, 2)
    return Edges(columns[:, 0], columns[:, 1])


def _may_begin(program: Program, opcode: int, function: int) -> bool:
    """Whether an instruction may have its opcode at an address of a function, without decoding all of that.

    Code that is decoded from a wrong byte comes to the right ones soon, but for those that were made not to.
    """
    if program.machine.prefixes.issuperset(program.code.read(opcode - 1, opcode)):
        return True
    begins = (max(function, opcode - back) for back in _STEPS_BACK)
    sweeps = (program.decoder.sweep(program.code.read(begin, opcode + LONGEST), begin) for begin in begins)
    return any(found.at(opcode) is not None for found in sweeps)


def meant(layout: Layout, addresses: Addresses) -> Addresses:
    """The function that an address of code may be meant for: that which holds it, or follows where none does."""
    holder = np.maximum(layout.containing(addresses), 0)
    ends = np.concatenate([layout.ends, [0]])[holder]  # one more: libraries of data have no function
    behind = (ends > 0) & (ends <= addresses) & (holder + 1 < len(layout.starts))
    return holder + behind


def computed(program: Program, lone: Addresses) -> Edges:
    """From functions that name a place inside of another function to that one, and from those that name a stub.

    The latter lead to all stubs of its array, which are among ``lone``: functions that nothing leads to.
    """
    layout, references = program.layout, program.references
    taken = references.uses == TAKEN
    sources, targets = references.sources[taken], references.targets[taken]
    inside = program.code.holds(targets)
    origins, targets = layout.containing(sources[inside]), targets[inside]
    exact = layout.exact(targets)
    odd = np.flatnonzero((exact < 0) & (origins >= 0))
    firsts = _firsts(layout, lone)
    behind = np.flatnonzero(among(exact, firsts) & (exact >= 0) & (origins >= 0))
    stubs = [lone[firsts == first] for first in exact[behind].tolist()]
    return Edges(
        np.concatenate([origins[odd], np.repeat(origins[behind], [len(each) for each in stubs])]),
        np.concatenate([meant(layout, targets[odd]), *stubs]),
    )


def reached(program: Program, named: Edges) -> Edges:
    """From instructions to what they may reach from addresses that they name near pointers, in the same section."""
    slots = program.pointers.slots[~program.pointers.single]
    near = np.searchsorted(slots, named.targets + _REACH) > np.searchsorted(slots, named.targets - _REACH)
    found = [Edges(named.sources[:0], named.targets[:0])]
    for code in program.code.ranges:
        inside = near & (named.sources >= code.address) & (named.sources < code.end)
        some = Edges(named.sources[inside], named.targets[inside])
        found.append(program.machine.reached(code, program.layout.containing, some, program.decoder.spend))
    return joined(*found)


def begun_before(program: Program, cuts: Addresses, addresses: Addresses) -> Addresses:
    """Where the table begins that stands shortly behind each address, which lies in none; -1 for no table.

    ``cuts`` is where data objects start: compilers compute ``table - 1`` where numbers begin at one.
    """
    following = cuts[np.minimum(np.searchsorted(cuts, addresses, side="right"), len(cuts) - 1)]
    table = ~among(following, program.pointers.slots[program.pointers.single])
    return np.where(table & (following - addresses <= BEFORE_TABLE), following, -1)


def ended_behind(program: Program, addresses: Addresses) -> Addresses:
    """The last pointer of the table that ends shortly before each address, which lies in none: ``end[-number]``."""
    slots = np.concatenate([[-BEFORE_TABLE], program.pointers.slots[~program.pointers.single]])
    last = slots[np.searchsorted(slots, addresses) - 1]
    return np.where(addresses - last <= BEFORE_TABLE, last, -1)


def _firsts(layout: Layout, lone: Addresses) -> NDArray[np.int64]:
    """For each the function that stands before it and others like it, close behind each other; -1 for none."""
    firsts = np.full(len(lone), -1, np.int64)
    for at, function in enumerate(lone.tolist()):
        if function and layout.starts[function] - layout.starts[function - 1] <= _STUB:
            follows = at > 0 and lone[at - 1] == function - 1
            firsts[at] = firsts[at - 1] if follows else function - 1
    return firsts
