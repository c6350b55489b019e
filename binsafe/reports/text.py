"""The report for people: one screen that says what it is, who signed it, what it can do and what to do about it."""

import textwrap
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from binsafe.model import Build, Evidence, Finding, Report, Signature, SliceReport, Syscalls
from binsafe.reports.escape import escape
from binsafe.reports.style import Style, plain

_LABEL = 14
_INDENT = 2
_NARROWEST = 40
_FEW = 6
_FORMATS = {"mach-o": "Mach-O", "elf": "ELF", "pe": "PE"}
_SYSTEMS = {"macos": "macOS", "ios": "iOS", "linux": "Linux", "windows": "Windows", "freebsd": "FreeBSD"}
_LANGUAGES = {"go": "Go", "rust": "Rust", "c": "C", "c++": "C++", "swift": "Swift", "objc": "Objective-C", "zig": "Zig"}
_SIGNATURES = {
    "none": "none: it is not signed",
    "linker": "by the linker only, which proves nothing about who made it",
    "adhoc": "ad hoc, which proves nothing about who made it",
    "developer-id": "Apple Developer ID",
    "apple": "Apple",
    "other": "a certificate that is not Apple's",
    "authenticode": "Authenticode",
}


class _Row(NamedTuple):
    """A label and what stands behind it; not escaped yet. ``role`` is the style of the text."""

    label: str
    text: str
    depth: int = 1
    role: str = ""


def render(report: Report, *, verbose: int = 0, width: int = 100, style: Style = plain) -> str:
    """The report as lines of at most ``width`` columns, words that are longer excepted.

    ``verbose`` 1 shows all evidence, libraries, dependencies and names of system calls; 2 also where each call is made.
    """
    rows = [*_head(report)]
    for number, part in enumerate(report.slices):
        rows += [_Row("", ""), *_slice(part, number if len(report.slices) > 1 else None, verbose)]
    if report.findings:
        rows += [_Row("", ""), _Row("", "Findings", 0, "title")]
        rows += [row for finding in report.findings for row in _finding(finding, len(report.slices) > 1, verbose)]
    rows += [_Row("", ""), _Row("", f"Verdict: {report.verdict.level}", 0, report.verdict.level)]
    rows += [_Row("", report.verdict.advice)]
    return "\n".join(line for row in rows for line in _lines(row, max(width, _NARROWEST), style)) + "\n"


