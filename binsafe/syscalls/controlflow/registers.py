"""What becomes of a function's address that an instruction puts into a register.

LLVM loads an address once for several calls of the function. Where the register is only called through, whoever calls
the function is seen, and its address does not count as taken.
"""

from typing import TYPE_CHECKING, NamedTuple

from binsafe.syscalls.controlflow.data_sums import is_of_data
from binsafe.syscalls.controlflow.leftovers import is_left_to, leaves_unknown, led_to
from binsafe.syscalls.controlflow.places import Place
from binsafe.syscalls.controlflow.regions import Region
from binsafe.syscalls.controlflow.returns import comes_back
from binsafe.syscalls.machines.machine import JUMPS, Flow, Use

if TYPE_CHECKING:
    from binsafe.syscalls.controlflow.program import Program

_LEAVES = frozenset({Flow.CALL, Flow.INDIRECT, Flow.RETURN})
_MAX_DEPTH = 12
"""Functions that call each other, into which a register is followed: parking_lot's lock is nine away from what is done
where there is no memory left."""
_NEAR = 1024
"""Bytes behind where an address is computed in which it is added to: scans for sums look no further (`Held.behind`)."""
_KEEPS_REGISTERS = ("runtime.gcWriteBarrier", "runtime.duff", "runtime.wb")
"""How the names of Go's functions begin that compiled code calls without saving registers (``LoweredWB``, ``DUFFZERO``
and ``DUFFCOPY`` of ``src/cmd/compile/internal/ssa/_gen``)."""
_STEP_COST = 10
"""To look at an instruction takes as long as decoding so many."""
_CALL_NOTHING = frozenset(
    "__errno_location calloc clock_gettime free malloc memcmp memcpy memmove memset posix_memalign read realloc "
    "sched_yield syscall write".split()
)
"""Functions of the C library that are given none to call or to keep, whatever registers hold when they begin."""


Parameter = tuple[int | str, str]
"""A function, by its address or, in another file, by its name, and a register that it is called with."""


class Uses(NamedTuple):
    """What is done with the address that a register holds."""

    calls: tuple[int, ...]
    """The calls and jumps through the register, by index."""
    nothing_else: bool
    """Whether these are all that is done with the address."""
    changed: bool = False
    """Whether another address may be made of it: in the register itself, or by adding something unknown to it."""
    handed: tuple[Parameter, ...] = ()
    """The functions that are called with it, if that counts as no use of it."""


class _Held(NamedTuple):
    """The address may be in ``register`` before the instruction ``at``."""

    at: int
    register: str
    behind_call: bool = False
    """Whether a call has left there what the compiler does not know."""
    is_part: bool = False
    """Whether its last bytes were overwritten: what is called through it may be another function.

    To read or write memory there is no use of it then. Rust has a pointer in the register on another way.
    """


def uses(program: "Program", place: Place) -> Uses:
    """What is done with the address that the instruction at ``place`` completes; anything, where it completes none.

    The register and its copies are followed forwards on all ways inside of the region until they are overwritten. To
    compare the address is no use of it. Where control leaves the region, each register counts as used that the code
    behind may read.
    """
    region, at = place.region, place.at
    register = region.machine.takes(region.instructions, at)
    if register is None:
        return Uses((), nothing_else=False)
    found = _followed(program, region, _Held(at + 1, register), at, thorough=False)
    if found.nothing_else or register in region.machine.returned or program.leading:
        return found
    ended = _followed(program, region, _Held(at + 1, register), at, thorough=True)  # which takes longer
    if ended.nothing_else and not _may_be_read(program, ended.handed, _address(program, place)):
        return ended
    return found


def _address(program: "Program", place: Place) -> int | None:
    """The address of the function that an instruction computes or loads; None where it is another file's."""
    named = program.one_named_at(place)
    return named if named is None or program.code.range_of(named) is not None else program.slots.target(named)


