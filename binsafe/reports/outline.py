"""Report -> sections of labelled rows: what text, Markdown and HTML show, before it is known how it is shown.

Nothing here is escaped: each output does that where it writes, in one place.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from binsafe.model import (
    ArgumentValues,
    Build,
    Capability,
    Evidence,
    Member,
    Network,
    Report,
    ResolvedLibrary,
    Signature,
    Signer,
    SliceReport,
    Strings,
    Syscalls,
    Text,
)
from binsafe.model.report import LEVELS
from binsafe.reports.findings import evidence_item, findings_section
from binsafe.reports.rows import Item, Row, Section
from binsafe.reports.words import CAPABILITIES, CERTIFICATES, FORMATS, HELD, LANGUAGES, SIGNATURES, SYSTEMS

_FEW = 6
"""Names shown of a list, unless more is asked for."""
_MEMBERS = 10


def outline(report: Report, *, verbose: int) -> Iterator[Section]:
    """The sections of a report, but for its verdict.

    ``verbose`` 1 shows all evidence, libraries, dependencies, strings and names of system calls; 2 also where each call
    is made, and the code around each piece of evidence where the report has it.
    """
    yield _head(report)
    for number, part in enumerate(report.slices):
        yield _slice(part, number if len(report.slices) > 1 else None, verbose)
    strings = tuple(_strings(report.strings, verbose))
    if strings:
        yield Section("Strings worth seeing", "strings", strings)
    if report.members or report.members_omitted:
        yield _members(report, verbose)
    if report.findings:
        yield findings_section(report, verbose)


def shown_members(report: Report, verbose: int, outer: str = "") -> Iterator[tuple[str, Report]]:
    """Path and report of each member whose own facts are shown; if not all are wanted, a program that is alone."""
    if verbose > 1 or (len(report.members) == 1 and not report.members_omitted):
        for member in report.members:
            yield outer + member.path, member.report
            yield from shown_members(member.report, verbose, f"{outer}{member.path}/")


def _head(report: Report) -> Section:
    artifact = report.artifact
    kind = FORMATS.get(report.format, report.format)
    many = f", universal: {len(report.slices)} slices" if len(report.slices) > 1 else ""
    rows = [Row("path", artifact.path), Row("sha256", artifact.sha256)]
    rows += [Row("quarantine", f"{key}: {value}") for key, value in sorted((artifact.quarantine or {}).items())]
    rows += [Row("runs as", f"{artifact.set_id}, whoever starts it", "caution")] if artifact.set_id else []
    rows += [Row("attribute", f"{name}: {said}") for name, said in sorted((artifact.attributes or {}).items())]
    rows += [Row("left out", what, "caution") for what in report.omitted]
    return Section(f"{artifact.name}: {kind}{many}, {artifact.size:,} bytes", "head", tuple(rows))


def _slice(part: SliceReport, number: int | None, verbose: int) -> Section:
    system = SYSTEMS.get(part.system, part.system)
    linkage = f", linked {'dynamically' if part.linkage == 'dynamic' else 'statically'}" if part.linkage else ""
    name = "What it is" if number is None else f"Slice {number}"
    rows = [Row("language", _language(part)), *_build(part.build, verbose), *_signature(part.signature, verbose)]
    if part.entitlements is not None:
        rows.append(_entitlements(part.entitlements, part.entitlements_source))
    names = [library.name if library.kind in {"load", "needed"} else f"{library.name} ({library.kind})"
             for library in part.libraries]  # fmt: skip
    rows.append(Row("libraries", _some(names, verbose) if names else "none"))
    rows += [Row("loader", part.interpreter)] if part.interpreter and verbose else []
    rows += _resolved(part.resolved, verbose)
    rows += [Row("rpaths", _some(part.rpaths, verbose))] if part.rpaths else []
    rows.append(_network(part, part.network, verbose))
    rows += _capabilities(part.capabilities, verbose)
    rows.append(_syscalls(part.syscalls, verbose))
    rows.append(_hardening(part.hardening))
    return Section(f"{name}: {part.kind} for {system} on {part.arch}{linkage}", "slice", tuple(rows))


def _language(part: SliceReport) -> str:
    language = LANGUAGES.get(part.language, part.language)
    go = part.build.go
    if go is None:
        return language
    version = f"version {go.version.removeprefix('go')}" if go.version != "unknown" else "version unknown"
    module = f", module {go.module}" if go.module else ""
    return f"{language} {version}{module}"


def _build(build: Build, verbose: int) -> Iterator[Row]:
    if build.go is not None and build.go.version != "unknown":
        settings = [Row("", f"{key}={value}", "dim") for key, value in sorted(build.go.settings.items())]
        known = _some(build.go.dependencies, verbose) if build.go.dependencies else "none recorded"
        yield Row("dependencies", known, rows=tuple(settings) if verbose > 1 else ())
    if build.rust is not None:
        yield Row("crates", _some(build.rust.crates, verbose))
    if build.minimum_os or build.sdk:
        yield Row("built for", f"{build.minimum_os or 'unknown'} or later, SDK {build.sdk or 'unknown'}")
    if verbose:
        fields = (("toolchain", build.toolchain), ("uuid", build.uuid), ("build id", build.build_id))
        yield from (Row(label, value) for label, value in fields if value)


def _signature(signature: Signature, verbose: int) -> Iterator[Row]:
    names = (("identifier", signature.identifier), ("team", signature.team_id), ("cdhash", signature.cdhash))
    known = [f"{name} {value}" for name, value in names if value]
    more = (Row("", ", ".join(known), "dim"),) if known else ()
    good = "ok" if signature.signers else ""  # what holds and names nobody proves nothing
    role = {"valid": good, "invalid": "danger"}.get(signature.status, "")
    kind = CERTIFICATES.get(signature.certificate_type or "") if signature.kind == "other" else None
    yield Row("signature", (kind or SIGNATURES[signature.kind]) + HELD.get(signature.status, ""), role, rows=more)
    if signature.signers:
        who, *issuers = map(_signer, signature.signers)
        yield Row("signer", who, rows=tuple(Row("", issuer) for issuer in issuers) if verbose else ())
    if signature.chain is not None:
        yield Row("chain", signature.chain)
    if verbose:
        apples = signature.kind != "authenticode" and signature.notarization != "none"
        fields = (
            ("flags", ", ".join(signature.flags)),
            ("exec flags", ", ".join(signature.exec_flags)),
            ("certificate", signature.certificate_type),
            ("signed at", signature.signed_at),
            ("requirements", signature.requirements),
            *(("launch only", f"{on}: {value or 'unknown'}") for on, value in (signature.constraints or {}).items()),
            ("notarization", signature.notarization if apples else None),
            ("not verified", "; ".join(signature.unverified)),
        )
        yield from (Row(label, value) for label, value in fields if value)


def _signer(signer: Signer) -> str:
    names = dict.fromkeys(name for name in (signer.common_name, signer.organization) if name)
    who = ", ".join(names) or "a nameless certificate"
    return who + (f" (certificate until {signer.not_after})" if signer.not_after else "")


def _entitlements(entitlements: dict[str, Any], source: str | None) -> Row:
    rows = tuple(Row("", f"{name} = {value}") for name, value in sorted(entitlements.items()))
    return Row("entitlements", f"{len(entitlements)}, read from {source or 'an unknown form'}", rows=rows)


def _resolved(libraries: tuple[ResolvedLibrary, ...], verbose: int) -> Iterator[Row]:
    """What the loader would find here: a line when all is there, the missing ones always."""
    if not libraries:
        return
    missing = [library for library in libraries if library.path is None]
    rows = [Row("missing", f"{library.name}, asked for by {library.needed_by}", "caution") for library in missing]
    if verbose:
        rows += [Row("", f"{library.name} -> {library.path}") for library in libraries if library.path is not None]
    yield Row("found here", f"{len(libraries) - len(missing)} of {len(libraries)} libraries", rows=tuple(rows))


def _network(part: SliceReport, network: Network, verbose: int) -> Row:
    known = part.syscalls is not None and part.syscalls.complete
    proof = "none of its system calls is for it" if known else "it imports nothing for it"
    can = ", ".join(network.directions or tuple(operation.name for operation in network.operations))
    said = {"yes": f"yes: it can {can}", "no": f"no: {proof}", "unknown": "cannot be told"}
    rows = [Row(each.name, items=_items(each.evidence, each.evidence_total, verbose)) for each in network.operations]
    return Row("network", said[network.verdict], rows=tuple(rows))


def _capabilities(capabilities: tuple[Capability, ...], verbose: int) -> Iterator[Row]:
    """What else it can do; what strings alone suggest is told apart."""
    for verdict, label in (("yes", "can also"), ("unknown", "may also")):
        found = [capability for capability in capabilities if capability.verdict == verdict]
        rows = [
            Row(each.name, CAPABILITIES.get(each.name, ""), items=_items(each.evidence, each.evidence_total, verbose))
            for each in found
        ]
        if rows and verbose:
            yield Row(label, ", ".join(each.name for each in found), rows=tuple(rows))
        elif rows:
            yield Row(label, "; ".join(f"{each.name} ({_first(each.evidence)})" for each in found))


def _first(evidence: tuple[Evidence, ...]) -> str:
    first = next(iter(evidence), None)
    if first is None:
        return "no place known"
    return " ".join(part for part in (first.address, first.symbol) if part) or first.detail or "no place known"


def _items(evidence: tuple[Evidence, ...], total: int, verbose: int) -> tuple[Item, ...]:
    shown = evidence if verbose else evidence[:1]
    items = [evidence_item(each, verbose) for each in shown]
    if items and total > len(shown):
        items[-1] = Item(f"{items[-1].text} (and {total - len(shown)} more)", items[-1].code)
    return tuple(items)


def _syscalls(calls: Syscalls | None, verbose: int) -> Row:
    if calls is None:
        return Row("system calls", "not analysed")
    complete = "complete" if calls.complete else "NOT complete"
    rows: list[Row] = []
    if verbose == 1:
        rows.append(Row("", ", ".join(calls.required)))
    if verbose > 1:
        for name in calls.required:
            rarely = () if name in calls.likely else ("(on fatal errors only)",)
            rows.append(Row(name, " ".join((", ".join(calls.sites.get(name, ())), *rarely)).strip()))
        rows += [Row("unresolved", f"{place.address}: {place.reason}") for place in calls.unresolved]
    if verbose:
        rows += [Row(f"{name} with", _proved(facts)) for name, facts in calls.arguments.items()]
        rows += [Row("loads", name) for name in calls.open_set]
    known = f", arguments of {len(calls.arguments)} known" if calls.arguments else ""
    return Row("system calls", f"{len(calls.required)} ({calls.abi}), {complete}{known}", rows=tuple(rows))


def _proved(facts: tuple[ArgumentValues, ...]) -> str:
    """``argument 0: 2, 0xa; argument 1: 1``."""
    listed = ((fact.argument, map(_number, fact.values)) for fact in facts)
    return "; ".join(f"argument {position}: {', '.join(values)}" for position, values in listed)


def _number(value: int) -> str:
    return str(value) if value < 10 else hex(value)


def _hardening(hardening: Mapping[str, str]) -> Row:
    by_state: dict[str, list[str]] = defaultdict(list)
    for name, state in hardening.items():
        by_state[state].append(name)
    order = ("present", "partial", "absent", "unknown", "not-applicable")
    return Row("hardening", "; ".join(f"{state}: {', '.join(by_state[state])}" for state in order if by_state[state]))


def _strings(strings: Strings, verbose: int) -> Iterator[Row]:
    kinds: tuple[tuple[str, tuple[Text, ...], int], ...] = (
        ("secrets", strings.secrets, strings.secrets_total),
        ("URLs", strings.urls, strings.urls_total),
        ("addresses", strings.addresses, strings.addresses_total),
        ("paths", strings.paths, strings.paths_total),
    )
    for label, found, total in kinds:
        if verbose and found:
            more = (Row("", f"and {total - len(found)} more"),) if total > len(found) else ()
            rows = tuple(Row(hex(text.offset), text.value) for text in found)
            yield Row(label, str(total), "caution" if label == "secrets" else "", rows=(*rows, *more))
        elif found:
            more_ = f", and {total - 1} more (-v)" if total > 1 else ""
            yield Row(label, found[0].value + more_, "caution" if label == "secrets" else "")


def _members(report: Report, verbose: int) -> Section:
    """The worst first, and of those what runs as another user; what each is in a line."""
    order = sorted(
        report.members, key=lambda m: (LEVELS.index(m.report.verdict.level), m.report.artifact.set_id is None)
    )
    shown = order if verbose else order[:_MEMBERS]
    rows = [Row(member.report.verdict.level, _member(member), member.report.verdict.level) for member in shown]
    left = len(order) - len(shown) + report.members_omitted
    if left:
        hint = " (-v)" if not verbose else ""
        rows.append(Row("", f"and {left} more{hint}"))
    counts = Counter(str(member.report.verdict.level) for member in report.members)
    said = ", ".join(f"{counts[level]} {level}" for level in LEVELS if counts[level])
    total = len(order) + report.members_omitted
    return Section(f"Members: {total} executable{'s' * (total != 1)} ({said})", "members", tuple(rows))


def _member(member: Member) -> str:
    parts = member.report.slices
    arches = "+".join(part.arch for part in parts)
    kind = " ".join(word for word in (FORMATS.get(member.report.format, member.report.format), arches) if word)
    inside = (finding for each in member.report.members for finding in each.report.findings)
    worst = max((*member.report.findings, *inside), key=lambda finding: finding.severity.rank, default=None)
    runs = f", runs as {member.report.artifact.set_id}" if member.report.artifact.set_id else ""
    says = f": {worst.title}" if worst is not None and member.report.verdict.level != "ok" else ""
    return f"{member.path} ({kind}, {member.report.artifact.size:,} bytes{runs}){says}"


def _some(names: Iterable[str], verbose: int) -> str:
    """All names, or how many there are and the first few."""
    names = list(names)
    shown = names if verbose else names[:_FEW]
    more = f", and {len(names) - len(shown)} more (-v)" if len(shown) < len(names) else ""
    return f"{len(names)}: {', '.join(shown)}{more}"
