"""Signatures of real programs: all verified offline, as other tools do it, and each tampering named for what it is."""

import hashlib
import plistlib
import shutil
import struct
import subprocess
from collections.abc import Callable
from pathlib import Path
from xml.parsers.expat import ExpatError

import pytest
from signed_programs import (
    COMMERCIAL,
    DEVELOPER_ID,
    MICROSOFT,
    NOBODYS,
    ROOTS,
    Program,
    blobs,
    openssl_verifies,
    run,
    unpack_app,
    verified,
)

from binsafe.intake import Found, inspect_folder
from binsafe.model import Report, Signature

pytestmark = [pytest.mark.corpus, pytest.mark.timeout(600)]

PRIMARY, ALTERNATE, XML, CMS = 0, 0x1000, 5, 0x10000


def named(programs: list[Program]) -> list[object]:
    return [pytest.param(one, id=f"{one.package.name} {one.member.rpartition('/')[2]}") for one in programs]


def needs(*tools: str) -> None:
    missing = [tool for tool in tools if shutil.which(tool) is None]
    if missing:
        pytest.skip(f"{', '.join(missing)} not installed")


@pytest.mark.parametrize("program", named(DEVELOPER_ID))
def test_developer_id_leads_to_apples_root(program: Program, tmp_path: Path):
    needs("llvm-objdump", "openssl")
    data = program.path.read_bytes()
    found = verified(data)
    others = list(blobs(program.path))
    assert len(found) == len(others)
    for signature, (_, parts) in zip(found, others, strict=True):
        assert (signature.kind, signature.status, signature.unverified) == ("developer-id", "valid", ())
        assert (signature.chain, signature.certificate_type) == ("apple-root", "developer-id-application")
        assert signature.timestamped
        contents = {slot: data[at : at + size] for slot, (at, size) in parts.by_slot.items()}
        assert openssl_verifies(contents[CMS][8:], contents[PRIMARY], signature.signed_at or "", tmp_path)
        compare(signature, contents, tmp_path)


def compare(signature: Signature, contents: dict[int, bytes], folder: Path) -> None:
    """The facts, each by another way."""
    directories = [contents[slot] for slot in (PRIMARY, ALTERNATE) if slot in contents]
    algorithms = [{1: "sha1", 2: "sha256"}[one[37]] for one in directories]
    hashes = [hashlib.new(name, one).hexdigest()[:40] for name, one in zip(algorithms, directories, strict=True)]
    assert (signature.cdhashes, signature.hash_types) == (tuple(hashes), tuple(algorithms))
    best = directories[-1]
    assert signature.cdhash == hashes[-1]
    identifier_at, team_at = struct.unpack_from(">I", best, 20)[0], struct.unpack_from(">I", best, 48)[0]
    assert signature.identifier == best[identifier_at:].split(b"\0")[0].decode()
    assert signature.team_id == best[team_at:].split(b"\0")[0].decode()
    assert ("runtime" in signature.flags) == bool(struct.unpack_from(">I", best, 12)[0] & 0x10000)
    printed = run("openssl", "pkcs7", "-inform", "DER", "-in", folder / "cms", "-print_certs", "-noout")
    assert signature.signers[0].common_name in printed
    assert f"OU = {signature.team_id}" in printed
    words = f"subject.OU] = {signature.team_id}", f'subject.OU] = "{signature.team_id}"'
    assert (signature.requirements or "").endswith(words)
    if XML in contents:
        try:
            assert signature.entitlements == plistlib.loads(contents[XML][8:])
        except (plistlib.InvalidFileException, ExpatError):  # two vendors' XML is broken, and the DER form is right
            assert signature.entitlements_source == "der"
            assert any("XML" in problem.detail for problem in signature.problems)


@pytest.mark.parametrize(
    ("kind", "program"), [(kind, one) for kind, programs in NOBODYS.items() for one in programs], ids=str
)
def test_signatures_that_name_nobody(kind: str, program: Program):
    for signature in verified(program.path.read_bytes()):
        assert (signature.kind, signature.status, signature.signers) == (kind, "valid", ())


@pytest.mark.parametrize("program", named(MICROSOFT))
def test_authenticode_leads_to_microsofts_root(program: Program):
    needs("osslsigncode")
    [signature] = verified(program.path.read_bytes())
    assert (signature.kind, signature.status, signature.problems) == ("authenticode", "valid", ())
    assert (signature.chain, signature.timestamped) == ("microsoft-root", True)
    command = ["osslsigncode", "verify", "-CAfile", ROOTS, "-TSA-CAfile", ROOTS, "-ignore-crl", program.path]
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=120, check=False)
    assert done.returncode == 0, done.stdout[-500:]
    assert f"CN={signature.signers[0].common_name}" in done.stdout


@pytest.mark.parametrize("program", named(COMMERCIAL))
def test_authenticode_of_others_leads_to_a_public_authoritys_root(program: Program):
    [signature] = verified(program.path.read_bytes())
    assert (signature.kind, signature.status, signature.problems) == ("authenticode", "valid", ())
    assert (signature.chain, signature.timestamped) == ("public-root", True)


