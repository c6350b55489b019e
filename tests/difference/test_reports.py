"""Whole files: slices that come and go, members that move, and what could not be analysed."""

import msgspec
import pytest
from two_reports import archive, capability, finding, network, part, report

from binsafe.difference import IDS, compare, matches, undecided
from binsafe.model import Finding, Member, Report, Severity, Verdict
from binsafe.model.difference import Difference
from binsafe.reports import REPORTERS, fitted, without_spoilers

WANTS = part(network=network("connect"))
BROKEN = report(
    analysed=False,
    format="unknown",
    findings=(Finding(id="truncated", severity=Severity.HIGH, title="Broken", detail="cut short"),),
    verdict=Verdict(level="unknown", advice="Do not run it."),
)


def ids(old: Report, new: Report) -> set[tuple[str, str]]:
    """What changed and where; of members and slices that came and went the name."""
    moved = {"member", "slice"}
    return {(each.id, each.item if each.subject in moved else each.where) for each in compare(old, new).changes}


def fails(difference: Difference, wanted: str) -> bool:
    return any(matches(change, wanted) for change in difference.changes) or undecided(difference, wanted)


def test_a_slice_for_another_processor_hides_nothing():
    """Replace the slice, and nothing has the same processor any more."""
    moved = msgspec.structs.replace(WANTS, arch="arm64")
    assert {("gained-slice", "arm64"), ("lost-slice", "x86_64"), ("gained-network", "(arm64)")} <= ids(
        report(part()), report(moved)
    )
    assert ids(report(WANTS), report(WANTS, moved)) == {("gained-slice", "arm64")}


def test_two_slices_for_one_processor_are_both_compared():
    assert ("gained-network", "(x86_64)") in ids(report(part(), part()), report(part(), WANTS))


def test_findings_belong_to_their_slice():
    arm = part(arch="arm64")
    old = report(part(), arm, findings=(finding("x", Severity.LOW, slice=0),))
    new = report(part(), arm, findings=(finding("x", Severity.LOW, slice=1),))
    assert ids(old, new) == {("lost-finding", "(x86_64)"), ("gained-finding", "(arm64)")}
    swapped = report(arm, part(), findings=(finding("x", Severity.LOW, slice=1),))
    assert ids(old, swapped) == set()


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("tool", "tool"),
        ("tool-1.0__bin__tool", "tool-1.1__bin__tool"),
        ("tool-1.0-rc1__tool", "tool-20240102__tool"),
        ("usr__bin__tool", "opt__other__tool"),
        ("lib__libx.so.1.2", "lib__libx.so.1.3"),
    ],
)
def test_members_are_found_again(old: str, new: str):
    before, after = archive(**{old: report(part()), "x": report(part())}), archive(**{new: report(WANTS)})
    path = new.replace("__", "/")
    assert {("gained-network", f"{path} (x86_64)"), ("gained-connect", f"{path} (x86_64)")} <= ids(before, after)
    assert ("gained-member", path) not in ids(before, after)
    assert any(name == "changed-member" for name, _ in ids(before, after)) == (old != new)
    assert ("lost-member", "x") in ids(before, after)


def test_a_member_that_moved_is_the_same():
    here = report(part(), sha256="a" * 64)
    assert ids(archive(one=here), archive(deep__two=here)) == {("changed-member", "one -> deep/two")}


def test_names_that_could_be_two_others_are_new():
    old = archive(a__tool=report(part()), b__tool=report(part()))
    assert ("gained-member", "c/tool") in ids(old, archive(c__tool=report(part())))


def test_all_that_a_further_member_can_do_is_gained():
    new = report(part(network=network("listen"), capabilities=(capability("execute"),)))
    found = ids(archive(a=report(part())), archive(a=report(part()), evil=new))
    assert found == {("gained-member", "evil")} | {
        (name, "evil (x86_64)") for name in ("gained-network", "gained-listen", "gained-exec", "gained-syscall")
    }


