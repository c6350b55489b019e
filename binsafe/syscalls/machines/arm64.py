"""AArch64: the number is in x8; ``svc #0`` leaves its result in x0 and every other register as it was.

Encodings: Arm ARM (DDI 0487), section C4; convention of the kernel: ``arch/arm64/kernel/syscall.c``; of C: AAPCS64,
section 6.1.1; of Go: ``abi-internal.md`` (no register but sp and x29 survives a call).
"""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from binsafe.syscalls.conventions import CONVENTIONS
from binsafe.syscalls.decoding.code import CodeRange
from binsafe.syscalls.decoding.decode import JUNK, Instruction, Instructions
from binsafe.syscalls.machines import arm64_addresses as addresses
from binsafe.syscalls.machines import arm64_frames as frames
from binsafe.syscalls.machines import arm64_values as values
from binsafe.syscalls.machines.arm64_branches import settled, tested
from binsafe.syscalls.machines.arm64_tables import table
from binsafe.syscalls.machines.machine import (
    LOADED,
    LOADED_WIDE,
    MAYBE_TAKEN,
    TAKEN,
    Addresses,
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
    joined,
)

Words = npt.NDArray[np.uint32]
Chosen = npt.NDArray[np.bool_]

_SVC, _WITHOUT_IMMEDIATE = 0xD400_0001, 0xFFE0_001F
_NEAR = 16
"""Instructions behind an ``adrp`` in which mostly its ``add`` stands."""
_HALVES_APART = 8
"""Instructions between those that give a register the halves of an address."""
_PAGE_REACH = 2048
"""Instructions in which a page that is kept may be used: those of large functions."""


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
        """Aligned words that are ``svc``: the kernel does not look at its immediate (``arch/arm64/kernel/entry-common.c``)."""
        start, words = _words(code)
        return iter((start + 4 * np.flatnonzero(words & _WITHOUT_IMMEDIATE == _SVC)).tolist())

    def is_site(self, instruction: Instruction) -> bool:
        """Whether it is ``svc``."""
        return instruction.mnemonic == "svc"

    def find_foreign(self, code: CodeRange) -> Iterator[int]:
        """None: a program for 64 bits has no way to those for 32."""
        del code
        return iter(())

    def calls(self, code: CodeRange) -> Edges:
        """``bl``."""
        start, words = _words(code)
        return _edges(start, words, (words >> 26) == 0b100101, 0, 26)

    def jumps(self, code: CodeRange) -> Edges:
        """``b``; ``b.cond``, ``cbz`` and ``cbnz``; ``tbz`` and ``tbnz``."""
        start, words = _words(code)
        conditional = (words >> 24 == 0x54) | (words & 0x7E00_0000 == 0x3400_0000)
        return joined(
            _edges(start, words, (words >> 26) == 0b000101, 0, 26),
            _edges(start, words, conditional, 5, 19),
            _edges(start, words, words & 0x7E00_0000 == 0x3600_0000, 5, 14),
        )

    def short_jumps(self, code: CodeRange) -> Edges:
        """None: `jumps` has them all."""
        nothing = np.array([code.address][:0], np.int64)
        return Edges(nothing, nothing)

    def short_jumps_of_few(self, code: bytes, address: int) -> Iterator[tuple[int, int]]:  # noqa: ARG002 - as above
        """None either."""
        return iter(())

    def references(self, code: CodeRange) -> References:
        """``adr``, and ``adrp`` with what is added to the same register, or loaded from there, later.

        Mostly that is the next instruction. Where a page is kept for longer, or a branch takes it elsewhere, everything
        counts that uses its register in the next `_PAGE_REACH` instructions, whatever is written to it meanwhile.
        """
        start, words = _words(code)
        plain = np.flatnonzero(words & 0x9F00_0000 == 0x1000_0000)
        found = [_used(start + 4 * plain, start + 4 * plain + _adr_immediate(words[plain]), TAKEN)]
        found.append(_whole(start, words))
        at = np.flatnonzero(words & 0x9F00_0000 == 0x9000_0000)
        held, elsewhere = np.ones(len(at), np.bool_), np.zeros(len(at), np.bool_)
        for reach in range(1, _NEAR + 1):
            inside = at + reach < len(words)
            second = words[np.where(inside, at + reach, 0)]
            for chosen, taken in ((held, TAKEN), (elsewhere & ~held, MAYBE_TAKEN)):
                first = at[inside & chosen]
                found += _pairs(start, words, first, first + reach, taken)
            elsewhere |= held & _branches(second)
            held &= ~_fills(second, words[at] & 31)
        for page in at[held | elsewhere].tolist():
            later = np.arange(page + _NEAR + 1, min(page + _PAGE_REACH, len(words)))
            later = later[(words[later] >> 5) & 31 == words[page] & 31]
            found += _pairs(start, words, np.full(len(later), page, np.int64), later, MAYBE_TAKEN)
        return References(*(np.concatenate(column) for column in zip(*found, strict=True)))

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
        """As little."""
        del step, known
        return None


