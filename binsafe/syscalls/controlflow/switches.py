"""Jump tables: where a computed jump of a region can lead."""

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from binsafe.syscalls.controlflow.regions import Region
from binsafe.syscalls.machines.machine import Table

if TYPE_CHECKING:
    from binsafe.syscalls.controlflow.program import Program

_MAX_ENTRIES = 1024
"""Entries of a jump table that are read."""
_TABLE_COST = 16
"""Reading a table takes as long as decoding so many instructions."""
_SEARCHED = 16
"""Instructions that are searched for a table's address while one is decoded."""


def through_tables(program: "Program", region: Region) -> Mapping[int, tuple[int, ...]] | None:
    """Index in a region -> the jumps of it that lead there through tables; None where a table could not be read.

    A table that other regions' jumps use, too, is not looked for.
    """
    tables: dict[int, Table] = {}
    for at in region.indirect_jumps:
        table = program.machine.table(region.instructions, at)
        bases = 0 if table is None else len(table.bases)
        program.decoder.spend(bases * _TABLE_COST + len(region.instructions) // _SEARCHED)
        if table is not None:
            tables[at] = table
        elif region.frames[at].get(program.machine.stack) != 0:
            return None  # else the frame is gone: a call through a pointer, as the last thing that is done
    found: dict[int, tuple[int, ...]] = {}
    begins = sorted({base for table in tables.values() for base in table.bases})
    for at, table in tables.items():
        targets = [target for base in table.bases for target in _entries(program, base, table, begins)]
        inside = {index for target in targets if (index := region.at(target)) is not None}
        if not inside:
            return None
        for index in inside:
            found[index] = (*found.get(index, ()), at)
    return found


def _entries(program: "Program", base: int, table: Table, begins: Sequence[int]) -> list[int]:
    """The addresses that a table leads to: it ends where they are no code any more, or the function's next begins."""
    following = bisect_right(begins, base)
    end = begins[following] if following < len(begins) else base + _MAX_ENTRIES * table.size
    data = program.code.constants(base, min(end - base, _MAX_ENTRIES * table.size))
    entries = np.frombuffer(data[: len(data) // table.size * table.size], f"<i{table.size}").astype(np.int64)
    targets = entries + base if table.relative else entries
    outside = np.flatnonzero(~program.in_code(targets))
    found: list[int] = targets[: outside[0] if len(outside) else None].tolist()
    return found
