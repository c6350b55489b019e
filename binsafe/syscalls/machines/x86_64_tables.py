"""x86-64: the tables that jumps take their targets from, as compilers write them.

32-bit distances from the table, as in position-independent C: ``lea rdx, [rip + table]; movsxd rax, [rdx + rax*4];
add rax, rdx; jmp rax``. Or whole addresses, as in other C and in Go: ``jmp [rax*8 + table]``.
"""

import re
from collections.abc import Iterable, Sequence

from binsafe.syscalls.decoding.decode import Instruction, Instructions
from binsafe.syscalls.machines import x86_64_addresses as addresses
from binsafe.syscalls.machines import x86_64_values as values
from binsafe.syscalls.machines.machine import Moved, Table

_LOOK_BACK = 8
"""Instructions before a jump through a table in which its entry is loaded."""
_INDEXED = re.compile(r"\[(?:(?P<base>r\w+) \+ )?(?P<index>r\w+)\*(?P<scale>[48])(?: \+ (?P<named>0x[0-9a-f]+))?\]")
_GENERAL = re.compile(r"\br(?:[a-ds][xip]|[bs]p|\d+)\b")
_SUM = re.compile(r"\[r\w+(?: \+ r|\*)")


def table(instructions: Instructions, at: int, straight: int) -> Table | None:  # noqa: ARG001 - see below
    """See `Machine.table`: what else loads with an index, or adds, on the way to the jump is a table that is not read.

    Of a base in a register every address counts that the function computes for it, whatever way leads to the jump.
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
    return Table(tuple((each, each) for each in _loaded(leading)), 4)  # as compilers write it that do not optimise


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
    """The addresses that ``lea`` gives a register in a function."""
    return _loaded(instructions[at] for at in instructions.by_first_operand("lea").get(register, ()))


def _loaded(instructions: Iterable[Instruction]) -> list[int]:
    """The addresses that those of them name that are ``lea``."""
    return addresses.relative(i for i in instructions if i.mnemonic == "lea")