def _lines(row: _Row, width: int, style: Style) -> Iterator[str]:
    """One row, wrapped; the only place where text from the file becomes output."""
    indent = " " * (_INDENT * row.depth)
    label = escape(row.label)
    lead = f"{label:<{_LABEL - 1}} " if label else ""
    hanging = indent + " " * len(lead)
    room = max(width - len(hanging), _NARROWEST // 2)
    wrapped = textwrap.wrap(escape(row.text), room, break_long_words=False, break_on_hyphens=False) or [""]
    for number, line in enumerate(wrapped):
        start = indent + style("label", lead) if number == 0 and lead else hanging
        yield (start + style(row.role, line)).rstrip()


def _head(report: Report) -> Iterator[_Row]:
    artifact = report.artifact
    kind = _FORMATS.get(report.format, report.format)
    many = f", universal: {len(report.slices)} slices" if len(report.slices) > 1 else ""
    yield _Row("", f"{artifact.name}: {kind}{many}, {artifact.size:,} bytes", 0, "title")
    yield _Row("path", artifact.path)
    yield _Row("sha256", artifact.sha256)
    for key, value in sorted((artifact.quarantine or {}).items()):
        yield _Row("quarantine", f"{key}: {value}")


def _slice(part: SliceReport, number: int | None, verbose: int) -> Iterator[_Row]:
    system = _SYSTEMS.get(part.system, part.system)
    linkage = f", linked {'dynamically' if part.linkage == 'dynamic' else 'statically'}" if part.linkage else ""
    name = "What it is" if number is None else f"Slice {number}"
    yield _Row("", f"{name}: {part.kind} for {system} on {part.arch}{linkage}", 0, "title")
    yield _Row("language", _language(part))
    yield from _build(part.build, verbose)
    yield from _signature(part.signature, verbose)
    if part.entitlements is not None:
        yield from _entitlements(part.entitlements, part.entitlements_source)
    names = [library.name if library.kind in {"load", "needed"} else f"{library.name} ({library.kind})"
             for library in part.libraries]  # fmt: skip
    yield _Row("libraries", _some(names, verbose) if names else "none")
    if part.rpaths:
        yield _Row("rpaths", _some(part.rpaths, verbose))
    yield from _network(part, verbose)
    yield from _syscalls(part.syscalls, verbose)
    yield from _hardening(part.hardening)


def _language(part: SliceReport) -> str:
    language = _LANGUAGES.get(part.language, part.language)
    go = part.build.go
    if go is None:
        return language
    version = f"version {go.version.removeprefix('go')}" if go.version != "unknown" else "version unknown"
    module = f", module {go.module}" if go.module else ""
    return f"{language} {version}{module}"


def _build(build: Build, verbose: int) -> Iterator[_Row]:
    if build.go is not None and build.go.version != "unknown":
        yield _Row("dependencies", _some(build.go.dependencies, verbose) if build.go.dependencies else "none recorded")
        if verbose > 1:
            for key, value in sorted(build.go.settings.items()):
                yield _Row("", f"{key}={value}", 2, "dim")
    if build.rust is not None:
        yield _Row("crates", _some(build.rust.crates, verbose))
    if build.minimum_os or build.sdk:
        yield _Row("built for", f"{build.minimum_os or 'unknown'} or later, SDK {build.sdk or 'unknown'}")
    if verbose:
        fields = (("toolchain", build.toolchain), ("uuid", build.uuid), ("build id", build.build_id))
        yield from (_Row(label, value) for label, value in fields if value)


def _signature(signature: Signature, verbose: int) -> Iterator[_Row]:
    yield _Row("signature", _SIGNATURES[signature.kind] + _held(signature.status))
    names = (("identifier", signature.identifier), ("team", signature.team_id), ("cdhash", signature.cdhash))
    known = [f"{name} {value}" for name, value in names if value]
    if known:
        yield _Row("", ", ".join(known), 2, "dim")
    for signer in signature.signers if verbose else signature.signers[:1]:
        who = ", ".join(name for name in (signer.common_name, signer.organization) if name) or "a nameless certificate"
        yield _Row("signer" if signer is signature.signers[0] else "", who + _until(signer.not_after))
    if signature.chain is not None:
        yield _Row("chain", signature.chain)
    if verbose:
        flags = ", ".join(signature.flags)
        fields = (("flags", flags), ("signed at", signature.signed_at), ("requirements", signature.requirements))
        yield from (_Row(label, value) for label, value in fields if value)


def _held(status: str) -> str:
    said = {
        "valid": "; it holds: these are the bytes that were signed",
        "invalid": "; it does NOT hold: these are not the bytes that were signed",
        "unknown": " is what it claims; not all of that could be verified",
    }
    return said.get(status, "")


def _until(not_after: str | None) -> str:
    return f" (certificate until {not_after})" if not_after else ""


def _entitlements(entitlements: dict[str, Any], source: str | None) -> Iterator[_Row]:
    label = f"{len(entitlements)}, read from {source or 'an unknown form'}"
    yield _Row("entitlements", label)
    yield from (_Row("", f"{name} = {value}", 2) for name, value in sorted(entitlements.items()))


def _network(part: SliceReport, verbose: int) -> Iterator[_Row]:
    known = part.syscalls is not None and part.syscalls.complete
    proof = "none of its system calls is for it" if known else "it imports nothing for it"
    can = ", ".join(part.network.directions or tuple(operation.name for operation in part.network.operations))
    said = {"yes": f"yes: it can {can}", "no": f"no: {proof}", "unknown": "cannot be told"}
    yield _Row("network", said[part.network.verdict])
    for operation in part.network.operations:
        shown = operation.evidence if verbose else operation.evidence[:1]
        for index, evidence in enumerate(shown):
            more = operation.evidence_total - len(shown)
            tail = f" (and {more} more)" if more > 0 and index == len(shown) - 1 else ""
            yield _Row(operation.name if index == 0 else " ", _evidence(evidence) + tail, 2)


def _evidence(evidence: Evidence) -> str:
    detail = f"({evidence.via}{': ' + evidence.detail if evidence.detail else ''})"
    return " ".join(part for part in (evidence.address, evidence.symbol, detail) if part)


def _syscalls(calls: Syscalls | None, verbose: int) -> Iterator[_Row]:
    if calls is None:
        yield _Row("system calls", "not analysed")
        return
    complete = "complete" if calls.complete else "NOT complete"
    yield _Row("system calls", f"{len(calls.required)} ({calls.abi}), {complete}")
    if verbose == 1:
        yield _Row("", ", ".join(calls.required), 2)
    if verbose > 1:
        for name in calls.required:
            rarely = () if name in calls.likely else ("(on fatal errors only)",)
            yield _Row(name, " ".join((", ".join(calls.sites.get(name, ())), *rarely)).strip(), 2)
        yield from (_Row("unresolved", f"{place.address}: {place.reason}", 2) for place in calls.unresolved)
    if verbose:
        yield from (_Row("loads", name, 2) for name in calls.open_set)


def _hardening(hardening: Mapping[str, str]) -> Iterator[_Row]:
    by_state: dict[str, list[str]] = defaultdict(list)
    for name, state in hardening.items():
        by_state[state].append(name)
    order = ("present", "partial", "absent", "unknown", "not-applicable")
    yield _Row("hardening", "; ".join(f"{state}: {', '.join(by_state[state])}" for state in order if by_state[state]))


def _finding(finding: Finding, many: bool, verbose: int) -> Iterator[_Row]:
    where = f" (slice {finding.slice})" if many and finding.slice is not None else ""
    role = {"medium": "caution", "high": "danger", "critical": "danger"}.get(finding.severity, "")
    yield _Row(finding.severity, f"{finding.title}{where} [{finding.id}]", 1, role)
    yield _Row(" ", finding.detail, 1)
    if verbose:
        yield from (_Row(" ", _evidence(evidence), 1, "dim") for evidence in finding.evidence)


def _some(names: Iterable[str], verbose: int) -> str:
    """All names, or how many there are and the first few."""
    names = list(names)
    shown = names if verbose else names[:_FEW]
    more = f", and {len(names) - len(shown)} more (-v)" if len(shown) < len(names) else ""
    return f"{len(names)}: {', '.join(shown)}{more}"
