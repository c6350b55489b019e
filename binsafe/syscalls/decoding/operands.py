"""Operands of an instruction, and how those of x86 are read from capstone's text (Intel's syntax).

In ``mov eax, dword ptr [rbx + rax*4 + 0x2f4a]`` the brackets hold a sum of base, index with its scale, and
displacement; the words before them say how many bytes are accessed. AVX-512 puts a mask behind an operand: ``{k1}``.
"""

from msgspec import Struct, structs

_SIZES = {"byte": 1, "word": 2, "dword": 4, "qword": 8, "xmmword": 16, "ymmword": 32, "zmmword": 64, "xword": 10}
_UNSAID = 4096
"""Bytes of an access whose text does not say how many: instructions that save the processor's state write no more."""


_OF_THREAD = ("fs:", "gs:")
"""Segments whose base is not zero: thread-local memory, at an address that is not known."""


class Register(Struct, frozen=True):
    """A register operand under its own name (``eax``, ``w8``)."""

    name: str


class Immediate(Struct, frozen=True):
    """A constant operand, its ``shift`` applied; branch targets are absolute."""

    value: int
    shift: int = 0


class Memory(Struct, frozen=True):
    """A memory operand of ``size`` bytes at base + index * scale + displacement; absent registers are empty."""

    base: str
    """A register; ``fs`` or ``gs`` where the address counts from such a segment's base."""
    indexed: str
    """The index register, which is multiplied by ``scale``."""
    scale: int
    displacement: int
    size: int


Operand = Register | Immediate | Memory


def from_text(text: str) -> tuple[Operand, ...]:
    """The operands in the order of the text; what is neither constant nor memory counts as a register."""
    return tuple(_operand(part.partition(" {")[0]) for part in text.split(", ")) if text else ()


def _operand(text: str) -> Operand:
    if text.endswith("]"):
        before, _, inside = text[:-1].partition("[")
        operand = _memory(inside, _SIZES.get(before.partition(" ")[0], _UNSAID))
        return structs.replace(operand, base=before[-3:-1]) if before.endswith(_OF_THREAD) else operand
    if text[0].isdigit() or text[0] == "-":
        return Immediate(int(text, 0))
    return Register(text)


def _memory(inside: str, size: int) -> Memory:
    base = indexed = ""
    scale, displacement = 1, 0
    for term in inside.replace(" - ", " + -").split(" + "):
        name, star, factor = term.partition("*")
        if star:
            indexed, scale = name, int(factor)
        elif term[0].isdigit() or term[0] == "-":
            displacement = int(term, 0)
        elif base:
            indexed = term
        else:
            base = term
    return Memory(base, indexed, scale, displacement, size)
