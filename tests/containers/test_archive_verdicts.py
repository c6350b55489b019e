"""The verdict on an archive: its worst member's, or worse where what is wrong is the archive itself."""

import pytest

from binsafe.archives.reporting import finding, report_on
from binsafe.containers import Trouble
from binsafe.model import Artifact, Member, Report, Severity, Verdict

ARTIFACT = Artifact(name="pack", path="/x/pack", size=1, sha256="0" * 64)
OUTSIDE = Trouble("archive-entry", "'../x' would be written outside of the folder", lost=False)
BOMB = Trouble("archive-bomb", "it unpacks to a gigabyte", lost=False)


def member(level: str, *, analysed: bool = True) -> Member:
    verdict = Verdict(level=level, advice=f"advice on {level}")
    return Member(path=level, report=Report(artifact=ARTIFACT, format="elf", analysed=analysed, verdict=verdict))


def report(*levels: str, troubles: tuple[Trouble, ...] = (), lost: bool = False) -> Report:
    return report_on(ARTIFACT, tuple(map(member, levels)), 0, list(map(finding, troubles)), lost=lost)


@pytest.mark.parametrize(
    ("levels", "troubles", "level", "advice"),
    [
        (("ok", "caution", "ok"), (), "caution", "caution: advice on caution"),
        (("danger", "caution"), (), "danger", "danger: advice on danger"),
        (("ok",), (OUTSIDE,), "caution", "'../x'"),
        (("caution",), (OUTSIDE,), "caution", "advice on caution"),
        (("danger",), (OUTSIDE,), "danger", "advice on danger"),
        (("ok",), (BOMB,), "danger", "a gigabyte"),
        (("danger",), (OUTSIDE, BOMB), "danger", "a gigabyte"),
    ],
)
def test_the_worst_of_members_and_archive_decides(
    levels: tuple[str, ...], troubles: tuple[Trouble, ...], level: str, advice: str
):
    told = report(*levels, troubles=troubles)
    assert told.analysed
    assert told.verdict.level == level
    assert advice in told.verdict.advice


def test_scripts_alone_worry_nobody():
    told = report_on(ARTIFACT, (member("ok"),), 0, [finding(Trouble("scripts", "1: x"), Severity.INFO)], lost=False)
    assert told.verdict.level == "ok"


@pytest.mark.parametrize("levels", [(), ("ok",), ("ok", "danger")])
def test_what_was_lost_leaves_it_unknown(levels: tuple[str, ...]):
    told = report(*levels, troubles=(BOMB,), lost=True)
    assert (told.analysed, told.verdict.level) == (False, "unknown")
    assert "it unpacks to far more than it holds" in told.verdict.advice
    assert [each.id for each in told.findings] == ["archive-bomb"]


def test_a_member_that_could_not_be_analysed_is_named():
    members = (member("ok"), member("unknown", analysed=False))
    told = report_on(ARTIFACT, members, 0, [], lost=False)
    assert (told.analysed, told.verdict.level) == (False, "unknown")
    assert told.verdict.advice == "Do not run it: unknown could not be analysed."


def test_nothing_to_look_at_is_said():
    told = report()
    assert (told.analysed, [each.id for each in told.findings]) == (False, ["no-executables"])
