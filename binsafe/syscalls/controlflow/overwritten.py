"""Sums of what a register no longer holds: scans of raw bytes look past what fills it anew in between.

On arm64 jumps through tables count from addresses of code, ``adr x9, case``, and what follows each jump uses the same
register for something else. There ``add x9, x9, #80`` steps through an array.
"""

from typing import TYPE_CHECKING

from binsafe.syscalls.controlflow.places import Place
from binsafe.syscalls.machines.machine import Moved

if TYPE_CHECKING:
    from binsafe.syscalls.controlflow.program import Program

_MAKES_NUMBERS = frozenset({"imul", "mneg", "mul", "sdiv", "smulh", "smull", "udiv", "umulh", "umull"})
"""What is multiplied or divided is no address any more."""
_MAX_STEPS = 1 << 10
_STEP_COST = 10
"""To go a step back takes as long as decoding so many instructions."""


def is_overwritten(program: "Program", adding: Place) -> bool:
    """Whether a register to which an instruction adds a constant surely holds no address: on all ways it was a product.

    It may have been added to before, as in a loop.
    """
    region, ways = adding.region, program.switches.ways(adding.region)
    register = region.machine.takes(region.instructions, adding.at)
    work = [] if register is None else [(adding.at, each) for each in program.sources(adding, register) or ()]
    seen: set[tuple[int, str]] = set()
    while work:
        at, source = work.pop()
        if not isinstance(source, Moved):
            if region.instructions.names[at] not in _MAKES_NUMBERS:
                return False
            continue
        held = source.location
        if not isinstance(held, str) or len(seen) > _MAX_STEPS:
            return False
        if (at, held) in seen:
            continue
        seen.add((at, held))
        program.decoder.spend(_STEP_COST)
        before = [*region.direct_predecessors(at), *ways.get(at, ())]
        if not at or not before or program.entries(Place(region, at)):
            return False
        for each in before:
            work += [(each, found) for found in program.sources(Place(region, each), held) or (Moved(held),)]
    return bool(seen)
