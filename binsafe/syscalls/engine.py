"""The choice of the analysis for a slice, and what all analyses have in common."""

from collections.abc import Mapping
from types import MappingProxyType

from binsafe.formats import elf
from binsafe.formats.elf_linking import Linking, of_slice
from binsafe.formats.gopclntab import FunctionTable
from binsafe.limits import MAX_INSTRUCTIONS
from binsafe.model import Slice, Syscalls, Unresolved
from binsafe.syscalls.conventions import CONVENTIONS
from binsafe.syscalls.decoding.decode import OutOfInstructions
from binsafe.syscalls.dynamic import analyse_dynamic
from binsafe.syscalls.linking import prelinked
from binsafe.syscalls.linking.passing import Watched
from binsafe.syscalls.linking.provider import Libraries
from binsafe.syscalls.linking.summarising import Summariser, unanalysed
from binsafe.syscalls.linking.summary import Summary
from binsafe.syscalls.machines.arm64 import Arm64
from binsafe.syscalls.machines.machine import Machine
from binsafe.syscalls.machines.x86_64 import X86_64
from binsafe.syscalls.services import with_services
from binsafe.syscalls.static import analyse_static

MACHINES: Mapping[str, Machine] = MappingProxyType({"x86_64": X86_64(), "arm64": Arm64()})
_TOO_LARGE = "more than {} instructions would have to be decoded"


def analyse(
    slice_: Slice,
    libraries: Libraries | None,
    *,
    max_instructions: int,
    explain: str | None,
    go: FunctionTable | None = None,
) -> Syscalls | None:
    """See `binsafe.syscalls.analyse`."""
    machine = MACHINES.get(slice_.arch)
    native = (slice_.format, slice_.bits, slice_.byte_order) == ("elf", 64, "little")
    if machine is None or not native:
        return None
    implied = CONVENTIONS[slice_.arch].implied()
    if slice_.linkage in {"static", "static-pie"} and not slice_.libraries:
        alone = analyse_static(slice_, machine, implied, max_instructions=max_instructions, go=go)
        return alone if libraries is None or not alone.open_set else with_services(slice_, machine, alone, libraries)
    if slice_.linkage != "dynamic" or libraries is None:
        return None
    linked = of_slice(slice_)
    if linked is None:
        return _unlinked(slice_, machine, implied, libraries, max_instructions, explain)
    program = _Program(slice_, linked, libraries, machine, max_instructions, go)
    return analyse_dynamic(program.summary, libraries, explain=explain)


class _Program:
    def __init__(
        self,
        slice_: Slice,
        linked: Linking,
        libraries: Libraries,
        machine: Machine,
        most: int,
        go: FunctionTable | None,
    ) -> None:
        self._file = slice_, linked, machine
        self._libraries = libraries
        self._most = most
        self._go = go
        self._summariser: Summariser | None = None

    def summary(self, watched: Watched) -> Summary:
        """The program's summary; where the budget ends before all is seen, all that it imports counts as called."""
        try:
            return self._libraries.program(watched, lambda: self._made(watched))
        except OutOfInstructions:
            return unanalysed(*self._file, _TOO_LARGE.format(self._most))

    def _made(self, watched: Watched) -> Summary:
        if self._summariser is None:
            self._summariser = Summariser(*self._file, self._most, self._go)
        return self._summariser.summary(watched)


def _unlinked(
    slice_: Slice, machine: Machine, implied: set[str], libraries: Libraries, most: int, explain: str | None
) -> Syscalls:
    """A program that names a loader and has nothing that one would link.

    Where its interpreter has no more it is all that is to be met, at fixed addresses; of others nothing is known.
    """
    members = libraries.members()
    if members and prelinked.is_met(members[0].summary):
        try:
            summary = prelinked.of_program(slice_, machine, most)
            return analyse_dynamic(lambda _: summary, libraries, explain=explain)
        except OutOfInstructions:
            pass
    calls = tuple(sorted(implied))
    gap = Unresolved(address=hex(slice_.entry), reason="it has a loader, and no dynamic section that says what to link")
    return Syscalls(abi=machine.abi, complete=False, required=calls, likely=calls, unresolved=(gap,))


def summarise_library(data: memoryview, watched: frozenset[tuple[str, str]]) -> Summary | None:
    """See `binsafe.syscalls.summarise_library`."""
    slice_ = elf.read(data, imports=False).slices[0]
    machine, linked = MACHINES.get(slice_.arch), of_slice(slice_)
    if machine is None:
        return None
    if linked is None:
        return prelinked.of_interpreter(slice_, machine, MAX_INSTRUCTIONS)
    try:
        return Summariser(slice_, linked, machine, MAX_INSTRUCTIONS).summary(watched)
    except OutOfInstructions:
        return unanalysed(slice_, linked, machine, _TOO_LARGE.format(MAX_INSTRUCTIONS))