def _words(code: CodeRange) -> tuple[int, Words]:
    skew = -code.address % 4
    data = code.data[skew:]
    return code.address + skew, np.frombuffer(data[: len(data) & ~3], np.dtype("<u4"))


def _edges(start: int, words: Words, chosen: Chosen, shift: int, bits: int) -> Edges:
    """Branches whose displacement, in words, is a signed field of the instruction."""
    at = np.flatnonzero(chosen)
    field = (words[at] >> shift).astype(np.int64) & ((1 << bits) - 1)
    sources = start + 4 * at
    return Edges(sources, sources + 4 * (field - ((field >> (bits - 1)) << bits)))


def _pairs(start: int, words: Words, first: Addresses, second: Addresses, taken: int) -> list[References]:
    """What pairs of an ``adrp`` and a later instruction name, where that one adds to its register or loads from it."""
    page = ((start + 4 * first) & ~0xFFF) + (_adr_immediate(words[first]) << 12)
    later = words[second]
    same = (later >> 5) & 31 == words[first] & 31
    adds = same & (later & 0xFFC0_0000 == 0x9100_0000)
    loads = same & (later & 0x3B00_0000 == 0x3900_0000)
    pairs = same & (later & 0x3A00_0000 == 0x2800_0000)
    offsets = ((later >> 10) & 0xFFF).astype(np.int64)
    scaled = offsets << np.where(later & 0x0400_0000, 0, later >> 30).astype(np.int64)
    twice = ((later >> 15) & 0x3F).astype(np.int64) * 8
    ways = ((adds, offsets, taken), (loads, scaled, LOADED), (pairs, twice, LOADED_WIDE))
    return [_used(start + 4 * first[chosen], page[chosen] + by[chosen], use) for chosen, by, use in ways]


def _whole(start: int, words: Words) -> References:
    """Addresses of which instructions hold 16 bits each: ``movz`` and ``movk`` of one register, as pairs of the lower two.

    So does the large code model of programs at fixed addresses (``-mcmodel=large``).
    """
    constants = np.flatnonzero(words & 0x5F80_0000 == 0x5280_0000)  # movz, movk; 32 bits or 64
    halves, bits = (words[constants] >> 21) & 3, (words[constants] >> 5).astype(np.int64) & 0xFFFF
    sources: list[Addresses] = []
    targets: list[Addresses] = []
    for reach in range(1, _HALVES_APART + 1):
        first, second = slice(None, -reach), slice(reach, None)
        same = (words[constants][first] ^ words[constants][second]) & 31 == 0
        same &= constants[second] - constants[first] <= _HALVES_APART
        pair = same & (halves[first] ^ halves[second] == 1) & (halves[first] < 2)
        both = bits[first] << (16 * halves[first].astype(np.int64)) | bits[second] << (16 * halves[second].astype(np.int64))
        sources.append(start + 4 * constants[first][pair])
        targets.append(both[pair])
    return _used(np.concatenate(sources), np.concatenate(targets), TAKEN)


def _branches(words: Words) -> Chosen:
    """``b``, ``b.cond``, ``cbz``, ``cbnz``, ``tbz``, ``tbnz``, ``br``, ``braa``: where they lead may use what is held here."""
    found: Chosen = (words >> 26 == 0b000101) | (words >> 24 == 0x54) | (words & 0x7C00_0000 == 0x3400_0000)
    found |= words & 0xFEFF_F000 == 0xD61F_0000
    return found


def _fills(words: Words, registers: npt.NDArray[np.integer[Any]]) -> Chosen:
    """Whether an instruction leaves nothing of what a register held.

    Looked for are those that follow an ``adrp``: additions, loads, copies and constants; and returns. A call may leave
    any register alone: GCC knows of functions that it has seen which they use (``-fipa-ra``).
    """
    fills = words & 0x7F80_0000 == 0x1100_0000  # add, with a constant
    fills |= words & 0x3F40_0000 == 0x3940_0000  # ldr and its like, but for vectors
    fills |= words & 0x1F00_0000 == 0x1000_0000  # adr, adrp
    fills |= words & 0x7FE0_FFE0 == 0x2A00_03E0  # mov, from a register
    fills |= words & 0x7F80_0000 == 0x5280_0000  # movz
    returns = words == 0xD65F_03C0
    found: Chosen = (fills & (words & 31 == registers)) | returns
    return found


def _adr_immediate(words: Words) -> Addresses:
    field = ((words >> 3) & 0x1F_FFFC | (words >> 29) & 3).astype(np.int64)
    return field - ((field >> 20) << 21)


def _used(sources: Addresses, targets: Addresses, use: int) -> References:
    return References(sources, targets, np.full(len(sources), use, np.int8))
