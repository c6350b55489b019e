"""Slice -> Syscalls, for static Linux programs.

Every site counts, whether or not something leads to it: for static programs that costs a few calls more than following
the calls from the entry, and cannot miss a function that is only reached through a pointer.
"""

from collections.abc import Iterable

from msgspec import structs

from binsafe.formats.elf_linking import Linking, of_slice
from binsafe.formats.gopclntab import FunctionTable
from binsafe.limits import MAX_EVIDENCE
from binsafe.model import Slice, Syscalls, Unresolved
from binsafe.model.facts import ArgumentValues
from binsafe.syscalls import vdso
from binsafe.syscalls.controlflow.program import Program
from binsafe.syscalls.dataflow.arguments import at_sites
from binsafe.syscalls.dataflow.decisive import decisive
from binsafe.syscalls.dataflow.sites import Site
from binsafe.syscalls.dataflow.wrappers import Gap, Number
from binsafe.syscalls.decoding.decode import Decoder, OutOfInstructions
from binsafe.syscalls.entries import Entries, entries, unwritten
from binsafe.syscalls.glibc import is_static_glibc, loads_services
from binsafe.syscalls.linking.argument_proofs import proved
from binsafe.syscalls.machines.machine import Machine
from binsafe.syscalls.tables import names, numbers

_SERVICES = ("dlopen: libnss_*.so.2 (name services)",)


def analyse_static(
    slice_: Slice, machine: Machine, implied: set[str], *, max_instructions: int, go: FunctionTable | None
) -> Syscalls:
    """See `binsafe.syscalls.analyse`; ``implied`` are the calls that are in no code."""
    gaps: set[Gap] = set()
    found: Entries | None = None
    try:
        program = Program(slice_, machine, Decoder(machine.arch, max_instructions), _linked(slice_), go)
        if program.go is None and not is_static_glibc(slice_.data):
            implied |= set(vdso.calls(program.code)) & numbers(machine.arch).keys()
        if program.code.range_of(slice_.entry) is None:
            gaps.add(Gap(slice_.entry, "the entry point lies outside the code"))
        gaps.update(Gap(slice_.entry, reason) for reason in unwritten(slice_))
        found = entries(program)
        gaps |= found.gaps
    except OutOfInstructions:
        pass
    if found is None or not found.whole:
        gaps.add(Gap(slice_.entry, f"more than {max_instructions} instructions would have to be decoded"))
    made = frozenset[Number]() if found is None else found.numbers
    result = _result(machine, implied, made, gaps, open_set=_SERVICES if loads_services(slice_.data) else ())
    if found is None or not result.complete:
        return result
    return structs.replace(result, arguments=_proved(program, found.sites))


def _proved(program: Program, own: Iterable[Site]) -> dict[str, tuple[ArgumentValues, ...]]:
    """What is known of arguments: nothing where looking would take too long."""
    try:
        given = at_sites(program, own, decisive(program.machine.arch, dynamic=False)).given
    except OutOfInstructions:
        return {}
    return proved(((g.number, g.argument, g.value) for g in given), program.machine.arch)


def _linked(slice_: Slice) -> Linking | None:
    """The relocations that a position-independent program applies to itself; None for a slice that is no whole file."""
    return of_slice(slice_) if slice_.linkage == "static-pie" and bytes(slice_.data[:4]) == b"\x7fELF" else None


def _result(
    machine: Machine, implied: set[str], found: Iterable[Number], gaps: set[Gap], *, open_set: tuple[str, ...]
) -> Syscalls:
    """Name the numbers. One that the kernel has no call for fails with ENOSYS there, allowed or not: it is left out."""
    known = names(machine.arch)
    addresses: dict[str, set[int]] = {}
    for number in found:
        if number.value in known:
            addresses.setdefault(known[number.value], set()).add(number.address)
    required = tuple(sorted({*addresses, *implied}))
    return Syscalls(
        abi=machine.abi,
        complete=not gaps and not open_set,
        required=required,
        likely=required,
        open_set=open_set,
        unresolved=tuple(Unresolved(address=hex(gap.address), reason=gap.reason) for gap in sorted(gaps)),
        sites={name: _shown(addresses[name]) for name in required if name in addresses},
    )


def _shown(addresses: Iterable[int]) -> tuple[str, ...]:
    return tuple(hex(address) for address in sorted(addresses)[:MAX_EVIDENCE])
