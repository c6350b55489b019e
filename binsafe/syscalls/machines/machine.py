"""What the analysis asks of a processor: the interface `Machine`, which `x86_64` and `arm64` implement.

The analysis follows the value of one *location* backwards through the code, along its def-use chain. A location is a
register, by its full-width name (``rax``, ``x8``), or a stack slot, by its distance in bytes from where the stack
pointer stands at the first instruction of the function (negative within the function's own frame).
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from enum import Enum, auto
from typing import NamedTuple, Protocol

import msgspec
import numpy as np

from binsafe.arrays import NDArray
from binsafe.syscalls.decoding.code import Bytes, CodeRange
from binsafe.syscalls.decoding.decode import Detail, Instruction, Instructions
from binsafe.syscalls.machines.arithmetic import Operation, compute
from binsafe.syscalls.machines.conditions import Settled, Tested
from binsafe.syscalls.machines.edges import Addresses, Edges, References

Location = str | int
Frame = Mapping[str, int]
"""Register -> distance: it holds what the stack pointer held at the function's first instruction plus so many bytes."""


class Flow(Enum):
    """How control leaves an instruction."""

    NEXT = auto()
    CALL = auto()
    JUMP = auto()
    BRANCH = auto()
    """A conditional jump: to its target or to the next instruction."""
    INDIRECT = auto()
    """A jump to a computed address: through a jump table or a function pointer."""
    RETURN = auto()
    TRAP = auto()
    """It faults: control does not come to the next instruction."""
    UNKNOWN = auto()
    """Bytes that are no instruction, or one that the decoder does not know: what runs next cannot be told."""

    __hash__ = object.__hash__  # the enum's own is a function of Python's


JUMPS = (Flow.JUMP, Flow.BRANCH)
"""Direct jumps: to an address that the instruction itself says."""


class Use(Enum):
    """What an instruction does with the address that a register holds."""

    NONE = auto()
    """Nothing, or it only compares it."""
    FILLED = auto()
    """It overwrites the register with another value."""
    PART = auto()
    """It overwrites its last bytes: what is there may be another address."""
    ACCESS = auto()
    """It reads or writes memory there."""
    OTHER = auto()


class Constant(msgspec.Struct, frozen=True):
    """The location holds this number after the instruction."""

    value: int


class Moved(msgspec.Struct, frozen=True):
    """The location holds what another one held before the instruction, changed by these operations in order."""

    location: Location
    operations: tuple[Operation, ...] = ()


class Unknown(msgspec.Struct, frozen=True):
    """The location holds a value that cannot be determined; ``reason`` says why, for people."""

    reason: str


Source = Constant | Moved | Unknown


def then(source: Source, *operations: Operation) -> Source:
    """The source with further operations applied to its value."""
    if isinstance(source, Moved):
        return Moved(source.location, (*source.operations, *operations))
    if isinstance(source, Constant):
        return Constant(compute(source.value, operations))
    return source


class Step(msgspec.Struct, frozen=True):
    """One instruction on the backward walk, and what may be asked about it; all but the text is found out on demand."""

    instruction: Instruction
    frame: Callable[[], Frame]
    """Where the stack pointer and its copies point before the instruction."""
    detail: Callable[[], Detail | None]
    """The decoded operands; None for bytes that are no instruction."""
    constant: Callable[[int, int], int | None]
    """Address and size -> the number in read-only memory there, see `Code.constant`."""
    exposed: Callable[[int], bool]
    """Whether the address of a stack slot may have escaped, so that stores through pointers may reach it."""

    def through_pointer(self, slot: int) -> "tuple[Unknown, ...] | None":
        """What a store through a pointer does to a stack slot: nothing where the slot's address never escaped."""
        return (Unknown("on the stack, where a store through a pointer may reach"),) if self.exposed(slot) else None


class Entry(NamedTuple):
    """How an instruction reads an entry of a table: ``size`` bytes, which undergo some operations."""

    size: int
    bases: tuple[Source, ...]
    """What is the table's address before the instruction: one of these. None where that cannot be told."""
    number: Moved | None = None
    """What is the entry's number there."""
    operations: tuple[Operation, ...] = ()


