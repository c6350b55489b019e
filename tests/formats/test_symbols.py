"""Names of symbols."""

from binsafe.formats.symbols import name_at, names_at


def test_many_names_are_read_as_each_alone_is():
    strings = memoryview(b"\0short\0" + b"x" * 70_000 + b"\0caf\xc3\xa9\0no end\xff")
    offsets = [0, 1, 3, 6, 7, 4_000, 4_600, 70_007, len(strings) - 7, len(strings), len(strings) + 5]
    names = [*names_at(strings, offsets)]
    assert names == [name_at(strings, offset) for offset in offsets]
    assert names[1:3] == ["short", "ort"]
    assert (len(names[4]), len(names[6])) == (65_536, 70_007 - 4_600)
    assert names[8:] == ["no end\\xff", "", ""]