def _followed(
    program: "Program",
    region: Region,
    begin: _Held,
    taking: int,
    *,
    thorough: bool,
    handed: bool = True,
) -> Uses:
    """What is done with an address in a register, which the instruction at ``taking`` put there.

    If ``thorough`` no way goes on behind calls that never return, and none once there is another use; to be handed to
    functions that are known is none. Calls hand on nothing unless it is ``handed``.
    """
    machine, instructions = region.machine, region.instructions
    nothing_else, changed = True, False
    found: dict[int, None] = {}
    given: dict[Parameter, None] = {}
    seen: set[_Held] = set()
    work = [begin]
    while work and (nothing_else or not thorough):
        held = work.pop()
        here, register = region.next_concerned(held.at, held.register), held.register
        held = held if here == held.at else held._replace(at=here)
        if here == len(instructions) and region.goes_on():
            nothing_else, changed = False, True  # the code goes on where it is not looked at
        if held in seen or here >= len(instructions):
            continue
        seen.add(held)
        if register in machine.preserved(go=False):
            work += [held._replace(at=pad) for pad in region.landing(here)]
            nothing_else = nothing_else and not region.is_thrown_out_of(here)
        flow = region.leaving(here)
        through = flow in {Flow.CALL, Flow.INDIRECT} and instructions.operands(here).partition(", ")[0] == register
        own = register == begin.register and not held.behind_call  # what a call may have returned is another value
        added = machine.adds(instructions, here, register)
        changed = changed or (own and added)
        use, copies = (Use.NONE, []) if through else _use(program, region, held, taking)
        if use is Use.FILLED:
            continue
        if added and not machine.keeps(instructions, here, register):  # as for a jump through a table: another address
            nothing_else = False
            continue
        changed = changed or (own and machine.changes(instructions, here, register))
        work += copies
        found.update({here: None} if through else {})
        used = use is Use.OTHER or (through if held.is_part else use is Use.ACCESS)
        nothing_else = nothing_else and not used
        asked = nothing_else and handed and not through
        onward = _handed_on(program, region, held, thorough=thorough) if asked else ()
        given.update(dict.fromkeys(onward or ()))
        ends = flow is Flow.RETURN and begin.at > taking and not held.behind_call
        nothing_else = nothing_else and onward is not None and not (ends and program.outlined.is_part(region))
        if flow is Flow.INDIRECT:
            through = through or not handed or bool(led_to(program, Place(region, here)))
            cases = _cases(program, region, here) if nothing_else and not through else ()
            nothing_else = nothing_else and (through or bool(cases))
            work += [held._replace(at=case) for case in cases or region.orphans]
            continue
        if thorough and flow is Flow.CALL and not comes_back(program, Place(region, here)):
            continue
        work += _following(program, region, held._replace(is_part=held.is_part or use is Use.PART))
    program.decoder.spend(_STEP_COST * len(seen))
    return Uses(tuple(found), nothing_else, changed, tuple(given))


def _use(program: "Program", region: Region, held: _Held, taking: int) -> tuple[Use, list[_Held]]:
    """What an instruction does with the address that the one at ``taking`` gave a register; none is to copy it."""
    machine, instructions = region.machine, region.instructions
    wide = bool(program.slice.traits.get("pie"))
    use = machine.use(instructions, held.at, held.register, taking, wide=wide)
    copy = machine.copied(instructions, held.at, held.register) if use is Use.OTHER else None
    if copy is None or not copy.isalnum():  # what is put on the stack is not followed
        return use, []
    return Use.NONE, [held._replace(at=held.at + 1, register=copy)]


def _following(program: "Program", region: Region, held: _Held) -> list[_Held]:
    """Where a register is looked at next: behind calls, too, for GCC knows what functions keep that it has seen.

    (``-fipa-ra``.) Of what is called through a pointer it does not; and what a function returns is another value.
    """
    register, behind_call = held.register, held.behind_call
    flow = region.leaving(held.at)
    if flow is Flow.CALL and register in region.machine.returned:
        return []
    if flow is Flow.CALL and register not in region.machine.preserved(go=False):
        behind_call = behind_call or leaves_unknown(program, Place(region, held.at))
    return [held._replace(at=at, behind_call=behind_call) for at in region.following(held.at)]