def test_a_program_that_became_an_archive_is_compared():
    found = {identifier for identifier, _ in ids(report(part()), archive(a=report(WANTS)))}
    assert {"changed-format", "gained-member", "gained-network", "lost-slice"} <= found
    back = {identifier for identifier, _ in ids(archive(a=report(part())), report(WANTS))}
    assert "lost-member" in back


def test_members_of_members_have_their_whole_path():
    old, new = archive(app=archive(tool=report(part()))), archive(app=archive(tool=report(WANTS)))
    assert ("gained-network", "app/tool (x86_64)") in ids(old, new)


@pytest.mark.parametrize(("old", "new"), [(BROKEN, report(WANTS)), (report(WANTS), BROKEN), (BROKEN, BROKEN)])
def test_what_could_not_be_analysed_has_neither_gained_nor_lost(old: Report, new: Report):
    difference = compare(old, new)
    assert difference.analysed is False
    assert {each.subject for each in difference.changes} <= {"finding", "verdict", "format"}
    assert "could not be analysed" in difference.summary
    for name in IDS:
        assert fails(difference, name), name


def test_a_member_that_cannot_be_analysed_any_more_is_said():
    difference = compare(archive(a=report(WANTS)), archive(a=BROKEN))
    assert ("worse-verdict", "a") in {(each.id, each.where) for each in difference.changes}
    assert "new in a: could not be analysed: cut short" in difference.not_compared


def test_what_a_report_leaves_out_is_not_absent():
    whole = report(part())
    secret = compare(whole, without_spoilers(whole))
    assert secret.undecided == ("dependency", "string")
    assert not fails(secret, "gained-network")
    unknown = compare(whole, msgspec.structs.replace(whole, omitted=("something else",)))
    assert fails(unknown, "gained-network")
    fewer = compare(whole, msgspec.structs.replace(whole, members_omitted=2))
    assert fails(fewer, "gained-exec")


def test_what_an_output_leaves_out_is_recognised():
    """The notes that a report of bounded size has, as they are written."""
    kept: list[Report] = []

    def noted(each: Report) -> str:
        kept.append(each)
        return REPORTERS["json"](each)

    calls = msgspec.structs.replace(part().syscalls, sites={"read": tuple(f"0x{i:x}" for i in range(20_000))})
    fitted(noted, report(part(syscalls=calls)))
    assert kept[-1].omitted
    assert compare(report(part()), kept[-1]).not_compared == ()


def test_the_same_bytes_say_so():
    same = report(part(), sha256="ab" * 32)
    assert compare(same, same).summary == "No difference: the same bytes."
    assert "other versions of binsafe" in compare(same, report(WANTS, sha256="ab" * 32)).summary


def test_a_severity_is_any_change_that_severe():
    new = report(WANTS, findings=(finding("x", Severity.LOW),))
    difference = compare(report(part()), new)
    assert [bool(fails(difference, name)) for name in ("low", "medium", "high", "critical")] == [True] * 3 + [False]
    quiet = compare(report(part()), report(part(), findings=(finding("x", Severity.LOW),)))
    assert [bool(fails(quiet, name)) for name in ("low", "medium")] == [True, False]


def test_gained_network_is_any_new_way():
    difference = compare(report(WANTS), report(part(network=network("connect", "listen"))))
    assert fails(difference, "gained-network")
    assert fails(difference, "gained-listen")
    assert not fails(difference, "gained-connect")


def test_twenty_thousand_members_cost_no_more_than_they_are():
    """Names that only a version tells apart, all of them alike: no pass over all of them for each."""
    import time

    one = report()
    old = report(members=tuple(Member(path=f"a-{number}", report=one) for number in range(20_000)))
    new = report(members=tuple(Member(path=f"b-{number}", report=one) for number in range(20_000)))
    began = time.process_time()
    difference = compare(old, new)
    assert time.process_time() - began < 20
    assert len(difference.changes) == 40_000
