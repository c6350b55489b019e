"""What one program can do that another could not, fact by fact."""

from dataclasses import dataclass
from typing import Any

import pytest
from two_reports import (
    INCOMPLETE,
    PLAIN,
    UNSIGNED,
    calls,
    capability,
    difference,
    finding,
    found,
    network,
    part,
    report,
    signed,
)

from binsafe.difference import IDS, compare, matches, undecided
from binsafe.model import (
    ArgumentValues,
    Build,
    GoBuild,
    Library,
    RustBuild,
    Severity,
    Signature,
    Signer,
    SliceReport,
    Strings,
    Text,
)

LOCAL = {"socket": (ArgumentValues(argument=0, values=(1,)),)}
ANYWHERE = {"socket": (ArgumentValues(argument=0, values=(1, 2)),)}


@dataclass
class Case:
    """Facts before and after, and what must be said of them: (id, severity)."""

    name: str
    old: dict[str, Any]
    new: dict[str, Any]
    said: set[tuple[str, str]]


CASES = [
    Case(
        "wants-the-network-now",
        {},
        {"network": network("connect")},
        {("gained-network", "high"), ("gained-connect", "high")},
    ),
    Case(
        "the-network-cannot-be-ruled-out-any-more",
        {},
        {"network": network(verdict="unknown")},
        {("gained-network", "medium")},
    ),
    Case(
        "the-network-is-certain-now",
        {"network": network("connect", verdict="unknown")},
        {"network": network("connect")},
        {("gained-network", "high"), ("gained-connect", "high")},
    ),
    Case(
        "hides-the-network",
        {"network": network("connect")},
        {"network": network(verdict="unknown")},
        {("changed-network", "info")},
    ),
    Case(
        "gives-up-the-network",
        {"network": network("connect")},
        {},
        {("lost-network", "info"), ("lost-connect", "info")},
    ),
    Case(
        "listens-now",
        {"network": network("connect")},
        {"network": network("connect", "listen")},
        {("gained-listen", "high")},
    ),
    Case(
        "executes-now",
        {},
        {"capabilities": (capability("execute"),)},
        {("gained-exec", "high")},
    ),
    Case(
        "a-capability-cannot-be-ruled-out-any-more",
        {},
        {"capabilities": (capability("keychain", "unknown"),)},
        {("gained-keychain", "low")},
    ),
    Case(
        "a-capability-is-certain-now",
        {"capabilities": (capability("keychain", "unknown"),)},
        {"capabilities": (capability("keychain"),)},
        {("gained-keychain", "high")},
    ),
    Case(
        "a-capability-cannot-be-told-any-more",
        {"capabilities": (capability("keychain"),)},
        {"capabilities": (capability("keychain", "unknown"),)},
        {("changed-capability", "info")},
    ),
    Case("another-call", {}, calls("read", "write", "bpf"), {("gained-syscall", "low")}),
    Case("one-call-less", {}, calls("read"), {("lost-syscall", "info")}),
    Case("any-call-from-now-on", {}, INCOMPLETE, {("gained-syscall", "medium")}),
    Case(
        "a-socket-that-leaves-the-machine",
        calls("socket", arguments=LOCAL),
        calls("socket", arguments=ANYWHERE),
        {("gained-syscall", "low")},
    ),
    Case(
        "a-socket-of-which-nothing-is-known-any-more",
        calls("socket", arguments=LOCAL),
        calls("socket"),
        {("gained-syscall", "low")},
    ),
    Case(
        "a-socket-that-stays", calls("socket", arguments=ANYWHERE), calls("socket", arguments=LOCAL), set()
    ),
    Case("not-signed-any-more", signed(), UNSIGNED, {("lost-signature", "high")}),
    Case(
        "signed-by-nobody", signed(), {"signature": Signature(kind="adhoc", status="valid")},
        {("lost-signature", "high")},
    ),
    Case("does-not-hold", signed(), signed(status="invalid"), {("lost-signature", "high")}),
    Case("may-not-hold", signed(), signed(status="unknown"), {("lost-signature", "medium")}),
    Case(
        "a-broken-signature-is-worse-than-none", UNSIGNED, signed(status="invalid"),
        {("lost-signature", "high")},
    ),
    Case("signed-now", UNSIGNED, signed(), {("changed-signature", "info")}),
    Case("another-team", signed(), signed(team_id="ZZZZZ12345"), {("changed-signer", "high")}),
    Case("the-same-names-from-another-root", signed(), signed(chain="other"), {("changed-signer", "high")}),
    Case(
        "a-renewed-certificate", signed(), signed(signers=(Signer(common_name="New", organization="Example"),)),
        {("changed-signer", "high")},
    ),
    Case(
        "not-notarized", signed(), signed(notarization="unknown"), {("changed-signature", "medium")}
    ),
    Case(
        "launched-by-anybody", signed(constraints={"parent": "team X"}), signed(), {("changed-signature", "medium")}
    ),
    Case(
        "an-entitlement", {"entitlements": None}, {"entitlements": {"a": True, "no": False}},
        {("gained-entitlement", "medium")},
    ),
    Case(
        "a-wider-entitlement", {"entitlements": {"a": ["x"]}}, {"entitlements": {"a": ["x", "y"]}},
        {("gained-entitlement", "medium")},
    ),
    Case(
        "out-of-the-app-sandbox",
        {"entitlements": {"com.apple.security.app-sandbox": True}},
        {"entitlements": {"com.apple.security.app-sandbox": False}},
        {("lost-entitlement", "medium")},
    ),
    Case(
        "weaker", {"hardening": {"pie": "present", "relro": "present"}},
        {"hardening": {"pie": "absent", "relro": "partial"}},
        {("lost-hardening", "medium"), ("lost-hardening", "medium")},
    ),
    Case(
        "weaker-perhaps", {"hardening": {"pie": "present"}}, {"hardening": {"pie": "unknown"}},
        {("lost-hardening", "low")},
    ),
    Case(
        "known-now", {"hardening": {"pie": "unknown"}}, {"hardening": {"pie": "present"}},
        {("changed-hardening", "info")},
    ),
    Case(
        "does-not-apply-any-more", {"hardening": {"canary": "present"}}, {"hardening": {"canary": "not-applicable"}},
        set(),
    ),
    Case(
        "a-library", {"libraries": (Library(name="a", kind="needed"), Library(name="c", kind="weak"))},
        {"libraries": (Library(name="b", kind="needed"), Library(name="c", kind="load"))},
        {("gained-library", "low"), ("lost-library", "info")},
    ),
    Case(
        "a-library-spelt-otherwise", {"libraries": (Library(name="KERNEL32.dll", kind="needed"),), "system": "windows"},
        {"libraries": (Library(name="kernel32.DLL", kind="needed"),), "system": "windows"}, set(),
    ),
    Case(
        "a-library-where-names-know-case", {"libraries": (Library(name="liba.so", kind="needed"),)},
        {"libraries": (Library(name="libA.so", kind="needed"),)}, {("gained-library", "low"), ("lost-library", "info")},
    ),
    Case("a-folder-of-libraries", {"rpaths": ("a",)}, {"rpaths": ("a", "/tmp")}, {("gained-rpath", "medium")}),
    Case(
        "another-loader", {"interpreter": "/lib/ld.so"}, {"interpreter": "/tmp/ld.so"},
        {("changed-interpreter", "medium")},
    ),
    Case(
        "dependencies",
        {"build": Build(go=GoBuild(version="go1.1", dependencies=("a v1", "b v1")))},
        {"build": Build(go=GoBuild(version="go1.2", dependencies=("a v2", "c v1")))},
        {
            ("changed-dependency", "info"), ("changed-build", "info"),
        },
    ),
    Case(
        "two-versions-of-a-crate", {"build": Build(rust=RustBuild(crates=("a 1", "a 2")))},
        {"build": Build(rust=RustBuild(crates=("a 2",)))}, {("changed-dependency", "info")},
    ),
    Case(
        "a-later-system", {"build": Build(minimum_os="11.0", sdk="12")}, {"build": Build(minimum_os="12.0", sdk="12")},
        {("changed-build", "info")},
    ),
    Case("another-kind", {}, {"kind": "library"}, {("changed-format", "low")}),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_change_is_said_and_nothing_else(case: Case):
    assert found(case.old, case.new) == case.said


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_nothing_changed_between_a_report_and_itself(case: Case):
    for facts in (case.old, case.new):
        same = report(part(**facts), sha256="ab" * 32)
        assert compare(same, same).changes == ()
        assert compare(same, same).not_compared == ()
        assert difference(facts, facts).changes == ()


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_every_gain_can_be_asked_for(case: Case):
    for change in difference(case.old, case.new).changes:
        if change.kind == "gained" and change.id != "gained-hardening":
            assert change.id in IDS
            assert matches(change, change.id)


@pytest.mark.parametrize(
    ("old", "new", "wanted"),
    [
        (INCOMPLETE, calls("read", "write", "bpf"), "gained-syscall"),
        (INCOMPLETE, INCOMPLETE, "gained-syscall"),
        ({"syscalls": None}, {}, "gained-syscall"),
        ({}, {"syscalls": None}, "gained-syscall"),
        ({}, calls("read", "write", abi="linux-aarch64"), "gained-syscall"),
        (
            {"build": Build(go=GoBuild(version="unknown"))},
            {"build": Build(rust=RustBuild(crates=()))},
            "changed-dependency",
        ),
    ],
)
def test_what_one_side_does_not_know_is_neither_gained_nor_lost(old: dict, new: dict, wanted: str):
    compared = difference(old, new)
    assert not {change.id for change in compared.changes} & {wanted, wanted.replace("gained", "lost")}
    assert compared.not_compared
    assert undecided(compared, wanted), "what cannot be compared cannot be ruled out"
    assert not undecided(compared, "gained-network")


def test_a_list_that_is_cut_hides_nothing():
    def strings(*values: str, total: int) -> Strings:
        return Strings(urls=tuple(Text(value=value, offset=0) for value in values), urls_total=total)

    def urls(old: Strings, new: Strings) -> tuple[set[str], bool]:
        found = compare(report(part(), strings=old), report(part(), strings=new))
        return {each.id for each in found.changes}, undecided(found, "gained-string")

    a, b = strings("http://a", total=1), strings("http://a", "http://b", total=2)
    assert urls(a, b) == ({"gained-string"}, False)
    assert urls(b, a) == ({"lost-string"}, False)
    assert urls(strings("http://a", total=9), b) == ({"gained-string"}, False)
    assert urls(b, strings("http://a", total=9)) == (set(), True)


def test_a_second_finding_of_a_kind_is_a_finding():
    one = finding("writable-code", Severity.MEDIUM, detail="at 0x1000")
    two = finding("writable-code", Severity.MEDIUM, detail="at 0x2000")
    moved = finding("writable-code", Severity.MEDIUM, detail="at 0x3000")
    old = report(part(), findings=(one,))
    assert compare(old, report(part(), findings=(moved,))).changes == ()
    (change,) = compare(old, report(part(), findings=(two, one))).changes
    assert (change.id, change.severity, change.detail) == ("gained-finding", "medium", "at 0x2000")
    (lost,) = compare(old, report(part())).changes
    assert lost.id == "lost-finding"


def test_facts_that_are_compared_are_all_facts():
    """A new fact of a slice must be compared, or named here with the reason why not."""
    compared = {
        *("network", "capabilities", "signature", "entitlements", "hardening", "system", "kind", "linkage"),
        *("libraries", "rpaths", "interpreter", "syscalls", "build"),
    }
    reasons = {
        "language": "how it was made is no ability",
        "arch": "it is what slices are matched by",
        "entitlements_source": "how they were written, not what they are",
        "resolved": "it says more of the machine than of the program",
    }
    assert compared | reasons.keys() == set(SliceReport.__struct_fields__)
    assert not compared & reasons.keys()
    assert PLAIN.arch == "x86_64"
