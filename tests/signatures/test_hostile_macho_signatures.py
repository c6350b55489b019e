"""Mach-O signatures whose counts, offsets and limits lie: each lie is named, and none is taken for valid."""

import struct
import time
from dataclasses import replace

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from macho_verdicts import FULL, LIMIT_AT, check, problems
from signed_macho import (
    ADHOC,
    NO_REQUIREMENTS,
    REQUIREMENTS,
    RUNTIME,
    SHA1,
    XML,
    Directory,
    Recipe,
    flip,
    make_slice,
    patch,
    place,
    thin_slice,
)

from binsafe.signatures import verify


def test_appended_data(linker_signed: bytes):
    signature = check(linker_signed + b"payload")
    assert (signature.status, problems(signature)) == ("invalid", {"appended-data"})
    assert "7 bytes" in signature.problems[0].detail


def test_code_limit_below_the_signature():
    signature = check(Recipe(directories=(Directory(limit=0x2000),)).build())
    assert (signature.status, problems(signature)) == ("invalid", {"uncovered-bytes"})
    assert "0x2000" in signature.problems[0].detail


def test_lowered_code_limit(linker_signed: bytes):
    at, _ = place(linker_signed, 0)
    assert "uncovered-bytes" in problems(check(patch(linker_signed, at + LIMIT_AT, struct.pack(">I", 0x4000))))


def test_fewer_hashes_than_pages():
    assert problems(check(Recipe(directories=(Directory(slots=3),)).build())) == {"uncovered-bytes"}


def test_no_hash_at_all():
    assert problems(check(Recipe(directories=(Directory(slots=0),)).build())) == {"uncovered-bytes"}


def test_more_hashes_than_pages():
    assert problems(check(Recipe(directories=(Directory(slots=9),)).build())) == {"codedirectory"}


def test_four_gigabyte_code_limit_costs_nothing():
    data = Recipe().build()
    edited = patch(data, place(data, 0)[0] + LIMIT_AT, b"\xff" * 4)
    started = time.process_time()
    signature = check(edited)
    assert time.process_time() - started < 1
    assert {"codedirectory", "uncovered-bytes"} <= problems(signature)


def test_segment_that_maps_bytes_behind_the_code_limit():
    good = thin_slice(Recipe().build())
    linkedit = good.segments[1]
    executable = msgspec.structs.replace(linkedit, executable=True)
    stranger = msgspec.structs.replace(linkedit, name="__DATA")
    for segment in (executable, stranger):
        bad = msgspec.structs.replace(good, segments=(good.segments[0], segment))
        assert problems(verify(bad)) == {"uncovered-bytes"}
    assert verify(good).status == "valid"


@pytest.mark.parametrize(
    "other",
    [
        {"identifier": b"org.example.other"},
        {"team": b"OTHER"},
        {"flags": ADHOC | RUNTIME},
        {"runtime": 0x0E0000},
        {"exec_flags": 0x10},
    ],
)
def test_directories_that_contradict_each_other(other: dict[str, object]):
    data = Recipe(directories=(Directory(hash=SHA1), replace(Directory(), **other))).build()
    assert problems(check(data)) == {"codedirectory"}


def test_wrong_page_in_the_weaker_directory_counts():
    good = Recipe(directories=(Directory(hash=SHA1), Directory())).build()
    at, size = place(good, 0)
    signature = check(flip(good, at + size - 1))
    assert problems(signature) == {"page-hash"}
    assert signature.problems[0].detail.startswith("sha1: 1 of 7 pages")


@pytest.mark.parametrize(
    "directory",
    [
        Directory(scatter=96),
        Directory(scatter=96, version=0x20100),  # the first version that can
        Directory(version=0x10000),
        Directory(version=0x30000),
        Directory(page_shift=3),
        Directory(page_shift=30),
        Directory(identifier=b"x" * 2000),
    ],
    ids=lambda directory: str(directory)[:80],
)
def test_directory_that_cannot_be_used(directory: Directory):
    signature = check(Recipe(directories=(directory,)).build())
    assert (signature.kind, signature.status, problems(signature)) == ("other", "invalid", {"codedirectory"})


@pytest.mark.parametrize(
    ("at", "value"),
    [
        (16, b"\xff\xff\xff\xff"),  # hashes outside
        (16, b"\x00\x00\x00\x00"),  # hashes over the header
        (20, b"\xff\xff\xff\xff"),  # identifier outside
        (20, b"\x00\x00\x00\x00"),  # identifier over the header
        (24, b"\xff\xff\xff\xff"),  # special slots
        (24, b"\x00\x00\x00\x05"),  # special hashes over the header
        (28, b"\xff\xff\xff\xff"),  # code slots
        (36, b"\x00\x02"),  # hashes of no bytes
        (37, b"\x07"),  # a hash that nobody knows
        (48, b"\x7f\xff\xff\xff"),  # team outside
    ],
)
def test_directory_whose_offsets_lie(at: int, value: bytes):
    data = Recipe().build()
    signature = check(patch(data, place(data, 0)[0] + at, value))
    assert (signature.status, problems(signature)) == ("invalid", {"codedirectory"})