def flipped(data: bytes, at: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


MACH_O = next(one for one in DEVELOPER_ID if one.package.name == "cmake")
"""Two slices with two CodeDirectories each, and entitlements."""


def tampered(how: Callable[[bytes, dict[int, tuple[int, int]], int], bytes]) -> list[set[str]]:
    """Problems of each slice after a change to the second one."""
    data = MACH_O.path.read_bytes()
    parts = list(blobs(MACH_O.path))[1][1]
    return [{problem.id for problem in one.problems} for one in verified(how(data, parts.by_slot, parts.start))]


CHANGES = {
    "a page": (lambda data, _, start: flipped(data, start - 5000), {"page-hash"}),
    "a flag of the CodeDirectory": (lambda data, at, _: flipped(data, at[PRIMARY][0] + 14), {"cms-digest"}),
    "a flag of the alternate": (lambda data, at, _: flipped(data, at[ALTERNATE][0] + 14), {"cms-digest"}),
    "the entitlements": (lambda data, at, _: flipped(data, sum(at[XML]) - 20), {"entitlements-hash"}),
    "the requirements": (lambda data, at, _: flipped(data, sum(at[2]) - 4), {"requirements-hash"}),
    "the signed digest": (
        lambda data, at, _: flipped(data, data.index(bytes.fromhex("06092a864886f70d010904"), at[CMS][0]) + 20),
        {"cms-digest"},
    ),
    "the signer's certificate": (
        lambda data, at, _: flipped(data, data.index(b"Developer ID Application", at[CMS][0])),
        {"cms-chain"},
    ),
    "the time stamp": (
        lambda data, at, _: flipped(data, data.rindex(b"Timestamp Signer", at[CMS][0], sum(at[CMS]))),
        {"timestamp"},
    ),
}


@pytest.mark.parametrize("what", CHANGES)
def test_changed_byte_is_named_for_what_it_is(what: str):
    needs("llvm-objdump")
    how, problems = CHANGES[what]
    untouched, changed = tampered(how)
    assert untouched == set()
    assert changed >= problems


def test_appended_data_is_named():
    program = next(one for one in DEVELOPER_ID if one.member.endswith("/uvx"))
    [signature] = verified(program.path.read_bytes() + b"payload!")
    assert {problem.id for problem in signature.problems} == {"appended-data"}


def test_changed_and_hidden_bytes_of_a_windows_program():
    data = MICROSOFT[0].path.read_bytes()
    [changed] = verified(flipped(data, len(data) // 2))
    assert (changed.status, {one.id for one in changed.problems}) == ("invalid", {"authenticode-digest"})
    [hidden] = verified(hide(data))
    assert {one.id for one in hidden.problems} == {"certificate-table-data"}


def hide(data: bytes) -> bytes:
    """The file with a payload behind the signature, inside the certificate table, where no digest looks."""
    optional = struct.unpack_from("<I", data, 0x3C)[0] + 24
    entry = optional + {0x10B: 96, 0x20B: 112}[struct.unpack_from("<H", data, optional)[0]] + 32
    start, size = struct.unpack_from("<II", data, entry)
    payload = b"payload!" * 8
    grown = data[: entry + 4] + struct.pack("<I", size + len(payload)) + data[entry + 8 :]
    length = struct.unpack_from("<I", grown, start)[0]
    return grown[:start] + struct.pack("<I", length + len(payload)) + grown[start + 4 : start + size] + payload


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return unpack_app(tmp_path_factory.mktemp("app"))


def inspected(app: Path) -> Report:
    return inspect_folder(Found(app.name, app), syscalls=False)


def test_real_application_is_sealed(app: Path):
    """6,478 resources, four frameworks and a plug-in; scripts among the resources are told of."""
    report = inspected(app)
    assert (report.format, report.analysed) == ("bundle", True)
    assert {(finding.id, finding.severity) for finding in report.findings} == {("scripts", "info")}
    assert len(report.members) > 10
    for member in report.members:
        for part in member.report.slices:
            assert (part.signature.kind, part.signature.status) == ("developer-id", "valid"), member.path
    assert report.members[0].report.slices[0].signature.notarization == "stapled"


@pytest.mark.parametrize(
    ("change", "word"),
    [
        (lambda app: (app / "Contents/PlugIns/evil.dylib").write_bytes(b"x" * 99), "evil.dylib"),
        (lambda app: (app / "Contents/Resources/qt.conf").write_bytes(b"[Paths]"), "qt.conf"),
        (lambda app: (app / "Contents/man/man1/cmake.1").unlink(), "man1/cmake.1"),
        (lambda app: (app / "Contents/bin/cmake-gui").rename(app / "Contents/bin/other"), "cmake-gui"),
    ],
    ids=["added dylib", "changed resource", "missing resource", "renamed link"],
)
def test_changed_application_is_named(app: Path, tmp_path: Path, change: Callable[[Path], object], word: str):
    copy = tmp_path / app.name
    shutil.copytree(app, copy, symlinks=True)
    change(copy)
    report = inspected(copy)
    assert {finding.id for finding in report.findings} == {"resource-seal", "scripts"}
    assert word in " ".join(finding.detail for finding in report.findings if finding.id == "resource-seal")
    assert report.verdict.level == "danger"
