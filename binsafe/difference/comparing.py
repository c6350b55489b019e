"""Two reports -> their difference: parts are paired, and each pair is compared fact by fact."""

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence

from binsafe.difference import abilities, makeup, pairing, trust
from binsafe.difference.changes import Changes
from binsafe.difference.reasons import ANYTHING
from binsafe.difference.summary import summary
from binsafe.model import Finding, Report, Severity, SliceReport
from binsafe.model.difference import Change, Difference
from binsafe.model.report import LEVELS

COMPARISONS: tuple[Callable[[Changes, SliceReport, SliceReport, str], None], ...] = (
    abilities.network,
    abilities.capabilities,
    trust.signature,
    trust.entitlements,
    trust.hardening,
    makeup.identity,
    makeup.libraries,
    abilities.syscalls,
    makeup.build,
)
"""What is compared of two slices; a further comparison is one function and one line here."""
_MEDIUM, _INFO = Severity.MEDIUM, Severity.INFO
_LEFT_OUT: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("instructions", ()),
    ("places of system calls", ()),
    ("most strings", ()),  # the totals stay, and say so
    ("members beyond", ()),  # they are counted
    ("strings", ("string", "dependency")),
)
"""How notes in a report's ``omitted`` begin -> what cannot be compared for it. Any other note: anything."""


def compare(old: Report, new: Report) -> Difference:
    """All changes from ``old`` to ``new``, the most severe first."""
    comparison = _compared(old, new, "")
    order = sorted(comparison.changes, key=_order)
    return Difference(
        old=old.artifact,
        new=new.artifact,
        same_bytes=_same_bytes(old, new),
        analysed=old.analysed and new.analysed,
        summary=summary(old, new, order, same_bytes=_same_bytes(old, new), doubts=bool(comparison.not_compared)),
        changes=tuple(order),
        not_compared=tuple(dict.fromkeys(comparison.not_compared)),
        undecided=tuple(sorted(comparison.undecided)),
    )


def _order(change: Change) -> tuple[int, bool, str, str, str]:
    """The most severe first, and of those the network."""
    return -change.severity.rank, change.subject != "network", change.where, change.id, change.item


def _same_bytes(old: Report, new: Report) -> bool:
    return old.artifact.sha256 == new.artifact.sha256 != "unknown"


def _compared(old: Report, new: Report, where: str) -> Changes:
    """Two reports on the same thing. What cannot be known of it is the same for both where the bytes are the same."""
    changes = Changes()
    _reports(changes, old, new, where)
    if _same_bytes(old, new):
        changes.not_compared.clear()
        changes.undecided.clear()
    return changes


def _reports(changes: Changes, old: Report, new: Report, where: str) -> None:
    """Nothing is said of the abilities of what could not be analysed."""
    for side, report in (("old", old), ("new", new)):
        _left_out(changes, report, f"{side} in {where}" if where else side)
    if LEVELS.index(new.verdict.level) < LEVELS.index(old.verdict.level):
        said = f"{old.verdict.level} -> {new.verdict.level}"
        changes.add("worse-verdict", _MEDIUM, "verdict", said, where, detail=new.verdict.advice)
    if old.format != new.format:
        said = f"{old.format} -> {new.format}"
        changes.add("changed-format", _MEDIUM, "format", said, where)
    makeup.beside(changes, old.artifact, new.artifact, where)
    _findings(changes, _by_slice(old)[None], _by_slice(new)[None], where)
    if _read(old) and _read(new):
        _parts(changes, old, new, where)
        makeup.strings(changes, old.strings, new.strings, where)
        _members(changes, old, new, where)


def _left_out(changes: Changes, report: Report, side: str) -> None:
    for note in report.omitted:
        about = next((about for begin, about in _LEFT_OUT if note.startswith(begin)), (ANYTHING,))
        if about:
            changes.unknown(f"{side}: {note}", *about)
    if not _read(report):
        why = next((finding.detail for finding in report.findings), "the reason is not known")
        changes.unknown(f"{side}: could not be analysed: {why}", ANYTHING)
    if report.members_omitted:
        changes.unknown(f"{side}: {report.members_omitted} members are not in the report", ANYTHING)


def _members(changes: Changes, old: Report, new: Report, where: str) -> None:
    """Those that stayed are compared; all that a further one can do is gained."""
    pairs = pairing.members(old.members, new.members)
    for index in pairs.removed:
        changes.add("lost-member", _INFO, "member", old.members[index].path, where)
    for index in pairs.added:
        changes.add("gained-member", _MEDIUM, "member", new.members[index].path, where)
    both = [(old.members[before], new.members[after]) for before, after in pairs.both]
    for before, after in both:
        if before.path != after.path:
            said = f"{before.path} -> {after.path}"
            changes.add("changed-member", _INFO, "member", said, where)
    couples = [(before.report, after) for before, after in both]
    couples += [(pairing.nothing_like(new.members[index].report), new.members[index]) for index in pairs.added]
    for report, member in couples:
        changes.include(_compared(report, member.report, f"{where}/{member.path}" if where else member.path))


def _parts(changes: Changes, old: Report, new: Report, where: str) -> None:
    """By processor; a further slice is compared with the one that is most like it, or with nothing at all."""
    pairs = pairing.slices(old.slices, new.slices)
    for index in pairs.removed:
        changes.add("lost-slice", _INFO, "slice", old.slices[index].arch, where)
    had, has = _by_slice(old), _by_slice(new)
    couples: list[tuple[int | None, int]] = [*pairs.both]
    for index in pairs.added:
        like = pairing.nearest(new.slices[index], old.slices)
        couples.append((like, index))
        if like is not None:
            detail = f"compared with {old.slices[like].arch}"
            changes.add("gained-slice", _MEDIUM, "slice", new.slices[index].arch, where, detail=detail)
    for before, after in couples:
        part = new.slices[after]
        other = pairing.without_abilities(part) if before is None else old.slices[before]
        at = f"{where} ({part.arch})".strip()
        for comparison in COMPARISONS:
            comparison(changes, other, part, at)
        _findings(changes, () if before is None else had[before], has[after], at)


def _findings(changes: Changes, old: Sequence[Finding], new: Sequence[Finding], where: str) -> None:
    """By id, title and severity: addresses in a detail are no difference, and a second one is one more."""
    had = Counter(map(_kind, old))
    details = {finding.detail for finding in old}
    for finding in sorted(new, key=lambda each: each.detail not in details):  # those with the same words first
        if had[_kind(finding)]:
            had[_kind(finding)] -= 1
            continue
        said, detail = f"{finding.title} [{finding.id}]", finding.detail
        places = finding.evidence
        changes.add("gained-finding", finding.severity, "finding", said, where, detail=detail, evidence=places)
    for (identifier, title, _), count in had.items():
        for _ in range(count):
            changes.add("lost-finding", _INFO, "finding", f"{title} [{identifier}]", where)


def _read(report: Report) -> bool:
    return report.analysed or bool(report.slices or report.members)


def _by_slice(report: Report) -> Mapping[int | None, list[Finding]]:
    """The findings of each slice, and under None those of the file as a whole."""
    found: dict[int | None, list[Finding]] = defaultdict(list)
    for finding in report.findings:
        found[finding.slice].append(finding)
    return found


def _kind(finding: Finding) -> tuple[str, str, Severity]:
    return finding.id, finding.title, finding.severity