@pytest.mark.parametrize(
    ("at", "value", "problem"),
    [
        (0, b"\xfa\xde\x0c\xc1", "malformed"),  # a detached signature
        (4, b"\x7f\xff\xff\xff", "truncated"),
        (4, b"\x00\x00\x00\x00", "malformed"),
        (8, b"\xff\xff\xff\xff", "malformed"),
        (8, b"\x00\x00\x00\x00", "malformed"),  # no blob at all
        (16, b"\xff\xff\xff\xff", "malformed"),  # a blob outside
        (16, b"\x00\x00\x00\x00", "malformed"),  # a blob over the index
        (20, b"\x00\x00\x00\x00", "malformed"),  # two blobs in a slot
    ],
)
def test_superblob_whose_counts_and_offsets_lie(at: int, value: bytes, problem: str):
    data = Recipe(components={REQUIREMENTS: NO_REQUIREMENTS}).build()
    start = thin_slice(data).signature_range[0]
    signature = check(patch(data, start + at, value))
    assert (signature.kind, signature.status, problems(signature)) == ("other", "invalid", {problem})


def test_blobs_that_overlap():
    data = FULL.build()
    start = thin_slice(data).signature_range[0]
    requirements = place(data, REQUIREMENTS)[0] - start
    index = data.index(struct.pack(">II", XML, place(data, XML)[0] - start), start)
    signature = check(patch(data, index, struct.pack(">II", 6, requirements)))
    assert (signature.status, problems(signature)) == ("invalid", {"malformed"})


def test_blob_of_another_kind_in_a_slot():
    data = FULL.build()
    assert problems(check(patch(data, place(data, XML)[0], b"\xfa\xde\x71\x72"))) == {"malformed"}


@pytest.mark.parametrize("kept", [0.3, 0.9, 0.995])
def test_half_a_program_is_truncated(linker_signed: bytes, kept: float):
    signature = check(linker_signed[: int(len(linker_signed) * kept)])
    assert (signature.status, problems(signature)) == ("invalid", {"truncated"})


def test_truncation_at_every_byte_of_the_signature():
    data = FULL.build()
    start, size = thin_slice(data).signature_range
    for end in range(start, start + size):
        shorter = make_slice("mach-o", data[:end], (start, end - start))
        assert verify(shorter).status == "invalid", end


@pytest.mark.parametrize("place_", [(0, 0), (0, 8), (-5, 20), (5, -20), (2**32, 2**32), (100, 2**63)])
def test_signature_range_that_leads_nowhere(place_: tuple[int, int]):
    signature = verify(make_slice("mach-o", Recipe().build(), place_))
    assert (signature.status, problems(signature)) == ("invalid", {"truncated"})


BUILT = FULL.build()


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_any_edit_of_a_signature_gives_a_signature(data: st.DataObject):
    start, size = thin_slice(BUILT).signature_range
    edits = data.draw(st.lists(st.tuples(st.integers(0, size - 1), st.binary(min_size=1, max_size=8)), max_size=6))
    edited = BUILT
    for at, value in edits:
        edited = patch(edited, start + at, value)[: len(BUILT)]
    signature = verify(thin_slice(edited))
    assert signature.status in {"valid", "invalid", "unknown"}
    assert signature.status != "valid" or not signature.problems
    msgspec.json.encode(signature)


@settings(max_examples=100, deadline=None)
@given(st.integers(0, thin_slice(BUILT).signature_range[0] - 1))
def test_no_changed_code_byte_is_valid(at: int):
    good = thin_slice(BUILT)
    changed = msgspec.structs.replace(good, data=memoryview(flip(BUILT, at)))
    assert verify(changed).status == "invalid"


def test_bytes_between_the_blobs():
    """The superblob's own length is no hash: what is in it and in no blob can be changed by anybody."""
    data = bytearray(replace(FULL, slack=bytes(300_000)).build())
    start, size = thin_slice(data).signature_range
    struct.pack_into(">I", data, start + 4, size)
    assert check(bytes(data)).status == "valid"  # room alone is no data
    data[-1] = 1
    signature = check(bytes(data))
    assert (signature.status, problems(signature)) == ("invalid", {"uncovered-bytes"})


def test_room_does_not_allow_for_more_leftovers():
    data = bytearray(replace(FULL, slack=bytes(300_000)).build())
    start, size = thin_slice(data).signature_range
    struct.pack_into(">I", data, start + 4, size - 150_000)
    data[-150_000:] = b"payload." * (150_000 // 8)
    assert problems(check(bytes(data))) == {"uncovered-bytes"}


@pytest.mark.parametrize("slot", [0x10001, 0x10002])
def test_data_in_a_slot_about_the_signature(slot: int):
    """0x10001 is for signatures that stand alone; 0x10002 for a notarization ticket, which lists the code's hash."""
    signature = check(Recipe(components={slot: b"payload" * 100}).build())
    assert (signature.status, problems(signature)) == ("invalid", {"uncovered-bytes"})


def test_a_second_info_plist_that_no_hash_covers():
    """The section is what was sealed; the blob beside it is not, though it stands in the same slot."""
    plist = b"<plist><dict/></plist>"
    recipe = Recipe(info_plist=plist, components={1: b"payload"})
    assert problems(check(recipe.build())) == {"info-plist-hash"}
