"""Mach-O signatures: a real linker-signed program, and small ones built to be right but for one thing."""

import hashlib
import struct
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from signed_macho import (
    ADHOC,
    CMS,
    DER,
    LINKER_SIGNED,
    NO_REQUIREMENTS,
    REQUIREMENTS,
    RESOURCES,
    RUNTIME,
    SHA1,
    SHA256,
    SHA256_TRUNCATED,
    SHA384,
    XML,
    Directory,
    Recipe,
    flip,
    make_slice,
    patch,
    place,
    thin_slice,
)

from binsafe.model import Signature
from binsafe.signatures import verify

PLIST = b'<?xml version="1.0"?><plist version="1.0"><dict><key>a</key><true/></dict></plist>'
DER_A_TRUE = bytes.fromhex("700d020101b00830060c01610101ff")
FULL = Recipe(
    directories=(
        Directory(hash=SHA1, team=b"TEAM123456", runtime=0x0D0100),
        Directory(team=b"TEAM123456", runtime=0x0D0100),
    ),
    info_plist=PLIST,
    components={REQUIREMENTS: NO_REQUIREMENTS, XML: PLIST, DER: DER_A_TRUE},
)
FLAGS_AT, LIMIT_AT = 12, 32


def check(data: bytes) -> Signature:
    return verify(thin_slice(data))


def problems(signature: Signature) -> set[str]:
    return {problem.id for problem in signature.problems}


@pytest.fixture(scope="module")
def linker_signed(standin: Callable[[str], Path]) -> bytes:
    return standin("darwin/arm64").read_bytes()


def test_go_program_is_signed_by_its_linker(linker_signed: bytes):
    signature = check(linker_signed)
    assert (signature.kind, signature.status) == ("linker", "valid")
    assert signature.identifier == "a.out"
    assert set(signature.flags) == {"adhoc", "linker-signed"}
    assert signature.hash_types == ("sha256",)
    assert (signature.team_id, signature.signers, signature.chain) == (None, (), None)
    assert signature.notarization == "none"


def test_cdhash_is_the_directory_hashed_and_cut(linker_signed: bytes):
    at, size = place(linker_signed, 0)
    expected = hashlib.sha256(linker_signed[at : at + size]).hexdigest()[:40]
    assert check(linker_signed).cdhash == expected


def test_go_program_for_intel_is_unsigned(standin: Callable[[str], Path]):
    signature = check(standin("darwin/amd64").read_bytes())
    assert (signature.kind, signature.status) == ("none", "absent")


