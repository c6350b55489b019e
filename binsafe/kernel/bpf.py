"""An assembler for classic BPF as seccomp runs it: statements, labels and forward jumps -> ``struct sock_filter[]``.

Conditional jumps of classic BPF reach 255 instructions at most (``jt`` and ``jf`` are bytes, linux/filter.h). One that
must go farther is written as a short jump over an unconditional one, whose distance is a full word.
"""

import struct
from collections.abc import Sequence
from enum import IntEnum

import msgspec

from binsafe.errors import CannotExpress

MAX_INSTRUCTIONS = 4_096
"""``BPF_MAXINSNS`` of linux/bpf_common.h."""

_SHORT_REACH = 0xFF


class Op(IntEnum):
    """The operations we need, as their codes in linux/bpf_common.h."""

    LOAD = 0x20
    """``BPF_LD | BPF_W | BPF_ABS``: the 32-bit word at an offset of ``struct seccomp_data``."""
    AND = 0x54
    """``BPF_ALU | BPF_AND | BPF_K``"""
    JUMP = 0x05
    """``BPF_JMP | BPF_JA``"""
    JUMP_EQUAL = 0x15
    """``BPF_JMP | BPF_JEQ | BPF_K``"""
    JUMP_AT_LEAST = 0x35
    """``BPF_JMP | BPF_JGE | BPF_K``, unsigned"""
    RETURN = 0x06
    """``BPF_RET | BPF_K``"""


class Label(msgspec.Struct, frozen=True):
    """A place that jumps name."""

    name: str


class Statement(msgspec.Struct, frozen=True):
    """An operation with its constant."""

    op: Op
    k: int


class Branch(msgspec.Struct, frozen=True):
    """A conditional jump; a side that names no label goes on with the next instruction."""

    op: Op
    k: int
    if_true: str | None = None
    if_false: str | None = None


Item = Label | Statement | Branch


def assemble(items: Sequence[Item]) -> bytes:
    """The program's bytes: eight per instruction, little-endian as all processors that we support.

    Raises:
        CannotExpress: it needs more than `MAX_INSTRUCTIONS`.
        ValueError: a jump goes back or to a label that is not there, which is a mistake of the caller.
    """
    far: frozenset[int] = frozenset()
    while True:  # a jump that becomes far makes others longer; each turn adds at least one, so this ends
        places, labels = _layout(items, far)
        reaching = far | _out_of_reach(items, places, labels)
        if reaching == far:
            break
        far = reaching
    code = b"".join(_encode(item, places[i], labels, i in far) for i, item in enumerate(items))
    if len(code) > MAX_INSTRUCTIONS * 8:
        raise CannotExpress(
            f"the filter has {len(code) // 8} instructions, the kernel takes {MAX_INSTRUCTIONS}",
            hint="grant fewer system calls by condition",
        )
    return code


def _length(item: Item, is_far: bool) -> int:
    match item:
        case Label():
            return 0
        case Branch() if is_far:
            return 3
        case _:
            return 1


def _layout(items: Sequence[Item], far: frozenset[int]) -> tuple[list[int], dict[str, int]]:
    places, labels, place = [], {}, 0
    for i, item in enumerate(items):
        places.append(place)
        if isinstance(item, Label):
            labels[item.name] = place
        place += _length(item, i in far)
    return places, labels


def _out_of_reach(items: Sequence[Item], places: list[int], labels: dict[str, int]) -> frozenset[int]:
    return frozenset(
        i
        for i, item in enumerate(items)
        if isinstance(item, Branch) and max(_distances(item, places[i], labels)) > _SHORT_REACH
    )


def _distances(branch: Branch, place: int, labels: dict[str, int]) -> tuple[int, int]:
    """Instructions to skip when the test holds and when it does not."""
    when_true, when_false = (
        0 if name is None else labels[name] - place - 1 for name in (branch.if_true, branch.if_false)
    )
    if min(when_true, when_false) < 0:
        raise ValueError(f"classic BPF has no jump back: {branch}")
    return when_true, when_false


def _encode(item: Item, place: int, labels: dict[str, int], is_far: bool) -> bytes:
    match item:
        case Label():
            return b""
        case Statement(op, k):
            return _instruction(op, k)
        case Branch(op, k) if is_far:
            # Skipped relative to the two unconditional jumps that follow: at place + 1 and place + 2.
            when_true, when_false = _distances(item, place, labels)
            return b"".join(
                (
                    _instruction(op, k, 0, 1),
                    _instruction(Op.JUMP, when_true - 1 if item.if_true else 1),
                    _instruction(Op.JUMP, when_false - 2 if item.if_false else 0),
                )
            )
        case Branch(op, k):
            return _instruction(op, k, *_distances(item, place, labels))


def _instruction(op: Op, k: int, when_true: int = 0, when_false: int = 0) -> bytes:
    return struct.pack("<HBBI", op, when_true, when_false, k)
