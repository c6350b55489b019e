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

    It is written from its end: jumps only go forward, so how far each must go is known when it is met.

    Raises:
        CannotExpress: it needs more than `MAX_INSTRUCTIONS`.
        ValueError: a jump goes back or to a label that is not there, which is a mistake of the caller.
    """
    code: list[bytes] = []
    labels: dict[str | None, int] = {}
    """Label -> instructions from it to the end; None is what follows."""
    for item in reversed(items):
        labels[None] = behind = len(code)
        match item:
            case Label(name):
                labels[name] = behind
            case Statement(op, k):
                code.append(_instruction(op, k))
            case Branch(op, k, if_true, if_false):
                try:
                    when_true, when_false = behind - labels[if_true], behind - labels[if_false]
                except KeyError:
                    raise ValueError(f"classic BPF has no jump back: {item}") from None
                if max(when_true, when_false) > _SHORT_REACH:
                    code += [_instruction(Op.JUMP, when_false), _instruction(Op.JUMP, when_true + 1)]
                    when_true, when_false = 0, 1
                code.append(_instruction(op, k, when_true, when_false))
    if len(code) > MAX_INSTRUCTIONS:
        raise CannotExpress(
            f"the filter has {len(code)} instructions, the kernel takes {MAX_INSTRUCTIONS}",
            hint="grant fewer system calls by condition",
        )
    return b"".join(reversed(code))


def _instruction(op: Op, k: int, when_true: int = 0, when_false: int = 0) -> bytes:
    """One instruction, with how many to skip where its test holds and where it does not."""
    return struct.pack("<HBBI", op, when_true, when_false, k)
