"""What is said of an archive: findings from troubles, and the verdict that its worst member decides."""

from binsafe.containers import Trouble
from binsafe.model import Artifact, Finding, Member, Report, Severity, Verdict
from binsafe.model.report import LEVELS, Level

_SEVERITIES = {
    "archive-bomb": Severity.HIGH,
    **dict.fromkeys(("archive-entry", "appended-data", "install-hook"), Severity.MEDIUM),
}
_MAX_SHOWN = 20
_TITLES = {
    "appended-data": "There is data behind the end of the archive",
    "archive": "It is or holds an archive that is not read here",
    "archive-bomb": "It unpacks to far more than it holds",
    "archive-damaged": "Part of the archive is damaged",
    "archive-depth": "It has archives inside of archives that were not looked at",
    "archive-encrypted": "Part of the archive is encrypted",
    "archive-entry": "An entry of the archive is not what archives are made of",
    "install-hook": "Installing it runs commands, or has others run later",
    "member-too-large": "A file in the archive is too large to be looked at",
    "members-omitted": "Not all of the archive was looked at",
    "scripts": "It has scripts or byte code, which were not looked at",
}


class Some:
    """Texts of one kind, of which there may be very many: the first ones, and how many there were."""

    def __init__(self, shown: int = _MAX_SHOWN) -> None:
        self.count = 0
        self._shown = shown
        self._first: list[str] = []

    def add(self, text: str) -> None:
        """Count one more."""
        self.count += 1
        if self.count <= self._shown:
            self._first.append(text)

    def __str__(self) -> str:
        more = self.count - len(self._first)
        return "; ".join(self._first) + (f"; and {more:,} more" if more else "")


def finding(trouble: Trouble, severity: Severity | None = None) -> Finding:
    """A trouble as it is reported."""
    return Finding(
        id=trouble.finding,
        severity=severity or _SEVERITIES.get(trouble.finding, Severity.HIGH),
        title=_TITLES.get(trouble.finding, "It could not be analysed"),
        detail=trouble.detail,
    )


def broke_the_parser(artifact: Artifact) -> Report:
    """The report on a member that ended the process which looked at it."""
    what = Finding(
        id="parser-failed", severity=Severity.HIGH, title="Could not be analysed", detail="it broke the parser"
    )
    advice = "Do not run it: it could not be analysed, and a file that breaks parsers may have been made to."
    verdict = Verdict(level="unknown", advice=advice)
    return Report(artifact=artifact, format="unknown", analysed=False, findings=(what,), verdict=verdict)


def report_on(
    artifact: Artifact,
    members: tuple[Member, ...],
    omitted: int,
    findings: list[Finding],
    *,
    lost: bool,
    hint: str = "unpack it and inspect what is in it",
) -> Report:
    """Not analysed where any of it was not, or where there is nothing to analyse."""
    findings.sort(key=lambda each: (-each.severity.rank, each.id))
    analysed = bool(members) and not lost and all(member.report.analysed for member in members)
    if not members and not findings:
        detail = "There is no executable in it"
        hint = "scripts and byte code are not read here"
        findings = [Finding(id="no-executables", severity=Severity.LOW, title="Nothing to look at", detail=detail)]
    return Report(
        artifact=artifact,
        format="archive",
        analysed=analysed,
        findings=tuple(findings),
        verdict=_verdict(members, findings, hint=hint, analysed=analysed),
        members=members,
        members_omitted=omitted,
    )


def _verdict(members: tuple[Member, ...], findings: list[Finding], *, hint: str, analysed: bool) -> Verdict:
    """The worst member's, or worse where the archive itself is."""
    worst = min(members, key=lambda member: LEVELS.index(member.report.verdict.level), default=None)
    if worst is None or not analysed:
        if worst is not None and worst.report.verdict.level == "unknown":
            return Verdict(level="unknown", advice=f"Do not run it: {worst.path} could not be analysed.")
        said = findings[0].clause if findings else "it could not be analysed"
        return Verdict(level="unknown", advice=f"Do not run what is in it: {said}; {hint}.")
    level = worst.report.verdict.level
    own: Level = findings[0].severity.level if findings else "ok"
    if own == "danger" or (own == "caution" and level == "ok"):
        return Verdict(level=own, advice=f"Be careful when you unpack it: {findings[0].detail}")
    return Verdict(level=level, advice=f"The worst of its executables is {worst.path}: {worst.report.verdict.advice}")
