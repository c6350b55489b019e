"""What bytes of code name, wherever they stand."""

import msgspec
import pytest
from assembled import X86, program, segment

from binsafe.syscalls.decoding import code as module
from binsafe.syscalls.decoding.code import Code

BASE = 0x40_1000


def code(data: bytes, *starts: tuple[int, int, int]) -> Code:
    """Code of ``data`` in segments of (address, offset, size)."""
    segments = tuple(segment(*start, executable=True) for start in starts)
    return Code(msgspec.structs.replace(program(X86()), data=memoryview(data), segments=segments, sections=()))


def named(address: int) -> bytes:
    return address.to_bytes(4, "little")


@pytest.mark.parametrize("piece", [4, 7, 1 << 22])
def test_an_address_is_found_wherever_it_stands_even_over_the_edge_of_a_piece(
    piece: int, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(module, "_PIECE", piece)
    for at in range(12):
        data = b"\xcc" * at + named(BASE + 3) + b"\xcc" * (20 - at)
        assert code(data, (BASE, 0, len(data))).naming(BASE + 3) == [BASE + at]


def test_all_places_count_and_there_may_be_none():
    data = b"\x90" + named(BASE) + named(BASE) + named(BASE + 5) + named(BASE + 0x1000)
    found = code(data, (BASE, 0, len(data)))
    assert (found.naming(BASE), found.naming(BASE + 5)) == ([BASE + 1, BASE + 5], [BASE + 9])
    assert found.naming(BASE + 4) == []
    assert found.naming(BASE + 0x1000) == []


def test_code_of_one_segment_names_that_of_another():
    data = named(BASE + 0x2000) + b"\x90" * 4
    assert code(data, (BASE, 0, 4), (BASE + 0x2000, 4, 4)).naming(BASE + 0x2000) == [BASE]


def test_code_above_four_gigabytes_is_not_named_by_four_bytes():
    high = (1 << 32) + 0x1000
    data = named(0x1000) + b"\x90" * 4
    assert code(data, (high, 0, 8)).naming(high) == []
    assert code(data, (BASE, 0, 3)).naming(BASE) == []