def is_summed(program: "Program", place: Place) -> bool:
    """Whether something unknown is added to the address that the instruction at ``place`` completes, or to a copy.

    What makes an address of data of it is left out, see `data_sums`.
    """
    region, at = place.region, place.at
    machine, instructions = region.machine, region.instructions
    register = machine.takes(instructions, at)
    begin = instructions.addresses[at]
    around, behind = region.within(begin - _NEAR, begin + _NEAR), region.within(begin, begin + _NEAR)
    seen: set[tuple[int, str]] = set()
    summed = False
    work = [] if register is None else [(at + 1, register)]
    while work and not summed:
        here, held = work.pop()
        if here >= len(instructions) or (here, held) in seen:
            summed = here == len(instructions) and region.goes_on()  # the code goes on where it is not looked at
            continue
        seen.add((here, held))
        summed = here in behind and machine.adds(instructions, here, held)
        summed = summed and not is_of_data(program, Place(region, here), held)
        flow = region.leaving(here)
        called = flow is Flow.CALL
        gone = machine.use(instructions, here, held, at, wide=False) is Use.FILLED
        gone = gone or (called and _is_lost(program, Place(region, here), held))
        locations = {machine.copied(instructions, here, held), None if gone else held} - {None}
        ends = flow is Flow.INDIRECT or (called and not comes_back(program, Place(region, here)))
        following = (
            () if ends else (each for each in region.following(here) if each in around or each == len(instructions))
        )
        work += [(after, location) for after in following for location in locations if location is not None]
    program.decoder.spend(_STEP_COST * len(seen))
    return summed


def _is_lost(program: "Program", call: Place, register: str) -> bool:
    """Whether a call surely leaves something else in a register: between Go's functions any may be for a result."""
    if register in program.machine.returned:
        return True
    if register in program.machine.preserved(go=True) or not program.is_go(call.region):
        return False
    callee = program.callee(call)
    name = None if callee is None else program.go_name(callee)
    return name is not None and not name.startswith(_KEEPS_REGISTERS)


def _cases(program: "Program", region: Region, here: int) -> list[int]:
    """The targets of a jump through a table; none where they are not known, or not all of them lie in the region."""
    cases = program.cases(region)
    if cases is None or here in cases.outside:
        return []
    return [case for case, jumps in cases.inside.items() if here in jumps]


def _handed_on(program: "Program", region: Region, held: _Held, *, thorough: bool) -> tuple[Parameter, ...] | None:
    """The functions to which an instruction hands on the register where it leaves the region.

    None where it may hand it to code that is not known, or to any other, if it is not to be ``thorough``.

    Behind a jump may be a split-off part of the same function, which reads any register; so does a retpoline, which is
    called. Other callees, and a return, lead to code that keeps to C's convention. Nor does a compiler pass on what it
    does not know.

    A call through the register itself is none of these: no function is called with its own address. Rust holds that of
    ``syscall`` in a register of arguments that are not there.
    """
    here, register = held.at, held.register
    flow, target = region.flow(here)
    machine = region.machine
    if flow in JUMPS:
        return None if region.at(target) is None else ()
    if held.behind_call:
        return ()
    called = program.callee(Place(region, here)) if flow is Flow.CALL else None
    if called is not None and register in machine.preserved(go=False):
        return None if program.outlined.reads(called, register) else ()
    led: tuple[int | str, ...] = () if called is None else (called,)
    if called is None and thorough and flow is not Flow.RETURN and register in machine.arguments:
        led = led_to(program, Place(region, here))
    if led:
        return tuple((each, register) for each in led) if thorough else None
    if flow is Flow.RETURN and (register in machine.returned or region.frames[here].get(machine.stack) == 0):
        return None if register in machine.returned else ()
    return None if flow in _LEAVES and register in machine.arguments else ()


def _may_be_read(program: "Program", handed: tuple[Parameter, ...], address: int | None) -> bool:
    """Whether one of the functions that are handed the ``address`` of one may read it, or one to which they hand it on.

    Of those that others hand it to none is called with its own address: see `_handed_on`.
    """
    seen: set[Parameter] = set()
    work = list(handed)
    for _ in range(_MAX_DEPTH):
        following: dict[Parameter, None] = {}
        for function, register in work:
            onward = _onward(program, function, register)
            if onward is None:
                return True
            following.update(dict.fromkeys(each for each in onward if each[0] != address))
        seen.update(work)
        work = [each for each in following if each not in seen]
    return bool(work)


def _onward(program: "Program", function: int | str, register: str) -> tuple[Parameter, ...] | None:
    """The functions to which one hands on what it is given in a register; None where it may read it itself."""
    if isinstance(function, str):
        return () if function in _CALL_NOTHING else None
    if (function, register) not in program.onward:
        place = program.place(function)
        if place is None:
            return None
        handed = not is_left_to(program, place, register)
        begin = _Held(place.at, register)
        found = _followed(program, place.region, begin, place.at, thorough=True, handed=handed)
        read = bool(found.calls) or not found.nothing_else
        program.onward[function, register] = None if read else found.handed
    return program.onward[function, register]
