"""AArch64: the number is in x8; ``svc #0`` leaves its result in x0 and every other register as it was.

Encodings: Arm ARM (DDI 0487), section C4; convention of the kernel: ``arch/arm64/kernel/syscall.c``; of C: AAPCS64,
section 6.1.1; of Go: ``abi-internal.md`` (no register but sp and x29 survives a call).
"""

from collections.abc import Iterator, Mapping

import numpy as np
import numpy.typing as npt

from binsafe.syscalls.conventions import CONVENTIONS
from binsafe.syscalls.decoding.code import Bytes, CodeRange
from binsafe.syscalls.decoding.decode import JUNK, Instruction, Instructions
from binsafe.syscalls.machines import arm64_addresses as addresses
from binsafe.syscalls.machines import arm64_frames as frames
from binsafe.syscalls.machines import arm64_scans as scans
from binsafe.syscalls.machines import arm64_values as values
from binsafe.syscalls.machines.arm64_branches import settled, tested
from binsafe.syscalls.machines.arm64_tables import table
from binsafe.syscalls.machines.machine import (
    Edges,
    Flow,
    Frame,
    Location,
    References,
    Settled,
    Source,
    Step,
    Table,
    Tested,
    Use,
)


class Arm64:
    """See `binsafe.syscalls.machines.machine.Machine`."""

    arch = "arm64"
    abi = CONVENTIONS["arm64"].abi
    number = "x8"
    result = "x0"
    arguments = CONVENTIONS["arm64"].arguments
    returned = frozenset({"x0", "x1"})
    passed: tuple[str, ...] = arguments[:6]
    nonsense = frozenset({JUNK, "udf", "hvc", "smc", "eret", "dcps1", "dcps2", "dcps3", "drps"})
    compare = "cmn"
    prefixes = frozenset[int]()
    stack = "sp"
    call_shift = 0
    names_absolutely = False  # an instruction has 4 bytes

    def find_sites(self, code: CodeRange) -> Iterator[int]:
        """Those of ``svc`` with any immediate: the kernel looks at none (``arch/arm64/kernel/entry-common.c``)."""
        return scans.sites(code)

    def is_site(self, instruction: Instruction) -> bool:
        """Whether it is ``svc``."""
        return instruction.mnemonic == "svc"

    def find_foreign(self, code: CodeRange) -> Iterator[int]:
        """None: a program for 64 bits has no way to those for 32."""
        del code
        return iter(())

    def calls(self, code: CodeRange) -> Edges:
        """``bl``."""
        return scans.calls(code)

    def jumps(self, code: CodeRange) -> Edges:
        """``b``; ``b.cond``, ``cbz`` and ``cbnz``; ``tbz`` and ``tbnz``."""
        return scans.jumps(code)

    def short_jumps(self, code: CodeRange) -> Edges:
        """None: `jumps` has them all."""
        nothing = np.array([code.address][:0], np.int64)
        return Edges(nothing, nothing)

    def short_jumps_of_few(self, code: bytes, address: int) -> Iterator[tuple[int, int]]:  # noqa: ARG002 - as above
        """None either."""
        return iter(())

    def closes(self, last: Bytes) -> npt.NDArray[np.bool_]:
        """See `Machine.closes`."""
        return scans.closes(last)

    def references(self, code: CodeRange) -> References:
        """See `arm64_scans`."""
        return scans.references(code)

    def page(self, instructions: Instructions, at: int) -> tuple[str, int] | None:
        """That of ``adrp``."""
        return addresses.page(instructions, at)

    def distances(self, instructions: Instructions, at: int, register: str) -> tuple[int, ...] | None:
        """Of an addition of a constant, and of a load or store."""
        return addresses.distances(instructions.names[at], instructions.operands(at), register)

    def named(self, instructions: Instructions, at: int, straight: int) -> tuple[int, ...]:
        """What it counts from its own address, or from a page."""
        return addresses.named(instructions, at, straight)

    def takes(self, instructions: Instructions, at: int) -> str | None:
        """Of ``adr``, and of what adds to a page."""
        return addresses.takes(instructions, at)

    def use(self, instructions: Instructions, at: int, register: str, taking: int) -> Use:  # noqa: ARG002 - as above
        """What mentions it uses it."""
        return addresses.use(instructions.names[at], instructions.operands(at), register)

    def flows(self, instructions: Instructions) -> dict[int, Flow]:
        """How control leaves each of them, by index; left out is what goes on."""
        flows = ((at, self._flow(instruction)) for at, instruction in enumerate(instructions))
        return {at: flow for at, flow in flows if flow is not Flow.NEXT}

    def _flow(self, instruction: Instruction) -> Flow:
        """How control leaves an instruction."""
        mnemonic = instruction.mnemonic
        if mnemonic == "bl" or mnemonic.startswith("blr"):
            return Flow.CALL
        if mnemonic == "b":
            return Flow.JUMP
        if mnemonic.startswith(("b.", "bc.")) or mnemonic in values.COMPARE_AND_BRANCH:
            return Flow.BRANCH
        if mnemonic in values.COMPUTED_JUMPS:
            return Flow.INDIRECT
        if mnemonic in values.RETURNS:
            return Flow.RETURN
        is_data = mnemonic == JUNK and not values.is_unknown(mnemonic, instruction.operands)
        return Flow.TRAP if is_data or mnemonic in values.TRAPS else Flow.NEXT

    def target(self, instructions: Instructions, at: int) -> int | None:
        """Constants are the last of the operands."""
        target = instructions.operands(at).rpartition("#")[2]
        return int(target, 16) if target.startswith("0x") else None

    def compared_with(self, instruction: Instruction, value: int) -> str | None:
        """``cmn``, which compares with the negative of its constant."""
        register, _, constant = instruction.operands.partition(", #")
        fits = instruction.mnemonic == self.compare and "," not in constant and constant and int(constant, 0) == -value
        return values.full(register) if fits else None

    def branches_if_equal(self, instruction: Instruction) -> bool | None:
        """``b.eq`` and ``b.ne``."""
        return {"b.eq": True, "b.ne": False}.get(instruction.mnemonic)

    def tested(self, instructions: Instructions, at: int) -> Tested | None:
        """``cbz``, ``tbz`` and their opposites, and ``b.cond`` behind what compares registers and constants."""
        return tested(instructions, at)

    def settled(self, instructions: Instructions, at: int) -> Settled | None:
        """``cbz`` of all 64 bits."""
        return settled(instructions, at)

    def next_frame(self, instructions: Instructions, at: int, frame: Frame) -> Frame:
        """Follows sp, and what was copied from it: Go makes large frames through x20, C keeps x29."""
        return frames.after(instructions[at], frame)

    def exposes(self, instruction: Instruction, frame: Frame) -> int | None:
        """Additions to sp and to its copies, stores of them, and accesses with an index."""
        return frames.exposed(instruction, frame)

    def reaches_up(self, instruction: Instruction, frame: Frame) -> None:  # noqa: ARG002 - see below
        """None are told: a call leaves the address in a register."""
        return

    def table(self, instructions: Instructions, at: int, straight: int) -> Table | None:
        """See `arm64_tables`."""
        return table(instructions, at, straight)

    def preserved(self, *, go: bool) -> frozenset[str]:
        """Registers that a callee hands back as they were."""
        return frozenset({"x29"}) if go else values.PRESERVED

    def keeps(self, instructions: Instructions, at: int, location: Location) -> bool:
        """Most do not write the register or slot that is followed."""
        name = instructions.names[at]
        if isinstance(location, int):
            return not name.startswith(values.STORES) and name != JUNK
        return not values.may_set(name, instructions.operands(at), location)

    def sources(self, step: Step, location: Location) -> tuple[Source, ...] | None:
        """Where the location's value comes from; None if the instruction leaves it alone."""
        return values.stored(step, location) if isinstance(location, int) else values.written(step, location)

    def after(self, step: Step, known: Mapping[str, int]) -> Mapping[str, int]:
        """Nothing: it is not run forward."""
        del step, known
        return {}

    def leads(self, step: Step, known: Mapping[str, int]) -> int | None:
        """None: see `after`."""
        del step, known
        return None
