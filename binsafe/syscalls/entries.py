"""All ways of a program into the kernel: its sites, the numbers that they can be given, and what could not be told."""

from collections.abc import Collection, Iterator
from typing import NamedTuple

from binsafe.model import Slice
from binsafe.syscalls.controlflow.program import Program
from binsafe.syscalls.dataflow import sites
from binsafe.syscalls.dataflow.broadcast import broadcast
from binsafe.syscalls.dataflow.relayed import relayed
from binsafe.syscalls.dataflow.sites import Met, Site
from binsafe.syscalls.dataflow.wrappers import Gap, Number, Parameter, Resolution, resolve
from binsafe.syscalls.decoding.decode import OutOfInstructions
from binsafe.syscalls.pruning import dead_paths, decided_branches, fallbacks, go, musl, spawning, unreferenced
from binsafe.syscalls.tables import names

_X32 = 0x4000_0000
"""``__X32_SYSCALL_BIT`` of ``arch/x86/include/uapi/asm/unistd.h``: kernels that know the ABI make the call."""

_CAN_BE_WRITTEN = "what it runs can be written while it runs"
_RUNS_ON_STACK = "what it puts on its stack can be run"


class Entries(NamedTuple):
    """What code passes to the kernel that runs on a current one."""

    numbers: frozenset[Number]
    gaps: frozenset[Gap]
    parameters: frozenset[Parameter]
    sites: tuple[Site, ...]
    whole: bool
    """False where the budget was used up on the way: there may be more."""


def unwritten(slice_: Slice) -> Iterator[str]:
    """Why a program may run what is not in the file: a segment or the stack is writable and executable."""
    if slice_.traits.get("rwx_segment"):
        yield _CAN_BE_WRITTEN
    if slice_.traits.get("executable_stack"):
        yield _RUNS_ON_STACK


def entries(program: Program) -> Entries:
    """The entries of a program, or as many as its budget allows for."""
    numbers: set[Number] = set()
    gaps: set[Gap] = set()
    parameters: set[Parameter] = set()
    found: list[Site] = []
    broadcasts: dict[int, Resolution | None] = {}
    whole = True
    try:
        for site in sites.find(program):
            if isinstance(site, Gap):
                gaps.add(site)
                continue
            if isinstance(site, Site):
                numbers |= {Number(number, site.address) for number in site.numbers}
                found.append(site)
                continue
            resolution, told = _resolved(program, site, broadcasts)
            numbers |= resolution.numbers
            gaps |= resolution.gaps
            parameters |= resolution.parameters
            sure = not resolution.gaps and not resolution.parameters
            found.append(Site(site.place.address, frozenset(number.value for number in resolution.numbers), sure, told))
        gaps |= {Gap(n.address, "the number is one of the x32 ABI") for n in numbers if _is_x32(program, n.value)}
        numbers = _made(program, numbers, found)
    except OutOfInstructions:
        whole = False
    return Entries(frozenset(numbers), frozenset(gaps), frozenset(parameters), tuple(found), whole)


def _resolved(
    program: Program, site: Met, broadcasts: dict[int, Resolution | None]
) -> tuple[Resolution, frozenset[Number]]:
    """What one site can be given, and what of it no walk has told.

    What looks like a site and may be data is no gap where its number is not known.
    """
    plausible = sites.is_plausible(program, site.place)
    found = resolve(program, site.place, site.led_to, plausible=plausible)
    if not plausible:
        return found._replace(gaps=frozenset()), frozenset()
    gaps: set[Gap] = set()
    otherwise: set[Number] = set()
    for gap in found.gaps:
        told = _told(program, gap, broadcasts)
        if told is None:
            gaps.add(gap)
        else:
            otherwise |= told.numbers
            found = found._replace(numbers=found.numbers | told.numbers, parameters=found.parameters | told.parameters)
    return found._replace(gaps=frozenset(gaps)), frozenset(otherwise)


def _made(program: Program, numbers: Collection[Number], found: Collection[Site]) -> set[Number]:
    """The numbers without those that are never passed, by the rules of `binsafe.syscalls.pruning` in order."""
    failing = fallbacks.Asked(program, numbers, found)
    made = unreferenced.needed(program, numbers)
    made = fallbacks.needed(program, made, failing)
    made = go.needed(program, made)
    child = spawning.never_taken(program, made)
    made = decided_branches.needed(program, made, lambda region: failing(region) | child.get(region.start, set()))
    made = dead_paths.needed(program, made, found, child)
    return musl.needed(program, made)


def _is_x32(program: Program, number: int) -> bool:
    """Whether a number means a call of the other ABI for the same processor."""
    arch = program.machine.arch
    return arch == "x86_64" and bool(number & _X32) and number ^ _X32 in names(arch)


def _told(program: Program, gap: Gap, broadcasts: dict[int, Resolution | None]) -> Resolution | None:
    """What can be given where a walk did not tell it; None where nothing else does either."""
    told = None if program.go is None else go.told(program, gap)
    return told or broadcast(program, gap, broadcasts) or relayed(program, gap)  # cgo brings a C library
