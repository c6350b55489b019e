"""Go programs, assembled here, with what the linker lays out in memory: its table of functions, and a module."""

import struct
from array import array

from assembled import CODE, DATA, X86, Arm, program

from binsafe.formats.gopclntab import FunctionTable
from binsafe.model import Syscalls
from binsafe.syscalls import analyse

MAPS, VARIABLES, TABLE = DATA + 0x380, DATA + 0x400, DATA + 0x500


def words(*numbers: int) -> bytes:
    return struct.pack(f"<{len(numbers)}Q", *numbers)


def module(first: int, end: int, *, counters: bool) -> bytes:
    """``moduledata``: Go 1.20 put the counters of coverage before ``end``."""
    spans = [VARIABLES, VARIABLES, VARIABLES, VARIABLES + 64, VARIABLES + 64, *[VARIABLES + 128] * 3]
    spans += [VARIABLES + 128] * (2 * counters + 1)
    return words(*[0] * 20, first, end, first, end, *spans, MAPS, MAPS)


def analysed(
    code: X86 | Arm,
    data: dict[int, bytes] | None = None,
    *,
    table: bool = True,
    counters: bool = False,
    extent: tuple[int, int] = (0, 0),
) -> Syscalls:
    """With a table of functions that holds their addresses; one that is unknown where ``table`` is False.

    A label that ends in ``#`` is another function of the same name.
    """
    end = CODE + len(code.code())
    functions = {at: name for name, at in sorted(code.labels.items()) if at < DATA}
    places = {DATA: module(CODE, end, counters=counters), TABLE: words(*sorted(functions))} | (data or {})
    memory = bytearray(0x800)
    for at, content in places.items():
        memory[at - DATA : at - DATA + len(content)] = content
    go = FunctionTable(
        addresses=array("Q", sorted(functions)),
        names=tuple(functions[at].removesuffix("#") for at in sorted(functions)),
        end=end,
        entries=array("Q", range(TABLE, TABLE + 8 * len(functions), 8) if table else ()),
        extent=extent,
    )
    found = analyse(program(code, data=bytes(memory)), go=go)
    assert found is not None
    return found
