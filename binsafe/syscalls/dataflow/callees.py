"""Functions that leave their caller's frame otherwise than the convention says: they return twice, or write to it.

``setjmp`` and ``vfork`` return a second time, when a slot of their caller may have been given another value since. They
are known by their names where they are imported; elsewhere by what they all do: they name the address to which they
return, to keep it (``setjmp``, ``getcontext``) or to have it at hand when the stack was written over (``vfork``).
"""

from collections.abc import Iterator

from binsafe.syscalls.controlflow.places import Place
from binsafe.syscalls.controlflow.program import Program
from binsafe.syscalls.machines.machine import Flow

_TWICE = frozenset(
    {"setjmp", "_setjmp", "sigsetjmp", "__sigsetjmp", "savectx", "getcontext", "vfork", "__vfork", "__libc_vfork"}
)
"""What GCC takes to return twice (``special_function_p`` of ``gcc/calls.cc``), and the C libraries' own names."""
_SLOT = 8
_MAX_REGIONS = 8
"""Functions that jump to each other: ``setjmp`` of glibc is three."""


def disturbs(program: Program, call: Place, slot: int) -> bool:
    """Whether what is called may return twice or elsewhere, or stores to a slot of its caller's frame."""
    twice = program.slots.calls_of(_TWICE)
    if call.address in twice:
        return True
    seen: set[int] = set()
    work = [program.callee(call)]
    while work and len(seen) < _MAX_REGIONS:
        address = work.pop()
        place = None if address is None else program.place(address)
        if place is None or place.address in seen:
            continue
        seen.add(place.address)
        region = place.region
        if not twice.isdisjoint(region.instructions.addresses):
            return True
        reached = map(program.machine.reaches_up, region.instructions, region.frames)
        if any(_meets(program, call, slot, each) for each in reached if each is not None):
            return True
        work += _goes_on(place)
    return False


def _meets(program: Program, call: Place, slot: int, reached: range) -> bool:
    """Whether a callee that reaches up so far disturbs a slot. Go has no function that returns twice."""
    height = call.region.frames[call.at].get(program.machine.stack)
    if reached.start < program.machine.call_shift and not program.is_go(call.region):
        return True
    first = None if height is None else slot - height + program.machine.call_shift
    return first is None or (reached.start < first + _SLOT and first < reached.stop)


def _goes_on(place: Place) -> Iterator[int]:
    """Where control goes on from a region whose frame is gone."""
    region = place.region
    for at, frame in enumerate(region.frames):
        flow, target = region.flow(at)
        leaves = flow in {Flow.JUMP, Flow.BRANCH} and region.at(target) is None
        if leaves and target is not None and frame.get(region.machine.stack) == 0:
            yield target
    if region.goes_on():
        yield region.end
