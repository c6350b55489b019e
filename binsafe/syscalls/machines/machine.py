"""What the backward walk asks of a processor: `x86_64` and `arm64` answer.

The walk follows one *location* back through the code. A register is named by its full-width name (``rax``, ``x8``), a
stack slot by its distance in bytes from the stack pointer at the region's first instruction.
"""

from collections.abc import Callable, Iterator, Mapping
from enum import Enum, auto
from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from binsafe.syscalls.decoding.code import Bytes, CodeRange
from binsafe.syscalls.decoding.decode import Detail, Instruction, Instructions
from binsafe.syscalls.machines.arithmetic import Operation, compute
from binsafe.syscalls.machines.conditions import Settled, Tested

Location = str | int
Frame = Mapping[str, int]
"""Registers that are known to hold the region's first stack pointer plus so many bytes."""

Addresses = npt.NDArray[np.int64]


class Flow(Enum):
    """How control leaves an instruction."""

    NEXT = auto()
    CALL = auto()
    JUMP = auto()
    BRANCH = auto()
    """To the target or to the next instruction."""
    INDIRECT = auto()
    """A jump to an address that is computed."""
    RETURN = auto()
    TRAP = auto()
    """Nothing behind it runs."""
    UNKNOWN = auto()
    """Bytes that are no instruction, or one that the decoder does not know: what runs next cannot be told."""

    __hash__ = object.__hash__  # the enum's own is a function of Python's


JUMPS = (Flow.JUMP, Flow.BRANCH)
"""What leads to an address that the instruction names, and does not return."""


class Use(Enum):
    """What an instruction does with the address that a register holds."""

    NONE = auto()
    """Nothing, or it only compares it."""
    FILLED = auto()
    """It gives the register another value."""
    OTHER = auto()


class Constant(NamedTuple):
    """The location holds this number after the instruction."""

    value: int


class Moved(NamedTuple):
    """The location holds what another held before the instruction, after these operations."""

    location: Location
    operations: tuple[Operation, ...] = ()


class Unknown(NamedTuple):
    """The location holds something that cannot be told; ``reason`` is for people."""

    reason: str


Source = Constant | Moved | Unknown


def then(source: Source, *operations: Operation) -> Source:
    """The source with more operations behind it."""
    if isinstance(source, Moved):
        return Moved(source.location, (*source.operations, *operations))
    if isinstance(source, Constant):
        return Constant(compute(source.value, operations))
    return source


class Step(NamedTuple):
    """One instruction on the walk; ``detail`` is called only where the text does not decide."""

    instruction: Instruction
    frame: Callable[[], Frame]
    """What is known of the stack before it; called only where the instruction may use it."""
    detail: Callable[[], Detail | None]
    constant: Callable[[int, int], int | None]
    """Address and size -> what memory holds there for good, see `Code.constant`."""
    exposed: Callable[[int], bool]
    """Whether a stack slot may be reached by other ways than its name."""

    def through_pointer(self, slot: int) -> "tuple[Unknown, ...] | None":
        """What a store through a pointer makes of a stack slot: nothing where its address was never computed."""
        return (Unknown("on the stack, where a store through a pointer may reach"),) if self.exposed(slot) else None


class Table(NamedTuple):
    """A jump table: entries of ``size`` bytes, each a number of ``unit`` bytes from an origin on.

    ``places`` are the pairs of an address at which it may begin and an origin, which is 0 where entries are whole
    addresses; there are none where that could not be told.
    """

    places: tuple[tuple[int, int], ...]
    size: int
    unit: int = 1
    signed: bool = True
    chosen: tuple[int, Moved] | None = None
    """The instruction that loads an entry, and what numbers it there; None where that could not be told."""


class Edges(NamedTuple):
    """Pairs of addresses: what the bytes at the source would mean. On x86 that may be chance."""

    sources: Addresses
    targets: Addresses


class References(NamedTuple):
    """Instructions that name an address relative to their own: where, which, and how they use it."""

    sources: Addresses
    targets: Addresses
    uses: npt.NDArray[np.int8]
    """`LOADED`, `TAKEN`, `CALLED`, `LOADED_WIDE`, `MAYBE_TAKEN` or `LOADED_WIDEST`."""


LOADED, TAKEN, CALLED, LOADED_WIDE, MAYBE_TAKEN, LOADED_WIDEST = 0, 1, 2, 3, 4, 5
"""Memory there is read or written; the address itself is computed, or may be; control goes to where the pointer there
leads; more than one word there is read or written, by vector registers of up to 256 bits or of up to 512."""
WORD, WIDE, WIDEST = 8, 32, 64
"""Bytes that are reached from a `LOADED`, a `LOADED_WIDE` and a `LOADED_WIDEST` address."""


def joined(*edges: Edges) -> Edges:
    """All edges of several sets."""
    return Edges(*(np.concatenate(column) for column in zip(*edges, strict=True)))


