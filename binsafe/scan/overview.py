"""What a person wants to see at the end of a scan: how many of what, the worst first."""

from collections import Counter
from collections.abc import Iterator

import msgspec

from binsafe.model import Report, Severity
from binsafe.reports.escape import escape
from binsafe.reports.page import element, page
from binsafe.scan.examining import Outcome
from binsafe.scan.walking import Coverage

_ORDER = ("danger", "unknown", "caution", "ok")
"""Of levels in what is shown, danger before what is not known (`LEVELS`): of that a disk may have thousands."""
_NOT_TO_RUN = _ORDER[:2]
_MOST_NAMED = 5
"""On a terminal, where everything else is in the output."""
_MOST_ROWS = 1_000
_MOST_SKIPPED = 200


class Tally:
    """Counts and the rows of the overview, taken from outcomes one by one."""

    def __init__(self) -> None:
        self.levels: Counter[str] = Counter()
        self.worst = 0
        self.duplicates = 0
        self.problems: list[tuple[str, str]] = []
        self.rows: list[tuple[int, str, str, str]] = []

    def add(self, outcome: Outcome) -> None:
        """Count one outcome."""
        if outcome.duplicate_of is not None:
            self.duplicates += 1
        elif outcome.report is None:
            self.problems.append((outcome.path, outcome.problem or "not analysed"))
        else:
            self._report(outcome.path, outcome.report)

    @property
    def analysed(self) -> bool:
        """Whether all was."""
        return not self.problems and not self.levels["unknown"]

    def _report(self, path: str, report: Report) -> None:
        level = report.verdict.level
        self.levels[level] += 1
        self.worst = max(self.worst, report.worst)
        own = max(report.findings, key=lambda finding: finding.severity.rank, default=None)
        said = own.title if own is not None and own.severity.rank == report.worst else report.verdict.advice
        self.rows.append((_ORDER.index(level), path, level, said))
        if len(self.rows) > 2 * _MOST_ROWS:
            self.rows = sorted(self.rows)[:_MOST_ROWS]


def summary(tally: Tally, coverage: Coverage, seconds: float) -> Iterator[str]:
    """Lines for the end of a scan on a terminal."""
    artifacts = sum(tally.levels.values())
    rate = artifacts / seconds if seconds else 0.0
    yield f"{artifacts:,} artifact{'s' * (artifacts != 1)} in {seconds:.1f} s ({rate:.1f} a second)"
    counts = (
        *((level, tally.levels[level]) for level in _ORDER),
        ("the same bytes again", tally.duplicates),
        ("further names of a file", coverage.links),
        ("other files", coverage.others),
        ("file systems of the kernel, left out", coverage.kernels),
        ("not analysed", len(tally.problems)),
        ("not readable", len(coverage.skipped)),
    )
    yield from (f"  {what:<40}{count:>8,}" for what, count in counts if count)
    worst = [(path, said) for _, path, level, said in sorted(tally.rows) if level in _NOT_TO_RUN]
    named = [*worst, *tally.problems, *coverage.skipped][:_MOST_NAMED]
    for path, reason in named:
        yield escape(f"  {path}: {reason}")
    total = sum(tally.levels[level] for level in _NOT_TO_RUN) + len(tally.problems) + len(coverage.skipped)
    if total > len(named):
        yield f"  and {total - len(named):,} more"


def html(tally: Tally, coverage: Coverage) -> str:
    """One page: the counts, then a table of the artifacts, the worst first."""
    return page("Scan - binsafe", _body(tally, coverage))


def _body(tally: Tally, coverage: Coverage) -> Iterator[str]:
    total = sum(tally.levels.values())
    yield "<header><h1>Scan</h1>"
    yield element("p", f"{total:,} artifacts, {tally.duplicates:,} of them with the same bytes left out", "under")
    for level in _ORDER:
        if tally.levels[level]:
            yield f'<span class="badge {level}">{tally.levels[level]:,} {level}</span>'
    yield '</header><main><section><h2>Artifacts</h2><div class="card"><table>'
    yield "<tr><th>verdict</th><th>file</th><th>why</th></tr>"
    for _, path, level, said in sorted(tally.rows)[:_MOST_ROWS]:
        cell = f'<td><span class="badge {level}">{level}</span></td>'
        yield f"<tr>{cell}{element('td', path)}{element('td', said)}</tr>"
    yield "</table></div>"
    if total > _MOST_ROWS:
        yield element("p", f"and {total - _MOST_ROWS:,} more, none of them worse", "under")
    yield "</section>"
    skipped = [*tally.problems, *coverage.skipped]
    if skipped:
        yield f'<section><h2>Not looked at ({len(skipped)})</h2><div class="card"><dl>'
        for path, reason in skipped[:_MOST_SKIPPED]:
            yield element("dt", path) + element("dd", reason)
        yield "</dl></div></section>"
    yield "</main>"


def for_sarif(report: Report) -> Report:
    """The report with what SARIF shows of it, so that thousands can be kept."""
    findings = tuple(
        msgspec.structs.replace(finding, evidence=finding.evidence[:1])
        for finding in report.findings
        if finding.severity.rank >= Severity.LOW.rank
    )
    members = tuple(msgspec.structs.replace(each, report=for_sarif(each.report)) for each in report.members)
    return msgspec.structs.replace(report, findings=findings, members=members, strings=type(report.strings)())
