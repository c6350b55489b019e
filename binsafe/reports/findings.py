"""Findings as rows: those that say the same of several slices are one, unless all evidence is asked for."""

from binsafe.model import Evidence, Finding, Report
from binsafe.reports.rows import Item, Row, Section
from binsafe.reports.words import SEVERITY_ROLES

_SHOWN = 10
"""Rows, unless more is asked for."""


def findings_section(report: Report, verbose: int) -> Section:
    """The findings, the worst first."""
    groups = [(finding,) for finding in report.findings] if verbose else _alike(report.findings)
    shown = groups if verbose else groups[:_SHOWN]
    rows = [finding_row(group[0], _where(group) if len(report.slices) > 1 else "", verbose) for group in shown]
    left = len(report.findings) - sum(map(len, shown))
    if left:
        rows.append(Row("", f"and {left} more, none of them worse (-v)"))
    return Section("Findings", "findings", tuple(rows))


def finding_row(finding: Finding, where: str, verbose: int) -> Row:
    """A finding: its detail is the first item, its evidence the others; ``where`` names its slice."""
    items = tuple(evidence_item(evidence, verbose) for evidence in finding.evidence) if verbose else ()
    return Row(
        finding.severity.value,
        f"{finding.title}{where} [{finding.id}]",
        SEVERITY_ROLES.get(finding.severity, ""),
        items=(Item(finding.detail), *items),
    )


def evidence_item(evidence: Evidence, verbose: int) -> Item:
    """Where something was seen, and how; with the code there if it is asked for."""
    detail = f"({evidence.via}{': ' + evidence.detail if evidence.detail else ''})"
    text = " ".join(part for part in (evidence.address, evidence.symbol, detail) if part)
    return Item(text, evidence.instructions if verbose > 1 else ())


def _alike(findings: tuple[Finding, ...]) -> list[tuple[Finding, ...]]:
    """Findings that say the same of several slices, together; in the order of the first ones."""
    groups: dict[tuple[str, ...], list[Finding]] = {}
    for finding in findings:
        groups.setdefault((finding.id, finding.severity, finding.title, finding.detail), []).append(finding)
    return [tuple(group) for group in groups.values()]


def _where(group: tuple[Finding, ...]) -> str:
    slices = [str(finding.slice) for finding in group if finding.slice is not None]
    return f" (slice{'s' * (len(slices) > 1)} {', '.join(slices)})" if slices else ""
