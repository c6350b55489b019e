"""Operations that code applies to a number along its def-use chain, on 64 bits."""

from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

MASK = 0xFFFF_FFFF_FFFF_FFFF


class Operation(NamedTuple):
    """One step of arithmetic with a constant, on 64 bits: the values are those of Python's operators."""

    name: str
    operand: int

    def apply(self, value: int) -> int:
        """The result, truncated to 64 bits."""
        return _OPERATORS[self.name](value, self.operand) & MASK


_OPERATORS: Mapping[str, Callable[[int, int], int]] = {
    "add": lambda value, n: value + n,
    "and": lambda value, n: value & n,
    "or": lambda value, n: value | n,
    "xor": lambda value, n: value ^ n,
    "multiply": lambda value, n: value * n,
    "shift-left": lambda value, n: value << (n & 63),
    "shift-right": lambda value, n: value >> (n & 63),
    "negate": lambda value, _: -value,
    "sign-extend": lambda value, bits: (value & (1 << bits) - 1) - ((value & 1 << bits - 1) << 1),
}


_BIT_BY_BIT = frozenset({"and", "or", "xor", "shift-left", "shift-right"})


def result(operations: Iterable[Operation], mask: int = MASK) -> int | None:
    """The result of operations within the bits of ``mask`` where it is the same for every number; else None.

    Such operations come from compilers that write the last byte of a register and clear the others afterwards.
    """
    steps = tuple(operations)
    lowest, highest = 0, MASK
    for at, step in enumerate(steps, 1):
        if step.name not in _BIT_BY_BIT:
            return None
        lowest, highest = step.apply(lowest), step.apply(highest)
        if lowest == highest:
            return compute(lowest, steps[at:]) & mask
    return None if (lowest ^ highest) & mask else lowest & mask


def compute(value: int, operations: Iterable[Operation]) -> int:
    """The result of operations on a number."""
    for operation in operations:
        value = operation.apply(value)
    return value