class Machine(Protocol):
    """One processor's instructions, conventions and encodings. Stateless.

    ``instructions`` are those of one function, ``at`` is the index of one of them.
    """

    # conventions of the kernel, of C and of Go

    arch: str
    abi: str
    site: str
    """The mnemonic of the system-call instruction."""
    number: str
    """The register that holds the number of a system call."""
    result: str
    """The register that holds what a system call or a function returned."""
    arguments: tuple[str, ...]
    """The registers of a function's first arguments, in order."""
    returned: frozenset[str]
    """The registers in which a function returns its result."""
    passed: tuple[str, ...]
    """The registers of a system call's arguments, in order."""
    nonsense: frozenset[str]
    """Mnemonics of privileged and obsolete instructions: many of them are a sign of data that was decoded as code."""
    compare: str
    """The mnemonic of the instructions for which `compared_with` has an answer."""
    prefixes: frozenset[int]
    """Bytes that may stand before the opcode of a branch."""
    undefined: frozenset[int]
    """First bytes of what is no instruction, nor will be: the processor stops there."""
    stack: str
    """The stack pointer."""
    call_shift: int
    """Bytes that a call pushes: those of the return address."""
    names_absolutely: bool
    """Whether an instruction can hold an absolute address as an immediate of four bytes."""

    def preserved(self, *, go: bool) -> frozenset[str]:
        """The callee-saved registers, but for the stack pointer: of C's convention, or of Go's."""

    # scans of raw bytes, without decoding: see ``_scans``

    def find_sites(self, code: CodeRange) -> Iterator[int]:
        """Addresses at which the bytes of the system-call instruction stand, aligned or not; ascending."""

    def find_foreign(self, code: CodeRange) -> Iterator[int]:
        """The same for the instruction that makes system calls of another architecture."""

    def changed_returns(self, code: CodeRange) -> Iterator[int]:
        """Where a constant may be added to the address to which the next instruction returns."""

    def calls(self, code: CodeRange) -> Edges:
        """All direct calls of a range, wherever they lead."""

    def jumps(self, code: CodeRange) -> Edges:
        """All direct jumps, conditional ones included, except those of `short_jumps`."""

    def short_jumps(self, code: CodeRange) -> Edges:
        """Direct jumps with a displacement of one byte: so many that they are looked for only where they are needed."""

    def short_jumps_into(self, code: bytes, address: int, start: int, end: int) -> Iterator[tuple[int, int]]:
        """Those of a few bytes at an address that lead to a range, as pairs (source, target): sooner than as arrays."""

    def closes(self, last: Bytes) -> NDArray[np.bool_]:
        """Whether each row, the last eight bytes of a function, may end in a return, trap, jump or call."""

    def restored(self, code: CodeRange, whole: CodeRange) -> CodeRange:
        """A part of a range with those instructions in their places that a linker moved elsewhere in ``whole``."""

    def references(self, code: CodeRange, *, fixed: bool) -> References:
        """Instructions that name an address relative to their own; on x86 some are not instructions at all.

        ``fixed`` says that the code is loaded to the addresses that the file says.
        """

    def reached(
        self,
        code: CodeRange,
        functions: Callable[[Addresses], Addresses],
        named: Edges,
        spend: Callable[[int], None],
    ) -> Edges:
        """From instructions that name addresses to what may be reached from these in the same function, by a number.

        ``functions`` tells of instructions in which they stand; ``spend`` is told of all that is looked at.
        """

    def set_numbers(self, code: bytes, sites: Iterable[int]) -> Sequence[tuple[int, int, int]]:
        """(number, where it is set from, site) for sites of a function of which ``code`` tells it: offsets, ascending.

        From there control runs straight on. Direct jumps into that are not looked for; there are no computed ones.
        """

    # addresses in registers: see ``_addresses``

    def page(self, instructions: Instructions, at: int) -> tuple[str, int] | None:
        """A register and the address that an instruction puts there for others to add an offset to (arm64's ``adrp``).

        None for instructions that name whole addresses.
        """

    def distances(self, instructions: Instructions, at: int, register: str) -> tuple[int, ...] | None:
        """The offsets that an instruction adds to such an address in a register; None if that cannot be determined."""

    def named(self, instructions: Instructions, at: int, straight: int) -> tuple[int, ...]:
        """The addresses that an instruction may name.

        From the index ``straight`` on, control comes to it in a straight line only.
        """

    def takes(self, instructions: Instructions, at: int) -> str | None:
        """The register in which an instruction completes an address; None for all other instructions."""

    def spellings(self, register: str) -> tuple[str, ...]:
        """Texts of which one is in each instruction that does anything to a register, control flow aside.

        None where that cannot be said of it.
        """

    def use(self, instructions: Instructions, at: int, register: str, taking: int, *, wide: bool) -> Use:
        """What an instruction does with the address that the one at ``taking`` put into a register, calls aside.

        ``wide`` says that addresses do not fit into half of a register.
        """

    def adds(self, instructions: Instructions, at: int, register: str) -> bool:
        """Whether an instruction adds what a register holds and what is not known."""

    def sum_with(self, instructions: Instructions, at: int, register: str) -> tuple[str, int] | None:
        """The register that an instruction gives the sum of what ``register`` holds, another one and a constant.

        With that constant; None for all instructions but those that assembler adds offsets to addresses with.
        """

    def adds_to_loaded(self, instructions: Instructions, at: int, straight: int) -> bool:
        """Whether an instruction adds an address to what was loaded from memory; ``straight`` is as for `named`."""

    def copied(self, instructions: Instructions, at: int, register: str) -> str | None:
        """Where else an instruction puts what a register holds: into another one, or what stands for a stack slot."""

    def changes(self, instructions: Instructions, at: int, register: str) -> bool:
        """Whether an instruction makes another value of what a register holds and leaves it there."""

    # control flow: see ``_branches`` and ``_tables``

    def flows(self, instructions: Instructions) -> dict[int, Flow]:
        """How control leaves each instruction, by index; those with `Flow.NEXT` are left out."""

    def target(self, instructions: Instructions, at: int) -> int | None:
        """The address to which a call, jump or branch leads; None where that is computed."""

    def compared_with(self, instruction: Instruction, value: int) -> str | None:
        """The register that an instruction compares with this negative constant; None if it does anything else."""

    def branches_if_equal(self, instruction: Instruction) -> bool | None:
        """True for a branch that is taken if the comparison before found equality, False for its opposite."""

    def tested(self, instructions: Instructions, at: int) -> Tested | None:
        """The condition of a branch, where it compares registers and constants; None for all others.

        On x86 that of a conditional move as well.
        """

    def settled(self, instructions: Instructions, at: int) -> Settled | None:
        """What a register must hold where a branch is taken, or is not; None where several values lead to both."""

    def entry(self, instructions: Instructions, at: int) -> Entry | None:
        """How an instruction, be it the jump itself, reads the entry of a table; None where it takes a whole pointer.

        What computes an address in any other way counts as an entry of a table that cannot be read.
        """

    def summands(self, instructions: Instructions, at: int) -> tuple[Moved, Moved] | None:
        """The two locations of which an instruction makes the sum, as before it; None where it does anything else."""

    # the stack: see ``_frames``

    def next_frame(self, instructions: Instructions, at: int, frame: Frame) -> Frame:
        """The frame after an instruction; ``frame`` is the one before it."""

    def exposes(self, instruction: Instruction, frame: Frame) -> int | None:
        """The lowest stack slot whose address an instruction lets escape, or that it accesses with an index."""

    def reaches_up(self, instruction: Instruction, frame: Frame) -> range | None:
        """The bytes of its caller's frame that an instruction writes, or of its return address that it uses."""

    # data flow: see ``_values``, and ``_execution`` for the two last

    def keeps(self, instructions: Instructions, at: int, location: Location) -> bool:
        """Whether the text alone shows that an instruction leaves a location unchanged: asked before `sources`."""

    def sources(self, step: Step, location: Location) -> tuple[Source, ...] | None:
        """Where the value comes from that a location holds after the instruction; None if it is left unchanged.

        Several where it depends on a condition (``cmov``, ``csel``): of ``cmov`` the second one where that holds.
        """

    def after(self, step: Step, known: Mapping[str, int]) -> Mapping[str, int]:
        """The registers whose value is known after an instruction that is no call; ``known`` are those before it."""

    def leads(self, step: Step, known: Mapping[str, int]) -> int | None:
        """The target of an indirect jump where registers hold what is ``known``; None if that does not determine it."""
