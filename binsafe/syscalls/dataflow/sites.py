"""Where the program enters the kernel: places that are the system-call instruction, read from a function's start on."""

from collections.abc import Iterator, Mapping
from itertools import chain, groupby
from typing import NamedTuple

import numpy as np

from binsafe.syscalls.controlflow.incoming import NEAR
from binsafe.syscalls.controlflow.index import pieces
from binsafe.syscalls.controlflow.places import Place
from binsafe.syscalls.controlflow.program import Program
from binsafe.syscalls.controlflow.regions import Region
from binsafe.syscalls.dataflow.wrappers import Gap, Number
from binsafe.syscalls.decoding.code import beside
from binsafe.syscalls.decoding.decode import LONGEST
from binsafe.syscalls.machines.edges import TAKEN, Addresses, Edges
from binsafe.syscalls.machines.machine import Flow

_AROUND = 100
"""Instructions before and behind a site that are looked at to tell code from data."""
_MUCH_NONSENSE = 4
"""Of random bytes one instruction in twenty is nonsense; of code none is."""
_REACH = 64
"""Bytes within which code that is decoded from another byte comes to the same instructions again, in practice."""

_AT_ONCE = 1 << 14
"""Sites that are looked at at a time."""
_LARGEST = 1 << 14
"""Bytes of a function that is skimmed, and of which so many take as long as to decode an instruction:"""
_SKIMMED_BYTES = 8
_SITE_SIZE = 4
"""Bytes of the longest instruction that is a site."""


class Site(NamedTuple):
    """A system-call instruction, and the numbers that it can be given."""

    address: int
    numbers: frozenset[int]
    sure: bool
    """Whether these are all: False where a way to it was not understood, or comes from another file."""
    told: frozenset[Number] = frozenset()
    """Those of them that no walk has found but that are told otherwise."""


class Met(NamedTuple):
    """A system-call instruction of which the numbers are still to be told."""

    place: Place
    led_to: int
    """See `Incoming.last_leading_to`."""


def find(program: Program) -> Iterator[Site | Met | Gap]:
    """The program's sites; a gap for each that is there and is not decoded, or is not to be listed.

    The two bytes of x86's ``syscall`` also occur inside longer instructions, and in constants that lie among code.
    Those are no sites: no instruction starts there when their function is decoded from its first byte on. Unless
    something leads into the middle of an instruction, on purpose or because there are constants in front of it.
    """
    last = -1
    for code in pieces(program.code.ranges):
        addresses = np.fromiter(program.machine.find_sites(code), np.int64)
        addresses = addresses[addresses > last]  # pieces overlap
        last = max([last, *addresses[-1:].tolist()])
        for part in (addresses[first : first + _AT_ONCE] for first in range(0, len(addresses), _AT_ONCE)):
            led = dict(zip(part.tolist(), program.incoming.last_leading_to(part).tolist(), strict=True))
            told = {site.address: site for site in _told(program, led)}
            yield from told.values()
            for address, led_to in led.items():
                if address in told:
                    continue
                place = program.place(address)
                if place is None:
                    yield from _hidden(program, address)
                elif place.instruction.mnemonic == program.machine.site:
                    yield Met(place, led_to)
    yield from _beside(program)
    for scan, reason in (
        (program.machine.find_foreign, "it makes calls of another architecture"),
        (program.machine.changed_returns, "it changes the address to which it returns"),
    ):
        found = {at for code in pieces(program.code.ranges) for at in scan(code)}
        yield from (Gap(address, reason) for address in sorted(found) if _is_code(program, address))