@pytest.mark.parametrize("where", ["first", "second", "middle", "last"])
def test_flipped_byte_names_its_page(linker_signed: bytes, where: str):
    signature_range = thin_slice(linker_signed).signature_range
    assert signature_range is not None
    limit = signature_range[0]
    at = {"first": 0xF00, "second": 0x1001, "middle": limit // 2, "last": limit - 1}[where]
    signature = check(flip(linker_signed, at))
    (problem,) = signature.problems
    assert (signature.status, problem.id) == ("invalid", "page-hash")
    assert f" {at // 4096} (at {at // 4096 * 4096:#x})" in problem.detail
    assert "1 of " in problem.detail


def test_many_wrong_pages_are_counted_and_cut():
    data = Recipe(code_size=40 * 4096).build()
    start, _ = place(data, 0)
    for page in range(1, 31):
        data = flip(data, page * 4096)
    (problem,) = check(data).problems
    assert "30 of 41 pages" in problem.detail
    assert "22 more" in problem.detail
    assert start > 40 * 4096


@pytest.mark.parametrize("kind", [SHA1, SHA256, SHA256_TRUNCATED, SHA384])
@pytest.mark.parametrize("page_shift", [0, 12, 14])
def test_each_hash_and_page_size(kind: int, page_shift: int):
    data = Recipe(directories=(Directory(hash=kind, page_shift=page_shift),)).build()
    assert check(data).status == "valid"
    assert problems(check(flip(data, 0x1800))) == {"page-hash"}


def test_one_infinite_page_covers_the_last_byte():
    data = Recipe(directories=(Directory(page_shift=0),)).build()
    signature_range = thin_slice(data).signature_range
    assert signature_range is not None
    assert problems(check(flip(data, signature_range[0] - 1))) == {"page-hash"}


def test_full_signature_is_valid_and_read():
    signature = check(FULL.build())
    assert (signature.kind, signature.status, signature.problems, signature.unverified) == ("adhoc", "valid", (), ())
    assert (signature.identifier, signature.team_id) == ("org.example.tool", "TEAM123456")
    assert signature.runtime_version == "13.1.0"
    assert signature.hash_types == ("sha1", "sha256")
    assert signature.cdhash == signature.cdhashes[1]
    assert signature.entitlements == {"a": True}
    assert signature.entitlements_source == "der"


@pytest.mark.parametrize(
    ("slot", "problem"),
    [(REQUIREMENTS, "requirements-hash"), (XML, "entitlements-hash"), (DER, "entitlements-hash")],
)
def test_edited_component_is_named(slot: int, problem: str):
    data = FULL.build()
    at, size = place(data, slot)
    signature = check(flip(data, at + size - 1))
    assert signature.status == "invalid"
    assert problem in problems(signature)


def test_edited_info_plist_is_named_besides_its_page():
    data = FULL.build()
    at = thin_slice(data).section("__info_plist").offset
    assert problems(check(flip(data, at + 3))) == {"page-hash", "info-plist-hash"}


def test_info_plist_hash_is_compared_on_its_own():
    recipe = replace(FULL, info_plist=b"", outside={1: PLIST})
    assert check(recipe.build()).unverified == ("the Info.plist (not in this file)",)
    other = replace(FULL, unsealed=frozenset({1}), outside={})
    assert check(other.build()).status == "valid"


@pytest.mark.parametrize(
    ("slot", "problem"),
    [(REQUIREMENTS, "requirements-hash"), (XML, "entitlements-hash"), (DER, "entitlements-hash")],
)
def test_component_that_nothing_seals(slot: int, problem: str):
    signature = check(replace(FULL, unsealed=frozenset({slot})).build())
    assert (signature.status, problems(signature)) == ("invalid", {problem})


def test_component_added_past_the_last_special_slot():
    data = Recipe(components={XML: PLIST}, unsealed=frozenset({XML})).build()
    assert problems(check(data)) == {"entitlements-hash"}


@pytest.mark.parametrize("slot", [REQUIREMENTS, XML, DER])
def test_sealed_component_that_was_taken_out(slot: int):
    signature = check(Recipe(outside={slot: b"something"}).build())
    assert signature.status == "invalid"
    assert "missing" in signature.problems[0].detail


def test_bundle_resources_are_left_unverified():
    signature = check(Recipe(outside={RESOURCES: b"CodeResources"}).build())
    assert (signature.status, signature.problems) == ("unknown", ())
    assert signature.unverified == ("the bundle's resources (not in this file)",)


@pytest.mark.parametrize(
    ("slack", "found"),
    [
        (bytes(9_000), set()),
        (bytes(8_999) + b"x", {"signature-slack"}),
        (bytes(200_000), set()),
        (bytes(199_999) + b"x", {"uncovered-bytes"}),
    ],
)
def test_what_signers_leave_behind_a_signature_is_told_from_what_was_put_there(slack: bytes, found: set[str]):
    signature = check(Recipe(slack=slack).build())
    assert (signature.status, problems(signature)) == ("valid", found)


def test_blob_in_a_slot_without_meaning():
    assert problems(check(Recipe(components={0x2000: b"hidden"}).build())) == {"uncovered-bytes"}


def test_linker_flag_alone_is_no_ad_hoc_signature():
    signature = check(Recipe(directories=(Directory(flags=LINKER_SIGNED),)).build())
    assert (signature.status, problems(signature)) == ("invalid", {"codedirectory"})


def test_flag_edited_away_leaves_nobody_who_signed():
    data = Recipe(directories=(Directory(flags=ADHOC | RUNTIME),)).build()
    assert check(data).flags == ("adhoc", "runtime")
    edited = patch(data, place(data, 0)[0] + FLAGS_AT, struct.pack(">I", RUNTIME))
    assert problems(check(edited)) == {"codedirectory"}


def test_flag_without_a_name_is_shown_as_a_number():
    assert check(Recipe(directories=(Directory(flags=ADHOC | 0x40000000),)).build()).flags == ("adhoc", "0x40000000")


def test_empty_cms_blob_is_ad_hoc():
    signature = check(Recipe(components={CMS: b""}).build())
    assert (signature.kind, signature.status, signature.notarization) == ("adhoc", "valid", "none")


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
    data = Recipe().build()
    assert verify(make_slice("mach-o", data, place_)).status == "invalid"


def test_elf_has_no_signature():
    signature = verify(make_slice("elf", b"\x7fELF", None))
    assert (signature.kind, signature.status) == ("none", "absent")


def test_same_bytes_give_the_same_answer():
    data = FULL.build()
    assert msgspec.json.encode(check(data)) == msgspec.json.encode(check(data))


def test_unsigned_and_ad_hoc_files_do_not_pay_for_asn1():
    code = "import sys, binsafe.signatures; sys.exit(bool({'asn1crypto', 'cryptography'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


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
