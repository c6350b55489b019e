"""What bytes of code name, wherever they stand."""

import msgspec
import numpy as np
import pytest
from assembled import X86, program, segment

from binsafe.syscalls import analyse
from binsafe.syscalls.controlflow import naming
from binsafe.syscalls.controlflow.naming import FunctionStarts, Naming
from binsafe.syscalls.decoding.code import Code

BASE = 0x40_1000


def code(data: bytes, *starts: tuple[int, int, int], functions: FunctionStarts | None = None) -> Naming:
    """What is named in code of ``data`` in segments of (address, offset, size)."""
    segments = tuple(segment(*start, executable=True) for start in starts)
    slice_ = msgspec.structs.replace(program(X86()), data=memoryview(data), segments=segments, sections=())
    return Naming(Code(slice_), functions)


def named(address: int) -> bytes:
    return address.to_bytes(4, "little")


@pytest.mark.parametrize("piece", [4, 7, 1 << 22])
def test_an_address_is_found_wherever_it_stands_even_over_the_edge_of_a_piece(
    piece: int, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(naming, "_PIECE", piece)
    for at in range(12):
        data = b"\xcc" * at + named(BASE + 3) + b"\xcc" * (20 - at)
        assert code(data, (BASE, 0, len(data))).of(BASE + 3) == [BASE + at]


def test_all_places_count_and_there_may_be_none():
    data = b"\x90" + named(BASE) + named(BASE) + named(BASE + 5) + named(BASE + 0x1000)
    found = code(data, (BASE, 0, len(data)))
    assert (found.of(BASE), found.of(BASE + 5)) == ([BASE + 1, BASE + 5], [BASE + 9])
    assert found.of(BASE + 4) == []
    assert found.of(BASE + 0x1000) == []


def test_code_of_one_segment_names_that_of_another():
    data = named(BASE + 0x2000) + b"\x90" * 4
    assert code(data, (BASE, 0, 4), (BASE + 0x2000, 4, 4)).of(BASE + 0x2000) == [BASE]


def test_code_above_four_gigabytes_is_not_named_by_four_bytes():
    high = (1 << 32) + 0x1000
    data = named(0x1000) + b"\x90" * 4
    assert code(data, (high, 0, 8)).of(high) == []
    assert code(data, (BASE, 0, 3)).of(BASE) == []
    named_low = code(named(BASE) * 2, (BASE, 0, 4), ((1 << 32) + BASE, 4, 4))
    assert (named_low.of(BASE), named_low.of((1 << 32) + BASE)) == ([BASE, (1 << 32) + BASE], [])


def test_of_functions_only_the_starts_are_looked_for_and_of_other_code_all():
    starts = FunctionStarts(np.array([BASE + 4, BASE + 0x14]), BASE + 0x18)
    places = (BASE, BASE + 3, BASE + 4, BASE + 5, BASE + 0x14, BASE + 0x17, BASE + 0x18)
    data = b"".join(map(named, places)) + b"\x90"
    found = code(data, (BASE, 0, len(data)), functions=starts)
    assert [place - BASE for place in places if found.of(place)] == [0, 3, 4, 0x14, 0x18]


def test_a_word_is_found_that_holds_an_address_of_the_programs_memory():
    data = b"".join(each.to_bytes(8, "little") for each in (BASE + 8, 5, BASE + 8, BASE + 9, BASE + 0x1000))
    segments = (segment(BASE, 0, 40), segment(BASE + 0x801, 1, 39))
    slice_ = msgspec.structs.replace(program(X86()), data=memoryview(data), segments=segments, sections=())
    found = Code(slice_)
    assert sorted(found.words(BASE + 8)) == [BASE, BASE + 16, BASE + 0x810]
    assert sorted(found.words(BASE + 8, 2)) == [BASE, BASE + 16, BASE + 24, BASE + 0x810, BASE + 0x818]
    assert not [*found.words(BASE + 10), *found.words(5)]


@pytest.mark.parametrize("functions", [("start", "other"), ("start",)])
@pytest.mark.parametrize("above", [0, 1])
def test_a_place_in_a_function_is_named_by_an_instruction_that_says_it_and_not_by_bytes_of_a_longer_number(
    above: int, functions: tuple[str, ...]
):
    assembled = X86()
    assembled.call("other")
    assembled.mov("rax", 39)
    assembled.jump_if_zero("inside")
    assembled.label("inside")
    assembled.syscall()
    assembled.ret()
    assembled.label("other")
    assembled.put(b"\x48\xb8")  # movabs rax
    assembled.to("inside", 8, lambda _, there: (above << 32 | there).to_bytes(8, "little"))
    assembled.ret()
    assert analyse(program(assembled, functions=functions)).complete is bool(above)
