"""Which instructions of a function run for the constants that it is given: conditional constant propagation, forward.

musl's ``sysconf`` makes different calls for different names (``src/conf/sysconf.c``: a table of numbers, then one of
jumps), and programs pass it constants. Each value that the parameter can have is followed by itself: a branch on it is
taken or not, and a jump through a table leads to one place. Where a value is unknown, all branches are followed. Other
entries into the function (jumps from elsewhere, landing pads, labels whose addresses are taken, code that nothing is
seen to lead to) are followed with nothing known. Only registers are tracked, and memory that nobody can write is read;
a call keeps the callee-saved registers alone.
"""

from collections.abc import Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet

from binsafe.syscalls.controlflow.places import Place
from binsafe.syscalls.controlflow.program import Program
from binsafe.syscalls.controlflow.regions import Region
from binsafe.syscalls.machines.machine import Flow

_MAX_STEPS = 4_000
"""Instructions that are followed in one function, for all numbers together."""
_MOST_TIMES = 8
"""Different numbers with which one place is come to, apart; more are taken together."""

Known = Mapping[str, int]


def run_for(program: Program, region: Region, register: str, values: Iterable[int]) -> AbstractSet[int] | None:
    """Indices of the instructions that can run where a parameter has one of some values; None where that is not told.

    Raises:
        OutOfInstructions: the budget was used up.
    """
    tables = program.jumped_to(region)
    if tables is None or not region.anchored:
        return None
    walk = _Walk(program, region, tables)
    work: list[tuple[int, Known]] = [(0, {register: value}) for value in values]
    work += [(at, {}) for at in walk.ways_in()]
    seen: dict[int, list[Known]] = {}
    while work:
        at, known = work.pop()
        before = seen.setdefault(at, [])
        if len(before) >= _MOST_TIMES:  # a loop: what is the same each time is known
            known = dict(known.items() & before[-1].items())
        if known in before:
            continue
        before.append(known)
        following = walk.straight(at, known)
        if following is None or walk.steps > _MAX_STEPS:
            return None
        work += following
    return walk.run


class _Walk:
    def __init__(self, program: Program, region: Region, tables: Mapping[int, tuple[int, ...]]) -> None:
        self._program = program
        self._region = region
        self._tables = tables
        self.run: set[int] = set()
        """Indices of what was met."""
        self.steps = 0

    def ways_in(self) -> Iterator[int]:
        """Where else than at its first instruction control can come into the function."""
        region = self._region
        for at in region.orphans:  # some are filled up before
            begin = next((i for i in range(at, len(region.instructions)) if not region.is_padding(i)), at)
            if begin not in self._tables and (begin == at or begin not in region.jumps_to):
                yield begin
        places = (Place(region, at) for at in range(1, len(region.instructions)))
        yield from (p.at for p in places if self._program.entries(p) or self._program.may_be_gone_to(p))

    def straight(self, at: int, known: Known) -> list[tuple[int, Known]] | None:
        """Go on to the next branch or jump: where control goes from there; None where that is not told."""
        region, machine = self._region, self._program.machine
        passed: dict[int, Known] = {}
        while at < len(region.instructions):
            passed[at] = known
            self.run.add(at)
            self.steps += 1
            flow, target = region.flow(at)
            if flow in {Flow.RETURN, Flow.TRAP, Flow.UNKNOWN}:
                return []  # what may follow on the last is one of `ways_in`
            if flow is Flow.INDIRECT:
                return self._computed(at, known)
            if flow in {Flow.JUMP, Flow.BRANCH}:
                taken = True if flow is Flow.JUMP else self._outcome(at, passed)
                inside = region.at(target)  # another function's code is not followed
                led = [] if taken is False or inside is None else [(inside, known)]
                return led if taken else [*led, (at + 1, known)]
            if flow is Flow.CALL:
                kept = machine.preserved(go=False)
                known = {register: value for register, value in known.items() if register in kept}
            else:
                known = self._program.after(Place(region, at), known)
            at += 1
        return []

    def _outcome(self, branch: int, passed: Mapping[int, Known]) -> bool | None:
        tested = self._program.machine.tested(self._region.instructions, branch)
        known = {} if tested is None else passed.get(tested.at, {})
        if tested is None or not known.keys() >= set(tested.registers):
            return None
        return tested.holds(tuple(known[register] for register in tested.registers))

    def _computed(self, at: int, known: Known) -> list[tuple[int, Known]] | None:
        """Where a computed jump leads: to one place if its register is known, else wherever its table does."""
        region = self._region
        target = self._program.leads(Place(region, at), known)
        if target is None:
            return [(index, known) for index, jumps in self._tables.items() if at in jumps]
        if not region.start <= target < region.end:
            return []
        inside = region.at(target)
        return None if inside is None else [(inside, known)]
