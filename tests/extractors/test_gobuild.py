import struct

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from minimal_slices import DATA, minimal, with_section

from binsafe.extractors import gobuild

MARK = bytes(range(16))
MODULE = (
    "path\texample.org/tool/cmd\nmod\texample.org/tool\t(devel)\t\n"
    "dep\tgolang.org/x/net\tv0.20.0\th1:x=\ndep\texample.org/old\tv1.0.0\n=>\texample.org/new\tv2.0.0\th1:y=\n"
    "build\t-compiler=gc\nbuild\tCGO_ENABLED=0\n"
)


def varint(number: int) -> bytes:
    low = number & 0x7F
    return bytes([low]) if number < 0x80 else bytes([low | 0x80]) + varint(number >> 7)


def inline(version: str = "go1.22.1", module: str = MODULE) -> bytes:
    """The record as linkers write it since Go 1.18."""
    text = MARK + module.encode() + MARK
    header = (b"\xff Go buildinf:" + bytes([8, 2])).ljust(32, b"\0")
    return header + varint(len(version)) + version.encode() + varint(len(text)) + text


def pointed(size: int, order: str) -> bytes:
    """The record as linkers wrote it before: addresses of Go strings, which are addresses and lengths."""
    word, version, text = f"{order}{'Q' if size == 8 else 'I'}", b"go1.16.5", MARK + MODULE.encode() + MARK
    strings = DATA + 32 + 4 * size
    header = b"\xff Go buildinf:" + bytes([size, 1 if order == ">" else 0])
    header += struct.pack(word, DATA + 32) + struct.pack(word, DATA + 32 + 2 * size)
    heads = (strings, len(version), strings + len(version), len(text))
    return header.ljust(32, b"\0") + b"".join(struct.pack(word, head) for head in heads) + version + text


def test_a_record_with_inline_strings():
    go = gobuild.read(with_section(".go.buildinfo", inline()))
    assert go is not None
    assert (go.version, go.module) == ("go1.22.1", "example.org/tool")
    assert go.dependencies == ("golang.org/x/net v0.20.0", "example.org/old v1.0.0 => example.org/new v2.0.0")
    assert go.settings == {"-compiler": "gc", "CGO_ENABLED": "0"}


@pytest.mark.parametrize("size", [4, 8])
@pytest.mark.parametrize(("order", "name"), [("<", "little"), (">", "big")])
def test_a_record_with_pointers(size: int, order: str, name: str):
    go = gobuild.read(with_section("__go_buildinfo", pointed(size, order), byte_order=name, bits=8 * size))
    assert go is not None
    assert (go.version, go.module) == ("go1.16.5", "example.org/tool")


def test_a_record_in_plain_data_is_found_where_no_section_says_so():
    assert gobuild.read(minimal(b"\0" * 4096 + inline())) is not None
    assert gobuild.read(minimal(b"\0" * 4097 + inline())) is None  # the linker aligns it: this is text in a program


def test_a_program_without_modules_still_has_a_version():
    go = gobuild.read(with_section(".go.buildinfo", inline(module="")[: 32 + 1 + 8 + 1]))
    assert go is not None
    assert (go.version, go.module, go.dependencies) == ("go1.22.1", None, ())


def test_a_string_that_is_longer_than_the_file_is_not_read():
    record = inline()[:32] + varint(2**34)
    assert gobuild.read(with_section(".go.buildinfo", record)) is None


def test_a_segment_without_bytes_may_stand_anywhere():
    empty = minimal()
    segment = msgspec.structs.replace(empty.segments[1], offset=1 << 63)
    assert gobuild.read(msgspec.structs.replace(empty, segments=(segment,))) is None


@given(st.integers(14, 120), st.binary(max_size=40))
def test_hostile_records_never_raise(place: int, garbage: bytes):
    for record in (inline(), pointed(8, "<"), pointed(4, ">")):
        changed = record[:place] + garbage + record[place + len(garbage) :]
        gobuild.read(with_section(".go.buildinfo", changed))
