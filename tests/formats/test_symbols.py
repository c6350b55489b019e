"""Names of symbols."""

from collections import deque

import numpy as np
import pytest

from binsafe.errors import NotAnalysable
from binsafe.formats.elf_symbols import RECORD, DynamicSymbols
from binsafe.formats.symbols import Symbols, layout, may_name, name_at, names_at


def test_many_names_are_read_as_each_alone_is():
    strings = memoryview(b"\0short\0" + b"x" * 70_000 + b"\0caf\xc3\xa9\0no end\xff")
    offsets = [0, 1, 3, 6, 7, 4_000, 4_600, 70_007, len(strings) - 7, len(strings), len(strings) + 5]
    names = [*names_at(strings, offsets)]
    assert names == [name_at(strings, offset) for offset in offsets]
    assert names[1:3] == ["short", "ort"]
    assert (len(names[4]), len(names[6])) == (65_536, 70_007 - 4_600)
    assert names[8:] == ["no end\\xff", "", ""]


def test_whether_a_name_may_be_in_a_table_is_told_without_reading_each():
    strings, record = memoryview(b"\0_main\0___stack_chk_fail\0"), layout("IQ", "little")
    symbols = Symbols(memoryview(record.pack(1, 16)), strings, record, range(1))
    for listed in (symbols, tuple(symbols)):
        assert may_name(listed, "main")
        assert not may_name(listed, "mine")
    assert may_name(symbols, "__stack_chk_fail")  # of a record that is not kept, perhaps
    assert not may_name(tuple(symbols), "__stack_chk_fail")


def test_many_long_names_of_a_dynamic_table_that_lie_over_each_other_are_refused():
    """Linkers let a name be the end of another one; 70,000 letters of which each begins a name would be 2 GB."""
    strings = memoryview(b"\0" + b"a" * 70_000 + b"\0")
    for count, most in ((2_000, 300), (70_000, 70_000)):
        table = np.zeros(count, RECORD)
        table["name"] = len(strings) - 2 - np.arange(count) % most
        symbols = DynamicSymbols(table, strings, np.zeros(0, np.uint16), {})
        everything = np.arange(count)
        if most < count:
            names = [symbol.name for symbol in symbols.chosen(everything)]
            assert names == [*symbols.names(everything)] == ["a" * (at % most + 1) for at in range(count)]
            continue
        for read in (symbols.chosen, symbols.names):
            with pytest.raises(NotAnalysable, match="names lie over each other"):
                deque(read(everything), maxlen=0)
