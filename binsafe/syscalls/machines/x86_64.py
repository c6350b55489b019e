"""x86-64: the number is in eax; ``syscall`` is ``0f 05`` and leaves its result in rax, and rcx and r11 destroyed.

Encodings: Intel SDM volume 2; call convention of the kernel: ``arch/x86/entry/entry_64.S``; of C: System V ABI,
section 3.2.1; of Go: ``abi-internal.md`` (no register but rsp and rbp survives a call).
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from binsafe.syscalls.conventions import CONVENTIONS
from binsafe.syscalls.decoding.code import CodeRange
from binsafe.syscalls.decoding.decode import JUNK, Instruction, Instructions
from binsafe.syscalls.machines import large_model
from binsafe.syscalls.machines import x86_64_execution as execution
from binsafe.syscalls.machines import x86_64_frames as frames
from binsafe.syscalls.machines import x86_64_values as values
from binsafe.syscalls.machines.machine import (
    CALLED,
    LOADED,
    LOADED_WIDE,
    LOADED_WIDEST,
    TAKEN,
    Addresses,
    Edges,
    Flow,
    Frame,
    Location,
    Moved,
    References,
    Settled,
    Source,
    Step,
    Table,
    Tested,
    Use,
    joined,
)
from binsafe.syscalls.machines.x86_64_branches import settled, tested
from binsafe.syscalls.machines.x86_64_uses import takes, use

_SYSCALL = b"\x0f\x05"
_INT_80 = b"\xcd\x80"
_PREFIXES = frozenset((0x26, 0x2E, 0x36, 0x3E, *range(0x40, 0x50), 0x64, 0x65, 0x66, 0x67, 0xF2, 0xF3))
_MOST_PREFIXES = 13
"""Before ``syscall``, to which none means anything (SDM volume 2, 2.1.1): an instruction has up to 15 bytes."""
_SHORT_JUMP = re.compile(rb"[\x70-\x7f\xe0-\xe3\xeb](?=.)", re.DOTALL)
_LOOK_BACK = 8
"""Instructions before a jump through a table in which its entry is loaded."""
_INDEXED = re.compile(r"\[(?:(?P<base>r\w+) \+ )?(?P<index>r\w+)\*(?P<scale>[48])(?: \+ (?P<named>0x[0-9a-f]+))?\]")
_GENERAL = re.compile(r"\br(?:[a-ds][xip]|[bs]p|\d+)\b")
_SUM = re.compile(r"\[r\w+(?: \+ r|\*)")
_ITS_OWN = re.compile(r"\[rip ([+-]) (0x[0-9a-f]+|\d+)\]")
_NONSENSE = (
    f"{JUNK} in out insb insd outsb outsd hlt cli sti iretd iretq int int1 retf retfq enter ljmp lcall std cmc "
    "fbld fbstp fisttp sysexit sysenter sysret rsm wrmsr rdmsr invd clts lahf sahf loope loopne xlatb salc"
)

_FLOWS: Mapping[str, Flow] = (
    dict.fromkeys(values.BRANCHES, Flow.BRANCH)
    | dict.fromkeys(("ret", "retf", "iretq"), Flow.RETURN)
    | dict.fromkeys(("ud0", "ud1", "ud2", "int3", "hlt", JUNK), Flow.TRAP)
    | {"jmp": Flow.JUMP, "call": Flow.CALL}
)


def _immediates(**opcodes: int) -> npt.NDArray[np.int64]:
    """Opcode -> bytes of the constant that follows its memory operand."""
    table = np.zeros(256, np.int64)
    for name, size in opcodes.items():
        table[int(name[1:], 16)] = size
    return table


_SHORT_JUMPS = bytes(byte == 0xEB or byte & 0xF0 == 0x70 or byte & 0xFC == 0xE0 for byte in range(256))
_RIP_RELATIVE = bytes(byte & 0xC7 == 0x05 for byte in range(256))
"""Byte -> whether it begins a short jump, or is such a ModRM byte."""
_IMMEDIATE = _immediates(x69=4, x6B=1, x80=1, x81=4, x83=1, xC0=1, xC1=1, xC6=1, xC7=4)
_IMMEDIATE_0F = _immediates(x70=1, x71=1, x72=1, x73=1, xA4=1, xAC=1, xBA=1, xC2=1, xC4=1, xC5=1, xC6=1)
"""SDM volume 2, appendix A, the maps of one and of two bytes; F6 and F7 have one only as ``test``."""


class X86_64:  # noqa: N801 - the processor's own name
    """See `binsafe.syscalls.machine.Machine`."""

    arch = "x86_64"
    abi = CONVENTIONS["x86_64"].abi
    number = "rax"
    result = "rax"
    arguments = CONVENTIONS["x86_64"].arguments
    returned = frozenset({"rax", "rdx"})
    passed: tuple[str, ...] = ("rdi", "rsi", "rdx", "r10", "r8", "r9")
    nonsense = frozenset(_NONSENSE.split())
    compare = "cmp"
    prefixes = _PREFIXES
    stack = "rsp"
    call_shift = 8
    names_absolutely = True  # ``mov r32, imm32`` and its like, in programs that are linked below 4 GiB

    def find_sites(self, code: CodeRange) -> Iterator[int]:
        """``0f 05`` and the prefixes before it."""
        data = code.data
        for at in _pairs(code, *_SYSCALL).tolist():
            start = at
            while start > max(at - _MOST_PREFIXES, 0) and data[start - 1] in _PREFIXES:
                start -= 1
            yield from range(code.address + start, code.address + at + 1)

    def is_site(self, instruction: Instruction) -> bool:
        """Whether it is ``syscall``."""
        return instruction.mnemonic == "syscall"

    def find_foreign(self, code: CodeRange) -> Iterator[int]:
        """``int 0x80``, which makes those of i386 from whatever code (``arch/x86/entry/entry_64_compat.S``)."""
        return (code.address + at for at in _pairs(code, *_INT_80).tolist())

    def calls(self, code: CodeRange) -> Edges:
        """``e8`` and four bytes of displacement."""
        return _relative(code, np.flatnonzero(code.array() == 0xE8), 1)

    def jumps(self, code: CodeRange) -> Edges:
        """``e9`` and ``0f 8x``, each with four bytes of displacement."""
        data = code.array()
        near = _relative(code, np.flatnonzero(data == 0xE9), 1)
        two_bytes = np.flatnonzero(data[:-1] == 0x0F)  # as in `_pairs`
        conditional = _relative(code, two_bytes[data[two_bytes + 1] & 0xF0 == 0x80], 2)
        return joined(near, conditional)

    def short_jumps(self, code: CodeRange) -> Edges:
        """``eb``, ``7x`` and ``e0`` to ``e3`` with one byte of displacement: what a tail call to a neighbour is."""
        at = _among(code.data[:-1], _SHORT_JUMPS)
        distances = code.array().view(np.int8)[at + 1].astype(np.int64)
        return Edges(code.address + at, code.address + at + 2 + distances)

    def short_jumps_of_few(self, code: bytes, address: int) -> Iterator[tuple[int, int]]:
        """The same as pairs."""
        for match in _SHORT_JUMP.finditer(code):
            at = match.start()
            yield address + at, address + at + 2 + (code[at + 1] ^ 0x80) - 0x80

    def references(self, code: CodeRange) -> References:
        """Every ModRM byte that says ``[rip + disp32]``; what stands before it says how much stands behind it."""
        data = code.array()
        at = _among(code.data, _RIP_RELATIVE)
        at = at[(at > 0) & (at <= len(data) - 5)]
        if not len(at):
            return References(at, at, at.astype(np.int8))
        opcode, register, before = data[at - 1], data[at] >> 3 & 7, data[np.maximum(at - 2, 0)]
        group = (opcode & 0xFE == 0xF6) & (register < 2)
        behind = np.where(before == 0x0F, _IMMEDIATE_0F[opcode], _IMMEDIATE[opcode] + group * (1 + 3 * (opcode & 1)))
        count = len(data) - 3
        displacements = np.ndarray((max(count, 0),), np.dtype("<i4"), buffer=code.data, strides=(1,))
        third = data[np.maximum(at - 3, 0)]
        vector = (before == 0x0F) | (third == 0x0F) | (third == 0xC5) | (data[np.maximum(at - 4, 0)] == 0xC4)
        uses = np.where(vector, np.int8(LOADED_WIDE), np.int8(LOADED))
        uses[data[np.maximum(at - 5, 0)] == 0x62] = LOADED_WIDEST
        uses[(opcode == 0xFF) & ((register == 2) | (register == 4))] = CALLED
        uses[opcode == 0x8D] = TAKEN
        prefixed = (opcode == 0x8D) & (at > 1) & (before & 0xF0 == 0x40)
        sources, targets = code.address + at - 1 - prefixed, code.address + at + 5 + behind + displacements[at + 1]
        near = prefixed & (targets <= sources) & (targets > sources - large_model.AROUND)
        far = large_model.references(code, Edges(sources[near], targets[near]))
        return References(
            np.concatenate([sources, far.sources]),
            np.concatenate([targets, far.targets]),
            np.append(uses, np.full(len(far.sources), TAKEN, np.int8)),
        )

    def page(self, instructions: Instructions, at: int) -> None:  # noqa: ARG002 - instructions name whole addresses
        """None."""
        return

    def distances(self, instructions: Instructions, at: int, register: str) -> None:  # noqa: ARG002 - as above
        """None are told."""
        return

    def named(self, instructions: Instructions, at: int, straight: int) -> tuple[int, ...]:  # noqa: ARG002 - as above
        """What it counts from its own address."""
        return tuple(_counted([instructions[at]]))

    def takes(self, instructions: Instructions, at: int) -> str | None:
        """Of ``lea`` and ``movabs``."""
        return takes(instructions, at)

    def use(self, instructions: Instructions, at: int, register: str, taking: int) -> Use:
        """See `x86_64_uses`."""
        return use(instructions, at, register, taking)

    def flows(self, instructions: Instructions) -> dict[int, Flow]:
        """A jump to what no constant says is an indirect one."""
        flows = {at: flow for at, flow in enumerate(map(_FLOWS.get, instructions.names)) if flow is not None}
        for at, flow in flows.items():
            if flow is Flow.JUMP and self.target(instructions, at) is None:
                flows[at] = Flow.INDIRECT
        return flows

    def target(self, instructions: Instructions, at: int) -> int | None:
        """What is no constant is a register or memory."""
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

    def table(self, instructions: Instructions, at: int, straight: int) -> Table | None:  # noqa: ARG002 - see below
        """Tables of 32-bit distances, as in position-independent C; and of whole addresses, as in other C and Go.

        What else loads with an index, or adds, on the way to the jump is a table that is not read. Whatever leads there
        all places count that the table's register is given in the function.
        """
        leading = _leading_to(instructions, at)
        for instruction in leading:
            found = _INDEXED.search(instruction.operands)
            if found is not None and instruction.mnemonic.rpartition(" ")[2] in {"jmp", "mov", "movsxd"}:
                base, named, relative = found["base"], found["named"], found["scale"] == "4"
                bases = [] if base and named else [int(named, 16)] if named else _computed(instructions, base)
                places = tuple((each, each if relative else 0) for each in bases)
                loading = instructions.at(instruction.address)
                chosen = None if loading is None else (loading, Moved(found["index"]))
                return Table(places, 4 if relative else 8, chosen=chosen)
        if not any(i.mnemonic == "add" or _SUM.search(i.operands) for i in leading):
            return None
        return Table(tuple((each, each) for each in _named(leading)), 4)  # as compilers write it that do not optimise

    def preserved(self, *, go: bool) -> frozenset[str]:
        """Registers that a callee hands back as they were."""
        return frozenset({"rbp"}) if go else frozenset({"rbx", "rbp", "r12", "r13", "r14", "r15"})

    def keeps(self, instructions: Instructions, at: int, location: Location) -> bool:
        """Most do not write the register or slot that is followed."""
        return values.keeps(instructions.names[at], instructions.operands(at).partition(",")[0], location)

    def sources(self, step: Step, location: Location) -> tuple[Source, ...] | None:
        """Where the location's value comes from; None if the instruction leaves it alone."""
        return values.stored(step, location) if isinstance(location, int) else values.written(step, location)

    def after(self, step: Step, known: Mapping[str, int]) -> Mapping[str, int]:
        """See `x86_64_execution`."""
        return execution.after(step, known)

    def leads(self, step: Step, known: Mapping[str, int]) -> int | None:
        """See `x86_64_execution`."""
        return execution.leads(step, known)


