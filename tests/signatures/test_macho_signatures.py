"""Mach-O signatures: a real linker-signed program, and small ones built to be right but for one thing."""

import hashlib
import struct
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest
from macho_verdicts import FLAGS_AT, FULL, PLIST, check, problems
from signed_macho import (
    ADHOC,
    CMS,
    DER,
    LINKER_SIGNED,
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
from test_signature_entitlements import wrapped

from binsafe.signatures import verify


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
    assert (signature.identifier, signature.team_id) == ("org.example.tool", None)
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


def test_entitlements_that_cannot_be_read_are_not_verified():
    """Sealed as they are, and in the old form alone, which newer systems do not go by."""
    signature = check(Recipe(components={XML: b"<plist><dict><key>"}).build())
    assert (signature.status, signature.entitlements) == ("unknown", None)
    assert "the entitlements" in signature.unverified


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


def test_flags_of_the_executable_segment_are_shown():
    """``CS_EXECSEG_...``: a main program that iOS lets run code which nobody signed, and a flag of tomorrow."""
    signature = check(Recipe(directories=(Directory(exec_flags=1 | 0x10 | 1 << 40),)).build())
    assert (signature.status, signature.exec_flags) == ("valid", ("main-binary", "allow-unsigned", hex(1 << 40)))
    assert check(Recipe(directories=(Directory(version=0x20300),)).build()).exec_flags == ()


def test_empty_cms_blob_is_ad_hoc():
    signature = check(Recipe(components={CMS: b""}).build())
    assert (signature.kind, signature.status, signature.notarization) == ("adhoc", "valid", "none")


def test_elf_has_no_signature():
    signature = verify(make_slice("elf", b"\x7fELF", None))
    assert (signature.kind, signature.status) == ("none", "absent")


def test_same_bytes_give_the_same_answer():
    data = FULL.build()
    assert msgspec.json.encode(check(data)) == msgspec.json.encode(check(data))


@pytest.mark.each_user
def test_unsigned_and_ad_hoc_files_do_not_pay_for_asn1():
    code = "import sys, binsafe.signatures; sys.exit(bool({'asn1crypto', 'cryptography'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_launch_constraints_are_shown_and_sealed():
    """As codesign writes them: a version, what the kernel is to compare, and that all of it must hold."""
    parent = {"ccat": 0, "comp": 1, "reqs": {"team-identifier": "TEAM123456"}, "vers": 1}
    data = Recipe(components={9: wrapped(parent), 11: b"\x04\0"}).build()
    signature = check(data)
    assert (signature.status, signature.constraints) == ("valid", {"parent": parent, "library": None})
    assert [problem.detail.partition(":")[0] for problem in signature.problems] == [
        "the launch constraints (library) cannot be read"
    ]
    changed = check(flip(data, data.index(b"TEAM123456")))
    assert (changed.status, changed.problems[0].id) == ("invalid", "codedirectory")
    assert "the launch constraints (parent)" in changed.problems[0].detail
    assert check(FULL.build()).constraints is None


@pytest.mark.parametrize(("flags", "kind"), [(ADHOC, "adhoc"), (ADHOC | LINKER_SIGNED, "linker")])
def test_a_team_that_no_certificate_stands_behind_is_none(flags: int, kind: str):
    """Whoever signs ad hoc can write any team."""
    signature = check(Recipe(directories=(Directory(flags=flags, team=b"TEAM123456"),)).build())
    assert (signature.kind, signature.status, signature.team_id) == (kind, "valid", None)
    assert problems(signature) == {"team-differs"}
