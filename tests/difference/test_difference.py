import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from any_reports import REPORTS
from commands import binsafe
from hypothesis import given, settings
from markdown_it import MarkdownIt
from sample_reports import ARCHIVE, CAPABLE, NOT_ANALYSED, PUZZLE, SIGNED, UNIVERSAL

from binsafe.difference import IDS, compare, matches
from binsafe.model import (
    Build,
    Capability,
    Evidence,
    GoBuild,
    Library,
    Network,
    Operation,
    Report,
    Signature,
    Strings,
    Text,
)
from binsafe.reports import as_json
from binsafe.reports.changes import CHANGES

SOCKET = Evidence(via="import", address="0x401010", symbol="socket")
DEBUG = Capability(name="debug", verdict="yes", evidence=(SOCKET,), evidence_total=1)
MORE_CALLS = ("execve", "ptrace", "read")
ONLINE = Network(
    verdict="yes",
    directions=("connect",),
    operations=(Operation(name="connect", evidence=(SOCKET,), evidence_total=1),),
)


WITH_RIGHTS = {"attributes": {"security.capability": "cap_net_raw"}, "set_id": None}


def other(report: Report, **fields: Any) -> Report:
    """The report with other facts, on other bytes."""
    artifact = msgspec.structs.replace(report.artifact, sha256="00" * 32)
    return msgspec.structs.replace(report, artifact=artifact, **fields)


def changed(**fields: Any) -> Report:
    return other(PUZZLE, slices=(msgspec.structs.replace(CAPABLE, **fields),))


def ids(old: Report, new: Report) -> set[str]:
    return {change.id for change in compare(old, new).changes}


@pytest.mark.parametrize("report", [UNIVERSAL, PUZZLE, ARCHIVE, NOT_ANALYSED])
def test_a_report_and_itself_differ_in_nothing(report: Report):
    difference = compare(report, report)
    assert difference.changes == ()
    assert "No difference" in CHANGES["text"](difference) or not report.analysed


def test_changes_say_what_was_and_what_is():
    server = msgspec.structs.replace(ONLINE, directions=("listen", "connect"))
    difference = compare(changed(entitlements={"a": 1}), changed(network=server, entitlements={"a": [2], "b": True}))
    said = {change.id + " " + change.item: change.evidence for change in difference.changes}
    assert said["gained-listen listen"] == (SOCKET,), "the evidence of another way, where it has none of its own"
    assert {"gained-entitlement a = 1 -> [2]", "gained-entitlement b = true"} <= said.keys()
    signed = Signature(kind="developer-id", status="valid", team_id="AAAAA")
    other_team = msgspec.structs.replace(signed, team_id="BBBBB", identifier="x")
    items = [change.item for change in compare(changed(signature=signed), changed(signature=other_team)).changes]
    assert items == ["AAAAA -> BBBBB", "none -> x"]


def test_the_new_version_wants_the_network_now():
    difference = compare(PUZZLE, changed(network=ONLINE))
    assert [change.id for change in difference.changes] == ["gained-connect", "gained-network"]
    assert difference.changes[0].evidence == (SOCKET,)
    assert all(matches(change, "gained-network") for change in difference.changes)
    assert not any(matches(change, "gained-listen") for change in difference.changes)
    assert "0x401010 socket" in CHANGES["text"](difference)
    assert "`0x401010`" in CHANGES["markdown"](difference)


def test_what_was_ruled_out_and_is_not_any_more_counts_as_gained():
    difference = compare(PUZZLE, changed(network=Network(verdict="unknown")))
    (change,) = difference.changes
    assert matches(change, "gained-network")
    assert change.item == "no -> unknown"


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"capabilities": (*CAPABLE.capabilities, DEBUG)}, "gained-debug"),
        ({"libraries": (*CAPABLE.libraries, Library(name="libx.so", kind="needed"))}, "gained-library"),
        ({"entitlements": {"com.apple.security.get-task-allow": True}}, "gained-entitlement"),
        ({"hardening": {"pie": "absent"}}, "lost-hardening"),
        ({"syscalls": msgspec.structs.replace(CAPABLE.syscalls, required=MORE_CALLS)}, "gained-syscall"),
        ({"syscalls": msgspec.structs.replace(CAPABLE.syscalls, complete=False)}, "gained-syscall"),
        ({"build": Build(go=GoBuild(version="go1.2", dependencies=("x/y v2",)))}, "changed-dependency"),
        ({"build": msgspec.structs.replace(CAPABLE.build, sdk="14")}, "changed-build"),
    ],
)  # fmt: skip
def test_each_kind_of_change_has_its_name(fields: dict[str, Any], expected: str):
    found = ids(PUZZLE, changed(**fields))
    assert expected in found
    assert expected in IDS
    assert not {name for name in ids(changed(**fields), PUZZLE) if name.startswith("gained") and name == expected}


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"set_id": "user root"}, {"gained-rights"}),
        ({"attributes": {"security.capability": "cap_net_raw, cap_sys_admin"}}, {"gained-rights"}),
        ({"attributes": {"security.capability": "cap_net_raw", "user.note": "4 bytes"}}, {"gained-attribute"}),
        ({"attributes": None}, {"lost-rights"}),
    ],
)  # fmt: skip
def test_rights_and_attributes_are_beside_the_bytes_and_compared(fields: dict[str, Any], expected: str):
    old, new = (
        msgspec.structs.replace(PUZZLE, artifact=msgspec.structs.replace(PUZZLE.artifact, **rights))
        for rights in (WITH_RIGHTS, WITH_RIGHTS | fields)
    )
    assert ids(old, new) == expected
    assert all(each in IDS for each in expected if each.startswith("gained"))


