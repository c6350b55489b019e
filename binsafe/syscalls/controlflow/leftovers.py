"""What calls leave in registers that C's convention does not keep: nobody knows it, and so no compiler passes it on.

A function that is called with such a register has it as no parameter, whatever else it is called with elsewhere; but
for a part of an object that only some of its variants have, which a function would have to pass on without a look at
it. It is said of x86-64 only: to find the address of thread-local variables arm64 makes calls that keep all registers.
"""

from itertools import islice
from typing import TYPE_CHECKING

from binsafe.syscalls.controlflow.held_values import End, comes_from
from binsafe.syscalls.controlflow.places import Place
from binsafe.syscalls.controlflow.regions import Region
from binsafe.syscalls.controlflow.returns import comes_back
from binsafe.syscalls.machines.machine import Flow, Moved

if TYPE_CHECKING:
    from binsafe.syscalls.controlflow.program import Program

_MAX_CALLERS = 128
"""Calls of a function that are looked at."""
_SHORTLY_BEFORE = 128
"""Instructions before such a call among which another one is looked for."""
_PROFILERS = frozenset({"__fentry__", "mcount", "_mcount"})
"""What functions call first for ``-pg`` and ``-mfentry``, which keep all registers (GCC, Instrumentation Options)."""


def is_left_to(program: "Program", function: Place, register: str) -> bool:
    """Whether a function is called somewhere with what nobody knows in a register, which thus is no parameter of it.

    So it is where a jump leads there, as in a tail call. That a function reads the register nevertheless is for the
    caller to exclude: with variable arguments all are kept.
    """
    machine, address = program.machine, function.address
    if register in machine.returned or not machine.call_shift:
        return False
    sources = (source for source, _ in islice(program.incoming.leading_to(address, address + 1), _MAX_CALLERS))
    calls = (call for source in sources if (call := program.branch(source)) is not None)
    return any(program.callee(call) == address and _is_unknown_before(program, call, register) for call in calls)


def _is_unknown_before(program: "Program", call: Place, register: str) -> bool:
    """Whether on a way to a call the last that may have changed a register is a call that leaves what nobody knows.

    Other calls leave it as it was, or nobody knows more of it than before.
    """
    region, instructions = call.region, call.region.instructions
    seen: set[int] = set()
    work = region.direct_predecessors(call.at)
    while work and len(seen) < _SHORTLY_BEFORE:
        at = work.pop()
        called = region.leaving(at) is Flow.CALL
        if at in seen or not (called or region.machine.keeps(instructions, at, register)):
            continue
        seen.add(at)
        if called and leaves_unknown(program, Place(region, at)) and comes_back(program, Place(region, at)):
            return True
        work += region.direct_predecessors(at)
    return False


def leaves_unknown(program: "Program", call: Place) -> bool:
    """Whether nobody knows what a call leaves in registers that the convention does not keep.

    It leads through a pointer, or to a function that calls something so: not even GCC knows what these keep
    (``-fipa-ra``).
    """
    target = call.region.flow(call.at)[1]
    if target is None:
        return _follows_convention(program, call)
    callee = program.region(target)
    if callee is None or callee.start != target or not program.is_known(target) or not program.machine.call_shift:
        return False
    through = (at for at in callee.calls if callee.flow(at)[1] is None)
    return any(_follows_convention(program, Place(callee, at)) for at in through)


def _follows_convention(program: "Program", call: Place) -> bool:
    """Whether a call through a pointer is one after which registers may hold anything.

    Of some they do not: of what finds thread-local variables (``call [rax]``, ELF Handling For Thread-Local Storage),
    of profilers, and of Rust's ``__rust_probestack``, which is called by a slot of the file's own function.
    """
    operand = call.instruction.operands
    if "[rip" not in operand:
        return operand != "qword ptr [rax]"
    name = _pointed(program, call)
    return isinstance(name, str) and name not in _PROFILERS


def led_to(program: "Program", leaving: Place) -> tuple[int | str, ...]:
    """The functions to one of which a call or jump through a pointer leads; none where not all of them are known.

    Those of other files go by their names. While it is asked of one jump none is known of another: who leads to a label
    is told by what becomes of its address, and that by where jumps lead.
    """
    if program.leading:
        return ()
    program.leading = True
    try:
        found = _functions(program, leaving)
    finally:
        program.leading = False
    return tuple(each for each in found if each is not None) if None not in found else ()


def _functions(program: "Program", leaving: Place) -> list[int | str | None]:
    """See `led_to`; None for what is not known."""
    region, operand = leaving.region, leaving.instruction.operands
    if not operand.isalnum():
        return [_pointed(program, leaving)]
    ends = comes_from(program, region, leaving.at, Moved(operand), program.switches.ways(region))
    return [_held(program, region, end) for end in ends]


def _held(program: "Program", region: Region, end: End) -> int | str | None:
    """The function whose address is a value that a register holds, be it loaded from memory."""
    if end.operations:
        return None
    if end.value is None:
        return _pointed(program, Place(region, end.at)) if end.at >= 0 else None
    return end.value if end.value != region.start and program.start(end.value) == end.value else None


def _pointed(program: "Program", place: Place) -> int | str | None:
    """The function to which an entry of the global offset table points that an instruction loads, or leads through."""
    named = program.one_named_at(place)
    return None if named is None else program.slots.imported(named) or program.slots.target(named)
