"""Addresses that take two instructions, a page (``adrp``) and then the offset in it: which ones are really named.

A scan of the bytes pairs each page with all that may belong to it, which are too many. Here the register that holds the
page is followed forwards on all ways inside of the function until it is overwritten.
"""

from binsafe.syscalls.controlflow.regions import Region
from binsafe.syscalls.machines.machine import JUMPS, Flow


def completed(region: Region, at: int, start: int, end: int, *, go: bool) -> tuple[int, ...] | None:
    """The instructions that name an address from ``start`` up to ``end`` with the page that the one at ``at`` computes.

    That is the instruction itself if it names whole addresses. None where the page may be used in ways not seen here.
    """
    machine, instructions = region.machine, region.instructions
    page = machine.page(instructions, at)
    if page is None:
        return (at,)
    register, address = page
    preserved = register in machine.preserved(go=False)
    kept_by_calls = not go or register in machine.preserved(go=True)
    """GCC keeps pages in any register over calls of functions that it has seen (``-fipa-ra``)."""
    found: list[int] = []
    seen: set[int] = set()
    work = [at + 1]
    while work:
        here = work.pop()
        if here in seen:
            continue
        seen.add(here)
        distances = machine.distances(instructions, here, register) if here < len(instructions) else None
        flow, target = region.flow(here)
        leaves = flow in JUMPS and region.at(target) is None
        leaves |= preserved and region.is_thrown_out_of(here)
        if distances is None or leaves:
            return None
        found += [here for distance in distances if start <= address + distance < end]
        work += region.landing(here) if preserved else ()
        if kept_by_calls if flow is Flow.CALL else machine.keeps(instructions, here, register):
            work += region.following(here)
    return tuple(found)