def test_a_signature_that_was_lost_or_is_another_signers():
    valid = msgspec.structs.replace(SIGNED.signature, status="valid")
    other = msgspec.structs.replace(valid, team_id="OTHER00000", signers=())
    none = Signature(kind="none", status="absent")
    assert "lost-signature" in ids(changed(signature=valid), changed(signature=none))
    assert "lost-signature" in ids(changed(signature=valid), changed(signature=SIGNED.signature))
    assert "changed-signer" in ids(changed(signature=valid), changed(signature=other))
    assert "lost-signature" not in ids(changed(signature=none), changed(signature=valid))


def test_strings_members_slices_and_verdicts():
    strings = Strings(urls=(Text(value="https://evil.example", offset=1),), urls_total=1)
    assert "gained-string" in ids(PUZZLE, msgspec.structs.replace(PUZZLE, strings=strings))
    assert "gained-member" in ids(msgspec.structs.replace(ARCHIVE, members=ARCHIVE.members[:1]), ARCHIVE)
    assert "gained-slice" in ids(msgspec.structs.replace(UNIVERSAL, slices=UNIVERSAL.slices[:1]), UNIVERSAL)
    assert "worse-verdict" in ids(PUZZLE, NOT_ANALYSED)
    inner = msgspec.structs.replace(ARCHIVE.members[0], report=changed(network=ONLINE))
    members = (inner, *ARCHIVE.members[1:])
    (first, *_) = compare(ARCHIVE, msgspec.structs.replace(ARCHIVE, members=members)).changes
    assert (first.id, first.where) == ("gained-connect", "bin/puzzle (x86_64)")


def test_what_could_not_be_compared_is_said():
    said = compare(changed(syscalls=None), PUZZLE).not_compared
    assert any("system calls" in what for what in said)
    assert compare(PUZZLE, NOT_ANALYSED).analysed is False
    cut = other(PUZZLE, omitted=("strings: size",))
    assert "strings: size" in CHANGES["text"](compare(cut, PUZZLE))


@settings(max_examples=40, deadline=None)
@given(REPORTS, REPORTS)
def test_any_two_reports_give_outputs_that_steer_nothing(old: Report, new: Report):
    difference = compare(old, new)
    for render in CHANGES.values():
        assert all(each.isprintable() or each == "\n" for each in render(difference))
    tokens = MarkdownIt("gfm-like", {"linkify": False}).parse(CHANGES["markdown"](difference))
    inline = {child.type for token in tokens for child in token.children or ()}
    assert inline <= {"text", "code_inline", "strong_open", "strong_close"}
    assert not [token for token in tokens if token.type == "html_block"]


@pytest.mark.each_user
def test_the_command_takes_programs_and_saved_reports(standin: Callable[[str], Path], tmp_path: Path):
    program, saved, offline = standin("linux/arm64"), tmp_path / "saved.json", tmp_path / "offline.json"
    assert binsafe("inspect", program, "--no-syscalls", "--json", "--output", saved).returncode == 0
    same = binsafe("diff", saved, program, "--no-syscalls", "--fail-on", "info")
    assert (same.returncode, same.stderr) == (0, "")
    assert "No difference: the same bytes." in same.stdout
    report = msgspec.json.decode(saved.read_bytes(), type=Report)
    quiet = msgspec.structs.replace(report.slices[0], network=Network(verdict="no"))
    offline.write_text(as_json.render(msgspec.structs.replace(report, slices=(quiet,))))
    done = binsafe("diff", offline, program, "--no-syscalls", "--json", "--fail-on", "gained-listen")
    assert done.returncode == 1
    document = json.loads(done.stdout)
    assert document["schema"] == "binsafe.difference/1"
    assert "gained-listen" in {change["id"] for change in document["changes"]}
    assert binsafe("diff", program, offline, "--no-syscalls", "--fail-on", "gained-network").returncode == 0


@pytest.mark.each_user
def test_the_command_refuses_what_is_no_change_and_no_report(tmp_path: Path):
    (tmp_path / "cut.json").write_text('{"schema": "binsafe.report/1", "artif')
    assert binsafe("diff", tmp_path / "cut.json", "ls").returncode == 2
    wrong = binsafe("diff", "ls", "ls", "--fail-on", "gained-weight")
    assert wrong.returncode == 2
    assert "gained-network" in wrong.stderr
    (tmp_path / "text").write_text("hello")
    assert binsafe("diff", tmp_path / "text", tmp_path / "text").returncode == 3
    assert binsafe("diff", "ls", tmp_path / "none").returncode == 127


@pytest.mark.each_user
def test_help_names_every_change():
    shown = binsafe("diff", "--help").stdout
    assert not [name for name in IDS if name not in shown]