class Machine(Protocol):
    """One processor's instructions, conventions and encodings. Stateless."""

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
    """The registers of what a function returns."""
    passed: tuple[str, ...]
    """The registers of a system call's arguments, in order."""
    nonsense: frozenset[str]
    """Mnemonics that no program in user mode has, and those that have gone out of use: a sign of data."""
    compare: str
    """The mnemonic of what `compared_with` tells of."""
    prefixes: frozenset[int]
    """Bytes that may stand before the opcode of a branch."""
    stack: str
    call_shift: int
    """Bytes that a call pushes."""
    names_absolutely: bool
    """Whether an instruction can hold a whole address, as four bytes of its own."""

    def find_sites(self, code: CodeRange) -> Iterator[int]:
        """Addresses whose bytes are those of the system-call instruction, aligned or not; ascending."""
        ...

    def find_foreign(self, code: CodeRange) -> Iterator[int]:
        """Addresses whose bytes are those of an instruction that makes calls of another architecture; ascending."""
        ...

    def calls(self, code: CodeRange) -> Edges:
        """All direct calls of a range, wherever they lead."""
        ...

    def jumps(self, code: CodeRange) -> Edges:
        """All direct jumps, conditional ones too, except short ones."""
        ...

    def short_jumps(self, code: CodeRange) -> Edges:
        """The jumps that `jumps` leaves out."""
        ...

    def short_jumps_of_few(self, code: bytes, address: int) -> Iterator[tuple[int, int]]:
        """The same for some bytes at an address, as pairs: where to make arrays takes longer than to look."""
        ...

    def closes(self, last: Bytes) -> npt.NDArray[np.bool_]:
        """Whether each row, the last eight bytes of some code, may end in what nothing goes on behind, or in a call."""
        ...

    def references(self, code: CodeRange) -> References:
        """Instructions that name an address relative to their own; on x86 some by chance."""
        ...

    def page(self, instructions: Instructions, at: int) -> tuple[str, int] | None:
        """The register in which an instruction leaves an address for others to add to, and that address.

        None for what names addresses alone.
        """
        ...

    def distances(self, instructions: Instructions, at: int, register: str) -> tuple[int, ...] | None:
        """How far from what a register holds the addresses lie that an instruction names; None if that is not told."""
        ...

    def named(self, instructions: Instructions, at: int, straight: int) -> tuple[int, ...]:
        """The addresses that an instruction may name; what is computed for it is looked for as by `table`."""
        ...

    def takes(self, instructions: Instructions, at: int) -> str | None:
        """The register that an instruction gives a whole address, or the last part of one; None for all others."""
        ...

    def use(self, instructions: Instructions, at: int, register: str, taking: int) -> Use:
        """What an instruction does with the address that the one at ``taking`` gave a register; calls aside."""
        ...

    def flows(self, instructions: Instructions) -> dict[int, Flow]:
        """How control leaves each of them, by index; left out is what goes on."""
        ...

    def target(self, instructions: Instructions, at: int) -> int | None:
        """Where a call, jump or branch leads; None where that is computed."""
        ...

    def compared_with(self, instruction: Instruction, value: int) -> str | None:
        """The register that an instruction compares with this negative number; None for all else that it does."""
        ...

    def branches_if_equal(self, instruction: Instruction) -> bool | None:
        """Whether it branches if the last comparison found its operands equal; False if unequal, None for all else."""
        ...

    def tested(self, instructions: Instructions, at: int) -> Tested | None:
        """What the branch at an index depends on, where that is registers and constants; None for all else."""
        ...

    def settled(self, instructions: Instructions, at: int) -> Settled | None:
        """What a register holds where the branch at an index is taken, if one value only leads there."""
        ...

    def next_frame(self, instructions: Instructions, at: int, frame: Frame) -> Frame:
        """The frame after an instruction, of which ``frame`` is the one before."""
        ...

    def exposes(self, instruction: Instruction, frame: Frame) -> int | None:
        """The lowest stack slot that an instruction makes reachable by other ways than its name; None for no slot.

        It computes the slot's address, or counts from there with an index.
        """
        ...

    def reaches_up(self, instruction: Instruction, frame: Frame) -> range | None:
        """The bytes of the stack, where they are what its function returns to, or are above that and it writes them."""
        ...

    def table(self, instructions: Instructions, at: int, straight: int) -> Table | None:
        """The table that the indirect jump at an index takes its target from; None where it takes none.

        From ``straight`` on nothing is known to lead to the jump but each instruction to the next one.
        """
        ...

    def preserved(self, *, go: bool) -> frozenset[str]:
        """Registers that a callee hands back as they were."""
        ...

    def keeps(self, instructions: Instructions, at: int, location: Location) -> bool:
        """Whether an instruction leaves a location alone beyond doubt: what can be said without taking it apart."""
        ...

    def sources(self, step: Step, location: Location) -> tuple[Source, ...] | None:
        """Where the location's value comes from; None if the instruction leaves it alone."""
        ...

    def after(self, step: Step, known: Mapping[str, int]) -> Mapping[str, int]:
        """The registers that hold a number that is told behind an instruction, of those before it; not behind calls."""
        ...

    def leads(self, step: Step, known: Mapping[str, int]) -> int | None:
        """The address to which a computed jump leads where registers hold what is known; None where it is not told."""
        ...