def _told(program: Program, led: Mapping[int, int]) -> Iterator[Site]:
    """The sites whose numbers are told by bytes alone, in functions that tables of the file know; ``led`` as `Met` has.

    What `is_plausible`, and the walk for the number, would find is the same: nothing but the instructions before such a
    site leads there, and there are no zeros among them.
    """
    for span, sites in groupby(led, key=program.span):
        if span is None or not span.anchored or span.end - span.start > _LARGEST or not program.is_known(span.start):
            continue
        if program.catching.around(span.start, span.end) != () or program.taken.may_be_inside(span.start, span.end):
            continue
        code = program.code.read(span.start, span.end)
        program.decoder.spend(len(code) // _SKIMMED_BYTES)
        for number, since, at in program.machine.set_numbers(code, [site - span.start for site in sites]):
            site = span.start + at
            if led[site] < span.start + since and at - since < NEAR and code[at - 1] not in program.machine.prefixes:
                yield Site(site, frozenset({number}), sure=True)


def _is_code(program: Program, address: int) -> bool:
    """Whether an instruction starts at an address beyond doubt: what bytes look like is mostly chance."""
    place = program.place(address) if program.is_start(address) else None
    return place is not None and is_plausible(program, place)


def _hidden(program: Program, address: int) -> Iterator[Gap]:
    """A site that no instruction starts at, if something leads to where one does, or may do so."""
    end = address + _SITE_SIZE
    ways = _leading_astray(program, address)
    source = next((source for source, start in ways if _comes_to(program, start, address)), None)
    if source is not None:
        yield Gap(source, "it leads into the middle of an instruction, and from there to a system call")
    elif any(_runs_to(program, program.code.read(at, end), at, address) for at in _behind_unknown(program, address)):
        yield Gap(address, "it is a system call behind an instruction that is not known")


def _behind_unknown(program: Program, address: int) -> Iterator[int]:
    """Where code may go on behind an instruction that the decoder does not know, shortly before an address.

    The decoder takes the first byte of such an instruction for junk and goes on with its second byte, so that it reads
    what follows from a wrong place. Of this kind are new instructions, such as AVX-VNNI's. Constants among code look
    the same, but no branch leads to them, or there are more of them.
    """
    region = program.region(address)
    if region is None:
        return
    for at in region.within(address - _REACH, address):
        led_to = not at or region.falls_through(at - 1) or at in region.jumps_to
        if not led_to or region.leaving(at) is not Flow.UNKNOWN:
            continue
        first = region.instructions.addresses[at] + 1
        if program.machine.undefined.issuperset(program.code.read(first - 1, first)):
            continue
        if program.is_known(region.start) or _is_sensible(program, region, at - _AROUND, at):
            yield from range(first, min(first + LONGEST, address + 1))


def _leading_astray(program: Program, address: int) -> Iterator[tuple[int, int]]:
    """(source, target) of what leads between the instructions around an address, or takes an address shortly before."""
    region = program.region(address)
    if region is None:
        return
    first, last = address - _REACH + 1, address + 1
    leading = program.incoming.leading_to(max(first, region.start), min(address + _REACH, region.end))
    branches = ((source, target, program.branch) for source, target in leading)
    named = program.references.into(first, last)
    taken = ((source, target, program.place) for source, target, use in named if use == TAKEN)
    for source, target, found_at in chain(branches, taken):
        place = found_at(source) if region.at(target) is None else None
        if place is not None and place.region.flow(place.at)[1] in {None, target}:
            yield place.address, target
    odd = program.taken.odd_pointers(first, last)
    yield from ((slot, target) for slot, target in odd if region.at(target) is None)
    for caught in region.caught or ():
        if first <= caught.pad < last and region.at(caught.pad) is None:
            yield caught.start, caught.pad


def _beside(program: Program) -> Iterator[Gap]:
    """Branches to a site in memory that can run and that the section table does not call code.

    Linkers put constants there, and bytes of a site among them by chance, which no code branches to.
    """
    memory = list(beside(program.code))
    sites = np.array(sorted(site for part in memory for site in program.machine.find_sites(part)), np.int64)
    scans = (program.machine.calls, program.machine.jumps) if len(sites) else ()
    for edges in (scan(code) for scan in scans for code in pieces(program.code.ranges)):
        for source, target, near in _shortly_before(sites, edges):
            place = program.place(source)
            part = next((part for part in memory if part.address <= target < part.end), None)
            if place is None or part is None or place.region.flow(place.at)[1] != target:
                continue
            code = bytes(part.data[target - part.address : near[-1] + _SITE_SIZE - part.address])
            if any(_runs_to(program, code[: site + _SITE_SIZE - target], target, site) for site in near):
                yield Gap(source, "it leads to a system call outside of the sections of code")


def _shortly_before(sites: Addresses, edges: Edges) -> Iterator[tuple[int, int, list[int]]]:
    """(source, target, sites shortly behind it) of the edges that lead to a little before a site."""
    first, last = (np.searchsorted(sites, edges.targets + reach) for reach in (0, _REACH))
    chosen = np.flatnonzero(first < last)
    for at in chosen.tolist():
        yield int(edges.sources[at]), int(edges.targets[at]), sites[first[at] : last[at]].tolist()


def _comes_to(program: Program, start: int, address: int) -> bool:
    """Whether code that no instruction starts at comes to a site, in a straight line or by jumps to more such code."""
    seen, work = set[int](), [start]
    while work:
        at = work.pop()
        seen.add(at)
        found = program.decoder.sweep(program.code.read(at, at + _REACH), at)
        flows = program.machine.flows(found)
        for index, (place, name) in enumerate(zip(found.addresses, found.names, strict=True)):
            if place == address and name == program.machine.site:
                return True
            flow = flows.get(index, Flow.NEXT)
            target = program.machine.target(found, index) if flow in {Flow.JUMP, Flow.BRANCH, Flow.CALL} else None
            if target is not None and abs(target - address) < _REACH and target not in seen:
                work += [] if program.place(target) else [target]
            if flow not in {Flow.NEXT, Flow.BRANCH, Flow.CALL}:
                break
    return False


def _runs_to(program: Program, code: bytes, start: int, address: int) -> bool:
    """Whether ``code``, which begins at ``start``, comes to a site at an address."""
    found = program.decoder.sweep(code, start)
    site = found.at(address) if found else None
    if site is None or found.names[site] != program.machine.site:
        return False
    return all(flow in {Flow.BRANCH, Flow.CALL} for at, flow in program.machine.flows(found).items() if at < site)


def is_plausible(program: Program, site: Place) -> bool:
    """Whether a site is code beyond doubt: in a function that a table of the file knows, or among sensible code.

    Assembler puts constants between functions, and some of them decode to a system call.
    """
    region, at = site.region, site.at
    if _follows_zeros(program, site):
        return False
    if program.is_known(region.start):
        return True
    return not _begins_table(site) and _is_sensible(program, region, at - _AROUND, at + _AROUND)


def _begins_table(site: Place) -> bool:
    """Whether data begins with a site, as a table in front of a function of GHC's: nothing runs into it, zeros follow.

    An ``int 0x80`` that ends a program stands before zeros, too, but something comes to it.
    """
    region, at = site.region, site.at
    before = at - 1
    while before > 0 and region.is_padding(before):
        before -= 1
    if before < 0 or at in region.jumps_to or region.falls_through(before):
        return False
    end = next((each for each in range(at, at + _AROUND) if not region.falls_through(each)), at + _AROUND)
    return any(region.is_zeros(each) for each in range(at, end + 1))


def _is_sensible(program: Program, region: Region, first: int, last: int) -> bool:
    """Whether what stands between two indices looks like code."""
    names = region.instructions.names[max(0, first) : last]
    return sum(name in program.machine.nonsense for name in names) < _MUCH_NONSENSE


def _follows_zeros(program: Program, site: Place) -> bool:
    """Whether what runs into an instruction are zeros, with nonsense between them or none.

    That is data among code, as the tables in front of GHC's functions.
    """
    region, at = site.region, site.at
    while at and region.zeros and at not in region.jumps_to:
        at -= 1
        if region.is_zeros(at):
            return True
        if not region.falls_through(at) and region.instructions.names[at] not in program.machine.nonsense:
            return False
    return False
