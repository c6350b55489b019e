"""x86-64: the number is in eax; ``syscall`` is ``0f 05`` and leaves its result in rax, and rcx and r11 destroyed.

Encodings: Intel SDM volume 2; call convention of the kernel: ``arch/x86/entry/entry_64.S``; of C: System V ABI,
section 3.2.1; of Go: ``abi-internal.md`` (no register but rsp and rbp survives a call).
"""

from collections.abc import Iterator, Mapping

import numpy as np
import numpy.typing as npt

from binsafe.syscalls.conventions import CONVENTIONS
from binsafe.syscalls.decoding.code import Bytes, CodeRange
from binsafe.syscalls.decoding.decode import JUNK, Instruction, Instructions
from binsafe.syscalls.machines import x86_64_addresses as addresses
from binsafe.syscalls.machines import x86_64_execution as execution
from binsafe.syscalls.machines import x86_64_frames as frames
from binsafe.syscalls.machines import x86_64_scans as scans
from binsafe.syscalls.machines import x86_64_values as values
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
from binsafe.syscalls.machines.x86_64_branches import settled, tested
from binsafe.syscalls.machines.x86_64_tables import table

_NONSENSE = (
    f"{JUNK} in out insb insd outsb outsd hlt cli sti iretd iretq int int1 retf retfq enter ljmp lcall std cmc "
    "fbld fbstp fisttp sysexit sysenter sysret rsm wrmsr rdmsr invd clts lahf sahf loope loopne xlatb salc"
)

_FLOWS: Mapping[str, Flow] = (
    dict.fromkeys(values.BRANCHES, Flow.BRANCH)
    | dict.fromkeys(("ret", "retf", "iretq"), Flow.RETURN)
    | dict.fromkeys(("ud0", "ud1", "ud2", "int3", "hlt"), Flow.TRAP)
    | {"jmp": Flow.JUMP, "call": Flow.CALL, JUNK: Flow.UNKNOWN}
)


