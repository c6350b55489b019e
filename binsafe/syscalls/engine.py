"""Slice -> Syscalls, for static Linux programs.

Every site counts, whether or not something leads to it: for static programs that costs a few calls more than following
the calls from the entry, and cannot miss a function that is only reached through a pointer.
"""

import re
from collections.abc import Iterable

from binsafe.limits import MAX_EVIDENCE
from binsafe.model import Slice, Syscalls, Unresolved
from binsafe.syscalls import sites
from binsafe.syscalls.arm64 import Arm64
from binsafe.syscalls.decode import Decoder, OutOfInstructions
from binsafe.syscalls.machine import Machine
from binsafe.syscalls.patterns import is_covered
from binsafe.syscalls.program import Program
from binsafe.syscalls.tables import names, numbers
from binsafe.syscalls.wrappers import Gap, Number, resolve
from binsafe.syscalls.x86_64 import X86_64

MACHINES: dict[str, Machine] = {"x86_64": X86_64(), "arm64": Arm64()}

NEVER_IN_THE_CODE = (
    "restart_syscall",  # the kernel puts it in place of a sleep or poll that a stop and continue interrupted
    "rt_sigreturn",  # on arm64 signal handlers return to the vDSO, whose code makes it
    "clock_gettime",  # the vDSO's code falls back to these four where the clock is not readable from user mode;
    "gettimeofday",  # so does the kernel's emulation of the vsyscall page, which seccomp sees as well
    "time",
    "getcpu",
)
_VDSO_NAME = re.compile(rb"__(?:vdso|kernel)_(clock_getres|getrandom)")
"""More of the vDSO that falls back to its call. Programs find it by name: no name in the file, no way there."""


def analyse_static(slice_: Slice, *, max_instructions: int) -> Syscalls | None:
    """See `binsafe.syscalls.analyse`."""
    machine = MACHINES.get(slice_.arch)
    native = (slice_.format, slice_.bits, slice_.byte_order) == ("elf", 64, "little")
    static = slice_.linkage in {"static", "static-pie"} and not slice_.libraries
    if machine is None or not native or not static:
        return None
    found: set[Number] = set()
    gaps: set[Gap] = set()
    decoder = Decoder(machine.arch, max_instructions)
    try:
        program = Program(slice_, machine, decoder)
        if program.code.range_of(slice_.entry) is None:
            gaps.add(Gap(slice_.entry, "the entry point lies outside the code"))
        for site in sites.find(program):
            resolution = resolve(program, site)
            found |= resolution.numbers
            gaps |= {gap for gap in resolution.gaps if not is_covered(program, gap)}
    except OutOfInstructions:
        gaps.add(Gap(slice_.entry, f"more than {max_instructions} instructions would have to be decoded"))
    return _result(machine, slice_, found, gaps)


def _result(machine: Machine, slice_: Slice, found: set[Number], gaps: set[Gap]) -> Syscalls:
    """Name the numbers. One that the kernel has no call for fails with ENOSYS there, allowed or not: it is left out."""
    known = names(machine.arch)
    addresses: dict[str, set[int]] = {}
    for number in found:
        if number.value in known:
            addresses.setdefault(known[number.value], set()).add(number.address)
    required = tuple(sorted({*addresses, *_implied(machine, slice_)}))
    return Syscalls(
        abi=machine.abi,
        complete=not gaps,
        required=required,
        likely=required,
        unresolved=tuple(Unresolved(address=hex(gap.address), reason=gap.reason) for gap in sorted(gaps)),
        sites={name: _shown(addresses[name]) for name in required if name in addresses},
    )


def _implied(machine: Machine, slice_: Slice) -> set[str]:
    """Calls that are made on the program's behalf by code that is not in its file."""
    by_name = {match[1].decode() for match in _VDSO_NAME.finditer(slice_.data)}
    return {*NEVER_IN_THE_CODE, *by_name} & numbers(machine.arch).keys()


def _shown(addresses: Iterable[int]) -> tuple[str, ...]:
    return tuple(hex(address) for address in sorted(addresses)[:MAX_EVIDENCE])
