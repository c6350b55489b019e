"""Calls that a macOS program makes past libSystem: its own ``syscall`` and ``svc`` instructions.

Apple promises nothing about numbers, and its tools write no such code. Old Go programs have it, and programs that want
to pass by whoever watches libSystem.

The numbers (XNU, ``osfmk/mach/i386/syscall_sw.h`` and ``osfmk/arm64/sleh.c``): on x86-64 bits 24 to 31 of eax are the
class: 1 Mach, 2 BSD, 3 the machine's own. On arm64 x16 is a BSD number, a Mach trap's with a minus sign, or 0x80000000
for the machine's own; the kernel does not look at the immediate of ``svc``, so neither may we.
"""

from collections.abc import Iterator

import numpy as np

from binsafe.model import Slice
from binsafe.syscalls.controlflow.program import Program
from binsafe.syscalls.darwin.tables import Table
from binsafe.syscalls.dataflow import sites
from binsafe.syscalls.dataflow.wrappers import Gap, Number, resolve
from binsafe.syscalls.decoding.code import Code, CodeRange
from binsafe.syscalls.decoding.decode import Decoder, OutOfInstructions
from binsafe.syscalls.machines.arm64 import Arm64
from binsafe.syscalls.machines.machine import Machine
from binsafe.syscalls.machines.x86_64 import X86_64

_SVC, _SVC_MASK = 0xD400_0001, 0xFFE0_001F
_CLASS_SHIFT, _MACH, _BSD = 24, 1, 2
_SIGN, _MACHINE = 1 << 31, 0x8000_0000


class DarwinX86(X86_64):
    """Linux's convention but for the numbers."""

    abi = "darwin-x86_64"


class DarwinArm64(Arm64):
    """The number is in x16; the instruction is usually ``svc #0x80``."""

    abi = "darwin-arm64"
    number = "x16"

    def find_sites(self, code: CodeRange) -> Iterator[int]:
        """Aligned words that are ``svc`` with any immediate."""
        skew = -code.address % 4
        words = np.frombuffer(code.data, np.dtype("<u4"), max(0, len(code.data) - skew) // 4, skew)
        return iter((code.address + skew + 4 * np.flatnonzero((words & _SVC_MASK) == _SVC)).tolist())


MACHINES: dict[str, Machine] = {"x86_64": DarwinX86(), "arm64": DarwinArm64(), "arm64e": DarwinArm64()}


def find(slice_: Slice, machine: Machine, *, max_instructions: int) -> tuple[set[Number], set[Gap]]:
    """The numbers that the slice's own instructions can give the kernel, and the places where they cannot be told."""
    numbers: set[Number] = set()
    gaps: set[Gap] = set()
    if not any(any(True for _ in machine.find_sites(code)) for code in Code(slice_).ranges):
        return numbers, gaps  # nearly every program; finding out costs one scan
    decoder = Decoder(machine.arch, max_instructions)
    try:
        program = Program(slice_, machine, decoder)
        for site in sites.find(program):
            if isinstance(site, Gap):
                gaps.add(site)
                continue
            if isinstance(site, sites.Site):
                numbers |= {Number(number, site.address) for number in site.numbers}
                continue
            plausible = sites.is_plausible(program, site.place)
            resolution = resolve(program, site.place, site.led_to, plausible=plausible)
            numbers |= resolution.numbers
            gaps |= resolution.gaps
    except OutOfInstructions:
        gaps.add(Gap(slice_.entry, f"more than {max_instructions} instructions would have to be decoded"))
    return numbers, gaps


def name(table: Table, arch: str, number: int) -> str | None:
    """The name of a call by the 32 bits in its register; None if the kernel has no call of that number."""
    if arch == "x86_64":
        family, low = number >> _CLASS_SHIFT, number & (1 << _CLASS_SHIFT) - 1
        return {_MACH: table.mach, _BSD: table.bsd}.get(family, {}).get(low)
    if number & _SIGN and number != _MACHINE:
        return table.mach.get((1 << 32) - number)
    return table.bsd.get(number)