class X86_64:  # noqa: N801 - the processor's own name
    """See `binsafe.syscalls.machines.machine.Machine`."""

    arch = "x86_64"
    abi = CONVENTIONS["x86_64"].abi
    number = "rax"
    result = "rax"
    arguments = CONVENTIONS["x86_64"].arguments
    returned = frozenset({"rax", "rdx"})
    passed: tuple[str, ...] = ("rdi", "rsi", "rdx", "r10", "r8", "r9")
    nonsense = frozenset(_NONSENSE.split())
    compare = "cmp"
    prefixes = scans.PREFIXES
    stack = "rsp"
    call_shift = 8
    names_absolutely = True  # ``mov r32, imm32`` and its like, in programs that are linked below 4 GiB

    def find_sites(self, code: CodeRange) -> Iterator[int]:
        """``0f 05``, and the prefixes before it."""
        return scans.find_sites(code)

    def is_site(self, instruction: Instruction) -> bool:
        """Whether it is ``syscall``."""
        return instruction.mnemonic == "syscall"

    def find_foreign(self, code: CodeRange) -> Iterator[int]:
        """``int 0x80``, which makes those of i386."""
        return scans.find_foreign(code)

    def calls(self, code: CodeRange) -> Edges:
        """``e8``."""
        return scans.calls(code)

    def jumps(self, code: CodeRange) -> Edges:
        """``e9`` and ``0f 8x``."""
        return scans.jumps(code)

    def short_jumps(self, code: CodeRange) -> Edges:
        """``eb``, ``7x`` and ``e0`` to ``e3``."""
        return scans.short_jumps(code)

    def short_jumps_of_few(self, code: bytes, address: int) -> Iterator[tuple[int, int]]:
        """The same as pairs."""
        return scans.short_jumps_of_few(code, address)

    def closes(self, last: Bytes) -> npt.NDArray[np.bool_]:
        """See `Machine.closes`."""
        return scans.closes(last)

    def references(self, code: CodeRange) -> References:
        """``[rip + disp32]``, and ``movabs`` of the large code model."""
        return scans.references(code)

    def page(self, instructions: Instructions, at: int) -> None:  # noqa: ARG002 - instructions name whole addresses
        """None."""
        return

    def distances(self, instructions: Instructions, at: int, register: str) -> None:  # noqa: ARG002 - as above
        """None are told."""
        return

    def named(self, instructions: Instructions, at: int, straight: int) -> tuple[int, ...]:  # noqa: ARG002 - as above
        """What it counts from its own address."""
        return tuple(addresses.named([instructions[at]]))

    def takes(self, instructions: Instructions, at: int) -> str | None:
        """Of ``lea`` and ``movabs``."""
        return addresses.takes(instructions, at)

    def use(self, instructions: Instructions, at: int, register: str, taking: int) -> Use:
        """See `x86_64_addresses`."""
        return addresses.use(instructions, at, register, taking)

    def flows(self, instructions: Instructions) -> dict[int, Flow]:
        """A jump to what no constant says is an indirect one."""
        flows = {at: flow for at, flow in enumerate(map(_FLOWS.get, instructions.names)) if flow is not None}
        for at, flow in flows.items():
            if flow is Flow.JUMP and self.target(instructions, at) is None:
                flows[at] = Flow.INDIRECT
        return flows

    def target(self, instructions: Instructions, at: int) -> int | None:
        """None for a target in a register or in memory."""
        operands = instructions.operands(at)
        return int(operands, 16) if operands.startswith("0x") else None

    def compared_with(self, instruction: Instruction, value: int) -> str | None:
        """``cmp`` of all 64 bits, or of the lower 32."""
        register, _, constant = instruction.operands.partition(", ")
        if instruction.mnemonic != self.compare or not constant.lstrip("-").startswith("0x"):
            return None
        full, bits = values.register(register) or ("", 0)
        return full if bits in {32, 64} and (int(constant, 16) - value) % (1 << bits) == 0 else None

    def branches_if_equal(self, instruction: Instruction) -> bool | None:
        """``je`` and ``jne``."""
        return {"je": True, "jne": False}.get(instruction.mnemonic)

    def tested(self, instructions: Instructions, at: int) -> Tested | None:
        """A register that ``cmp`` or ``test`` compared with a constant."""
        return tested(instructions, at)

    def settled(self, instructions: Instructions, at: int) -> Settled | None:
        """``je`` behind a comparison with a constant, or behind what leaves zero in a register."""
        return settled(instructions, at)

    def next_frame(self, instructions: Instructions, at: int, frame: Frame) -> Frame:
        """Follows rsp and rbp."""
        if not frames.may_change(instructions.names[at], instructions.operands(at)):
            return frame
        return frames.after(instructions[at], frame)

    def exposes(self, instruction: Instruction, frame: Frame) -> int | None:
        """``lea``, copies of rsp and rbp, and accesses with an index."""
        return frames.exposed(instruction, frame)

    def reaches_up(self, instruction: Instruction, frame: Frame) -> range | None:
        """See `x86_64_frames`."""
        return frames.reaches_up(instruction, frame)

    def table(self, instructions: Instructions, at: int, straight: int) -> Table | None:  # noqa: ARG002 - see there
        """See `x86_64_tables`."""
        return table(instructions, at)

    def preserved(self, *, go: bool) -> frozenset[str]:
        """Registers that a callee hands back as they were."""
        return frozenset({"rbp"}) if go else frozenset({"rbx", "rbp", "r12", "r13", "r14", "r15"})

    def keeps(self, instructions: Instructions, at: int, location: Location) -> bool:
        """Most do not write the register or slot that is followed."""
        return values.keeps(instructions, at, location)

    def sources(self, step: Step, location: Location) -> tuple[Source, ...] | None:
        """Where the location's value comes from; None if the instruction leaves it alone."""
        return values.stored(step, location) if isinstance(location, int) else values.written(step, location)

    def after(self, step: Step, known: Mapping[str, int]) -> Mapping[str, int]:
        """See `x86_64_execution`."""
        return execution.after(step, known)

    def leads(self, step: Step, known: Mapping[str, int]) -> int | None:
        """See `x86_64_execution`."""
        return execution.leads(step, known)
