"""Which analysis a slice gets, and what is true of all of them."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from binsafe.formats import parse
from binsafe.formats.elf_linking import linking
from binsafe.limits import MAX_INSTRUCTIONS
from binsafe.model import Slice, Syscalls, Unresolved
from binsafe.syscalls.arm64 import Arm64
from binsafe.syscalls.decode import OutOfInstructions
from binsafe.syscalls.dynamic import analyse_dynamic
from binsafe.syscalls.machine import Machine
from binsafe.syscalls.provider import Libraries
from binsafe.syscalls.static import analyse_static
from binsafe.syscalls.summarising import summarise
from binsafe.syscalls.summary import Summary
from binsafe.syscalls.tables import numbers
from binsafe.syscalls.x86_64 import X86_64

MACHINES: Mapping[str, Machine] = MappingProxyType({"x86_64": X86_64(), "arm64": Arm64()})

NEVER_IN_THE_CODE = (
    "restart_syscall",  # the kernel puts it in place of a sleep or poll that a stop and continue interrupted
    "rt_sigreturn",  # on arm64 signal handlers return to the vDSO, whose code makes it
)
"""More of such calls depend on what the program asks the kernel's code for, see `binsafe.syscalls.vdso`."""


def analyse(
    slice_: Slice, libraries: Libraries | None, *, max_instructions: int, explain: str | None
) -> Syscalls | None:
    """See `binsafe.syscalls.analyse`."""
    machine = MACHINES.get(slice_.arch)
    native = (slice_.format, slice_.bits, slice_.byte_order) == ("elf", 64, "little")
    if machine is None or not native:
        return None
    implied = set(NEVER_IN_THE_CODE) & numbers(machine.arch).keys()
    if slice_.linkage in {"static", "static-pie"} and not slice_.libraries:
        return analyse_static(slice_, machine, implied, max_instructions=max_instructions)
    if slice_.linkage != "dynamic":
        return None
    linked = linking(slice_.data)
    if linked is None:
        return _unlinked(slice_, machine, implied)
    if libraries is None:
        return None
    return analyse_dynamic(
        slice_, linked, libraries, machine, implied, max_instructions=max_instructions, explain=explain
    )


def _unlinked(slice_: Slice, machine: Machine, implied: set[str]) -> Syscalls:
    """A program that names a loader and has nothing that one would link: what would become of it is not known."""
    calls = tuple(sorted(implied))
    gap = Unresolved(address=hex(slice_.entry), reason="it has a loader, and no dynamic section that says what to link")
    return Syscalls(abi=machine.abi, complete=False, required=calls, likely=calls, unresolved=(gap,))


def summarise_library(data: memoryview, watched: frozenset[tuple[str, str]]) -> Summary | None:
    """See `binsafe.syscalls.summarise_library`."""
    slice_ = parse(data).slices[0]
    machine, linked = MACHINES.get(slice_.arch), linking(data)
    if machine is None or linked is None:
        return None
    try:
        return summarise(slice_, linked, machine, MAX_INSTRUCTIONS, watched)
    except OutOfInstructions:
        return None


def version() -> str:
    """See `binsafe.syscalls.engine_version`."""
    folder = Path(__file__).parent
    files = sorted([*folder.glob("*.py"), *folder.parent.joinpath("formats").glob("*.py")])
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()[:16]
