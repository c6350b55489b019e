"""The report as SARIF 2.1.0 (OASIS, errata 01), in the subset that code-scanning services take.

One run, one rule for each kind of finding, one result for each finding. Programs have no lines: a result points at the
file's first one, because services ask for a line, and the addresses of the evidence stand in ``relatedLocations``.
Findings that are only information would be noise in every pull request: they are results with ``verbose`` only.
"""

import hashlib
import json
from collections.abc import Iterable, Sequence
from typing import Any
from urllib.parse import quote

from binsafe._version import __version__
from binsafe.model import Evidence, Finding, Report, Severity
from binsafe.reports.escape import escape, shortened
from binsafe.reports.rules import rule

SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
_LEVELS = {
    Severity.INFO: "note",
    Severity.LOW: "note",
    Severity.MEDIUM: "warning",
    Severity.HIGH: "error",
    Severity.CRITICAL: "error",
}
_SCORES = {
    Severity.INFO: "0.0",
    Severity.LOW: "2.0",
    Severity.MEDIUM: "5.5",
    Severity.HIGH: "8.0",
    Severity.CRITICAL: "9.5",
}
"""``security-severity``: services call above 0 low, from 4 medium, from 7 high, from 9 critical."""
_ROOT = "ROOT"
_LONGEST = 1_000


def render(report: Report, *, verbose: int = 0, width: int = 100, base: str = "") -> str:
    """A log with one run; ASCII only. ``verbose`` adds findings that are only information; JSON has no ``width``."""
    del width
    return document([report], verbose=verbose, base=base)


def document(reports: Iterable[Report], *, verbose: int = 0, base: str = "") -> str:
    """One log for many reports, with one run. Paths below the folder ``base`` are given relative to it."""
    run = _Run(verbose, base)
    for report in reports:
        run.add(report)
    log = {"$schema": SCHEMA, "version": "2.1.0", "runs": [run.finished()]}
    return json.dumps(log, indent=2, ensure_ascii=True).replace("\x7f", "\\u007f") + "\n"


def relative_uri(path: str, base: str = "") -> dict[str, str]:
    """Where a file is: relative to ``base`` if it is below it, else to the root of the system.

    Always a relative reference (RFC 3986, 4.2): percent-encoded, so no colon, and no empty or dotted segment.
    """
    parts = [part for part in path.split("/") if part not in {"", "..", "."}] or ["unknown"]
    below = [part for part in base.split("/") if part]
    if base and parts[: len(below)] == below and len(parts) > len(below):
        return {"uri": _quoted("/".join(parts[len(below) :]))}
    return {"uri": _quoted("/".join(parts)), "uriBaseId": _ROOT}


def _quoted(path: str) -> str:
    return quote(path.encode("utf-8", "surrogatepass"), safe="/")