def _leading_to(instructions: Sequence[Instruction], at: int) -> list[Instruction]:
    """An indirect jump and those shortly before it that made the value it jumps to, the last one first."""
    leading = [instructions[at]]
    wanted = set(_GENERAL.findall(instructions[at].operands))
    for instruction in reversed(instructions[max(0, at - _LOOK_BACK) : at]):
        first, _, rest = instruction.operands.partition(", ")
        if first in wanted and instruction.mnemonic not in values.COMPARES:
            leading.append(instruction)
            wanted.update(_GENERAL.findall(rest))
    return leading


def _computed(instructions: Instructions, register: str) -> list[int]:
    """The addresses that ``lea`` computes from its own for a register."""
    return _named(instructions[at] for at in instructions.by_first_operand("lea").get(register, ()))


def _named(instructions: Iterable[Instruction]) -> list[int]:
    """The addresses that ``lea`` computes from its own, each once."""
    return _counted(i for i in instructions if i.mnemonic == "lea")


def _counted(instructions: Iterable[Instruction]) -> list[int]:
    """The addresses that instructions count from their own, each once."""
    found = ((i, _ITS_OWN.search(i.operands)) for i in instructions)
    return sorted({i.address + i.size + int(match[1] + match[2], 16) for i, match in found if match is not None})


def _pairs(code: CodeRange, first: int, second: int) -> Addresses:
    """Offsets of two bytes: of those that are the first few are, so that this is faster than ``bytes.find``."""
    data = code.array()
    at = np.flatnonzero(data[:-1] == first)
    found: Addresses = at[data[at + 1] == second]
    return found


def _among(code: memoryview, wanted: bytes) -> Addresses:
    """Offsets of the bytes of which a table says that they are wanted: to compare takes three times as long."""
    return np.flatnonzero(np.frombuffer(bytes(code).translate(wanted), np.bool_))


def _relative(code: CodeRange, at: Addresses, opcode: int) -> Edges:
    """Instructions at these offsets that end in a displacement of four bytes behind ``opcode`` bytes."""
    at = at[at <= len(code.data) - opcode - 4]
    if not len(at):
        return Edges(at, at)
    count = len(code.data) - 3
    displacements = np.ndarray((count,), np.dtype("<i4"), buffer=code.data, strides=(1,))
    return Edges(code.address + at, code.address + at + (opcode + 4) + displacements[at + opcode])
