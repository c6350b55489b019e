"""What the overview of a scan says of each artifact."""

from binsafe.model import Artifact, Finding, Member, Report, Severity, Verdict
from binsafe.scan.examining import Outcome
from binsafe.scan.overview import Tally, summary
from binsafe.scan.walking import Coverage, Skipped


def report(severity: Severity, title: str, *members: Member) -> Report:
    found = Finding(id="x", severity=severity, title=title, detail="")
    said = Verdict(level="danger", advice="The worst of them is bin/tool: do not run it.")
    artifact = Artifact(name="a", path="a", size=1, sha256="0")
    return Report(artifact=artifact, format="archive", analysed=True, findings=(found,), verdict=said, members=members)


def test_of_an_archive_the_overview_says_what_made_it_dangerous():
    """A wheel with a changed program was shown as dangerous because "it has scripts"."""
    inside = Member(path="bin/tool", report=report(Severity.HIGH, "The code was changed"))
    for whole, said in (
        (report(Severity.INFO, "It has scripts", inside), "The worst of them is bin/tool: do not run it."),
        (report(Severity.HIGH, "It is encrypted", inside), "It is encrypted"),
    ):
        tally = Tally()
        tally.add(Outcome(path="a", size=1, changed=0, report=whole))
        assert tally.rows == [(0, "a", "danger", said)]


def test_the_end_of_a_scan_names_the_worst_files_and_counts_those_that_it_does_not_name():
    tally, found = Tally(), Coverage()
    for name in "abcdef":
        outcome = Outcome(path=name, size=1, changed=0, report=report(Severity.HIGH, f"The code of {name} was changed"))
        tally.add(outcome)
    found.skipped.append(Skipped("g", "Permission denied"))
    lines = list(summary(tally, found, 1.0))
    assert lines[-6:] == [*(f"  {name}: The code of {name} was changed" for name in "abcde"), "  and 2 more"]