class _Run:
    """A run while reports are added to it."""

    def __init__(self, verbose: int, base: str) -> None:
        self._base = base
        self._lowest = 0 if verbose else Severity.LOW.rank
        self._rules: dict[str, Severity] = {}
        self._artifacts: list[dict[str, Any]] = []
        self._indices: dict[str, int] = {}
        self._results: list[dict[str, Any]] = []
        self._seen: set[str] = set()
        self._failed: list[dict[str, Any]] = []

    def add(self, report: Report) -> None:
        location = relative_uri(report.artifact.path, self._base)
        place = {**location, "index": self._listed(_artifact(report, location, None))}
        self._add_findings(report, place, ())

    def _listed(self, artifact: dict[str, Any]) -> int:
        """The artifact's index; one that is there already is not listed twice (3.14.15: a set)."""
        index = self._indices.setdefault(json.dumps(artifact), len(self._artifacts))
        if index == len(self._artifacts):
            self._artifacts.append(artifact)
        return index

    def _add_findings(self, report: Report, place: dict[str, Any], inside: tuple[str, ...]) -> None:
        if not report.analysed:
            text = _shown(f"{'/'.join((report.artifact.name, *inside))} could not be analysed")
            self._failed.append({"level": "error", "message": {"text": text}})
        for finding in report.findings:
            if finding.severity.rank >= self._lowest:
                self._results.append(self._result(report, finding, place, inside))
        for member in report.members:
            own = {"uri": "/" + relative_uri(member.path)["uri"]}
            self._listed(_artifact(member.report, own, place["index"]))
            self._add_findings(member.report, place, (*inside, member.path))

    def _result(
        self, report: Report, finding: Finding, place: dict[str, Any], inside: tuple[str, ...]
    ) -> dict[str, Any]:
        known = self._rules.setdefault(finding.id, finding.severity)
        self._rules[finding.id] = max(known, finding.severity, key=lambda severity: severity.rank)
        arch = report.slices[finding.slice].arch if finding.slice is not None and report.slices else ""
        where = " ".join((*inside, f"({arch})" if len(report.slices) > 1 and arch else "")).strip()
        text = f"{finding.title}{f' in {where}' if where else ''}: {finding.detail}"
        location: dict[str, Any] = {"physicalLocation": {"artifactLocation": place, "region": {"startLine": 1}}}
        if inside:
            names = [{"fullyQualifiedName": _shown("/".join(inside)), "kind": "member"}]
            location["logicalLocations"] = names
        print_ = self._fingerprint(finding, place["uri"], where)
        result = {
            "ruleId": finding.id,
            "ruleIndex": list(self._rules).index(finding.id),
            "level": _LEVELS[finding.severity],
            "message": {"text": _shown(text)},
            "locations": [location],
            "partialFingerprints": {"binsafeFinding/v1": print_, "primaryLocationLineHash": f"{print_[:16]}:1"},
            "properties": {"severity": finding.severity.value, "sha256": report.artifact.sha256},
        }
        related = [_related(each, place, number) for number, each in enumerate(finding.evidence)]
        return {**result, "relatedLocations": related} if related else result

    def _fingerprint(self, finding: Finding, uri: str, where: str) -> str:
        """The same for the same finding in the next build: neither addresses nor hashes are part of it."""
        number = 0
        while (print_ := _hash(finding.id, uri, where, finding.title, str(number))) in self._seen:
            number += 1
        self._seen.add(print_)
        return print_

    def finished(self) -> dict[str, Any]:
        driver = {
            "name": "binsafe",
            "semanticVersion": __version__,
            "shortDescription": {"text": "Inspects executables without running them."},
            "rules": [_rule(identifier, severity) for identifier, severity in self._rules.items()],
        }
        invocation: dict[str, Any] = {"executionSuccessful": not self._failed}
        if self._failed:
            invocation["toolExecutionNotifications"] = self._failed
        return {
            "tool": {"driver": driver},
            "automationDetails": {"id": "binsafe/"},
            "columnKind": "unicodeCodePoints",
            "originalUriBaseIds": {_ROOT: {"uri": "file:///"}},
            "invocations": [invocation],
            "artifacts": self._artifacts,
            "results": self._results,
        }


def _rule(identifier: str, severity: Severity) -> dict[str, Any]:
    known = rule(identifier)
    return {
        "id": identifier,
        "name": "".join(word.capitalize() for word in identifier.split("-")),
        "shortDescription": {"text": known.summary},
        "fullDescription": {"text": known.summary},
        "help": {"text": f"{known.summary} {known.help}", "markdown": f"{known.summary}\n\n{known.help}"},
        "defaultConfiguration": {"level": _LEVELS[severity]},
        "properties": {"tags": ["security"], "security-severity": _SCORES[severity], "precision": "high"},
    }


def _artifact(report: Report, location: dict[str, str], parent: int | None) -> dict[str, Any]:
    artifact = report.artifact
    found: dict[str, Any] = {"location": location, "length": artifact.size, "mimeType": "application/octet-stream"}
    if len(artifact.sha256) == hashlib.sha256().digest_size * 2:
        found["hashes"] = {"sha-256": artifact.sha256}
    return found if parent is None else {**found, "parentIndex": parent}


def _related(evidence: Evidence, place: dict[str, Any], number: int) -> dict[str, Any]:
    words = (evidence.address, evidence.symbol, f"({evidence.via})", evidence.detail)
    physical: dict[str, Any] = {"artifactLocation": place}
    if evidence.address is not None:
        physical["address"] = {"absoluteAddress": int(evidence.address, 16)}
    text = _shown(" ".join(word for word in words if word))
    return {"id": number, "physicalLocation": physical, "message": {"text": text}}


def _shown(text: str) -> str:
    """One line without control characters, links (SARIF 3.11.6) and placeholders (3.11.5)."""
    shown = escape(shortened(text, _LONGEST))
    return shown.replace("](", "] (").replace("{", "{{").replace("}", "}}")


def _hash(*parts: str) -> str:
    joined: Sequence[bytes] = [part.encode("utf-8", "surrogatepass") for part in parts]
    return hashlib.sha256(b"\0".join(joined)).hexdigest()
