"""Two reports -> what the new program can do that the old one could not. Pure; nothing for a report and itself.

Slices are compared by processor, members of archives by path. What is not known on one side is no change and no
absence of one: it stands under ``not_compared``, and what was ruled out before and cannot be ruled out any more is a
change.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from binsafe.model import Evidence, Report, Severity, Signature, SliceReport, Strings
from binsafe.model.difference import Change, Difference

_HIGH, _MEDIUM, _LOW, _INFO = Severity.HIGH, Severity.MEDIUM, Severity.LOW, Severity.INFO
_CAPABILITIES: Mapping[str, Severity] = MappingProxyType(
    dict.fromkeys(("execute", "persistence", "keychain", "screen", "camera", "microphone", "debug"), _HIGH)
    | dict.fromkeys(("load-library", "modify-code", "packed"), _MEDIUM)
)
_DIRECTIONS = ("listen", "connect", "resolve", "send", "receive", "raw", "accept")
IDS: Mapping[str, str] = MappingProxyType(
    {"gained-network": "it can use the network, or in one more way, or that cannot be ruled out any more"}
    | {f"gained-{direction}": f"{direction} on the network" for direction in _DIRECTIONS}
    | {"gained-exec": "it can start other programs"}
    | {f"gained-{name}": f"the capability {name}" for name in _CAPABILITIES if name != "execute"}
    | {
        "gained-syscall": "a system call that it did not make, or a list that is not complete any more",
        "gained-library": "it loads a further library",
        "gained-entitlement": "it has a further entitlement, or another value of one",
        "gained-string": "a URL, address, path or likely secret that was not there",
        "gained-slice": "a processor that it did not run on",
        "gained-member": "an archive has a further executable",
        "lost-signature": "it was signed, or the signature held, and that is not so any more",
        "lost-hardening": "a mitigation is missing",
        "changed-signer": "another signer, team or identifier",
        "changed-dependency": "a module or crate was added, removed or has another version",
        "changed-build": "another compiler, SDK or minimum system",
        "worse-verdict": "the verdict is worse",
    }
)
"""What ``--fail-on`` takes besides a severity -> what it stands for."""
_LEVELS = ("ok", "caution", "danger", "unknown")
_STATES = ("absent", "unknown", "partial", "not-applicable", "present")
_STATUSES = ("absent", "invalid", "unknown", "valid")


def compare(old: Report, new: Report) -> Difference:
    """All changes from ``old`` to ``new``, the most severe first."""
    comparison = _Comparison()
    comparison.reports(old, new, "")
    order = sorted(comparison.changes, key=lambda change: (-change.severity.rank, change.where, change.id, change.item))
    return Difference(
        old=old.artifact,
        new=new.artifact,
        same_bytes=old.artifact.sha256 == new.artifact.sha256 != "unknown",
        analysed=old.analysed and new.analysed,
        changes=tuple(order),
        not_compared=tuple(dict.fromkeys(comparison.not_compared)),
    )


class _Comparison:
    """Changes, collected."""

    def __init__(self) -> None:
        self.changes: list[Change] = []
        self.not_compared: list[str] = []

    def reports(self, old: Report, new: Report, where: str) -> None:
        """Two reports on the same thing."""
        for side, report in (("old", old), ("new", new)):
            at = f" in {where}" if where else ""
            self.not_compared += [f"{side}{at}: {what}" for what in report.omitted]
            if not report.analysed and not report.members:
                self.not_compared.append(f"{side}{at}: could not be analysed: {report.findings[0].detail}")
            if report.members_omitted:
                self.not_compared.append(f"{side}{at}: {report.members_omitted} members are not in the report")
        if _LEVELS.index(new.verdict.level) > _LEVELS.index(old.verdict.level):
            said = f"{old.verdict.level} -> {new.verdict.level}"
            self._add("worse-verdict", "changed", _MEDIUM, "verdict", said, where, detail=new.verdict.advice)
        self._parts({part.arch: part for part in old.slices}, {part.arch: part for part in new.slices}, where)
        self._strings(old.strings, new.strings, where)
        before = {member.path: member.report for member in old.members}
        after = {member.path: member.report for member in new.members}
        self._names("gained-member", _MEDIUM, "member", before, after, where)
        for path in before.keys() & after.keys():
            self.reports(before[path], after[path], f"{where}/{path}" if where else path)

    def _parts(self, old: Mapping[str, SliceReport], new: Mapping[str, SliceReport], where: str) -> None:
        if old and new:
            self._names("gained-slice", _MEDIUM, "slice", old, new, where)
        for arch in sorted(old.keys() & new.keys()):
            self._slices(old[arch], new[arch], f"{where} ({arch})".strip())

    def _slices(self, old: SliceReport, new: SliceReport, where: str) -> None:
        self._network(old, new, where)
        self._capabilities(old, new, where)
        self._signature(old.signature, new.signature, where)
        before = {f"{name} = {value}": name for name, value in (old.entitlements or {}).items()}
        after = {f"{name} = {value}": name for name, value in (new.entitlements or {}).items()}
        self._names("gained-entitlement", _MEDIUM, "entitlement", before, after, where)
        had, has = ({each.name: each for each in part.libraries} for part in (old, new))
        self._names("gained-library", _LOW, "library", had, has, where)
        self._syscalls(old, new, where)
        self._hardening(old, new, where)
        self._build(old, new, where)

    def _network(self, old: SliceReport, new: SliceReport, where: str) -> None:
        places = {each.name: each.evidence for each in new.network.operations}
        gone = [way for way in old.network.directions if way not in new.network.directions]
        for way in new.network.directions:
            if way not in old.network.directions:
                evidence = places.get(way) or next(iter(places.values()), ())  # type: ignore[call-overload]
                self._add(f"gained-{way}", "gained", _HIGH, "network", way, where, evidence=evidence)
        for way in gone:
            self._add(f"lost-{way}", "lost", _INFO, "network", way, where)
        verdicts = (old.network.verdict, new.network.verdict)
        if verdicts[0] != verdicts[1] and verdicts[1] != "no":
            severity = _HIGH if verdicts[1] == "yes" else _MEDIUM if verdicts[0] == "no" else _INFO
            kind = "gained" if severity is not _INFO else "changed"
            evidence = next(iter(places.values()), ())
            said = " -> ".join(verdicts)
            identifier = "gained-network" if kind == "gained" else "changed-network"
            self._add(identifier, kind, severity, "network", said, where, evidence=evidence)

    def _capabilities(self, old: SliceReport, new: SliceReport, where: str) -> None:
        before = {each.name: each for each in old.capabilities}
        after = {each.name: each for each in new.capabilities}
        for name, capability in after.items():
            had = before.get(name)
            if had is None or (had.verdict == "unknown" and capability.verdict == "yes"):
                severity = _CAPABILITIES.get(name, _MEDIUM) if capability.verdict == "yes" else _LOW
                identifier = "gained-exec" if name == "execute" else f"gained-{name}"
                detail = "" if capability.verdict == "yes" else "only its strings suggest it"
                places = capability.evidence
                self._add(identifier, "gained", severity, "capability", name, where, detail=detail, evidence=places)
        for name in before.keys() - after.keys():
            self._add(f"lost-{name}", "lost", _INFO, "capability", name, where)

    def _signature(self, old: Signature, new: Signature, where: str) -> None:
        worse = _STATUSES.index(new.status) < _STATUSES.index(old.status)
        named = old.kind not in {"none", "linker", "adhoc"} and new.kind in {"none", "linker", "adhoc"}
        if worse or named:
            said = f"{old.kind}, {old.status} -> {new.kind}, {new.status}"
            detail = "; ".join(problem.detail for problem in new.problems)
            self._add("lost-signature", "lost", _HIGH, "signature", said, where, detail=detail)
        elif (old.kind, old.status) != (new.kind, new.status):
            said = f"{old.kind}, {old.status} -> {new.kind}, {new.status}"
            self._add("changed-signature", "changed", _INFO, "signature", said, where)
        fields: tuple[tuple[str, Callable[[Signature], Any]], ...] = (
            ("signer", lambda each: each.signers[0].common_name if each.signers else None),
            ("team", lambda each: each.team_id),
            ("identifier", lambda each: each.identifier),
        )
        for name, value in fields:
            before, after = value(old), value(new)
            if before != after:
                severity = _MEDIUM if name == "identifier" or before is None else _HIGH
                said = f"{before or 'none'} -> {after or 'none'}"
                self._add("changed-signer", "changed", severity, name, said, where)

    def _syscalls(self, old: SliceReport, new: SliceReport, where: str) -> None:
        before, after = old.syscalls, new.syscalls
        if before is None or after is None:
            if (before is None) != (after is None):
                self.not_compared.append(f"system calls of {where}: one side has none")
            return
        if before.complete and not after.complete:
            said = "the list is not complete any more"
            self._add("gained-syscall", "gained", _MEDIUM, "system call", said, where)
        for name in sorted({*after.required} - {*before.required}):
            evidence = tuple(Evidence(via="syscall", address=at, symbol=name) for at in after.sites.get(name, ()))
            self._add("gained-syscall", "gained", _LOW, "system call", name, where, evidence=evidence)
        for name in sorted({*before.required} - {*after.required}):
            self._add("lost-syscall", "lost", _INFO, "system call", name, where)

    def _hardening(self, old: SliceReport, new: SliceReport, where: str) -> None:
        for name, after in new.hardening.items():
            before = old.hardening.get(name, after)
            if before != after and "not-applicable" not in {before, after}:
                lost = _STATES.index(after) < _STATES.index(before)
                said = f"{name}: {before} -> {after}"
                if lost:
                    self._add("lost-hardening", "lost", _MEDIUM, "hardening", said, where)
                else:
                    self._add("gained-hardening", "gained", _INFO, "hardening", said, where)

    def _build(self, old: SliceReport, new: SliceReport, where: str) -> None:
        before, after = _dependencies(old), _dependencies(new)
        for name in sorted(before.keys() | after.keys()):
            if before.get(name) != after.get(name):
                said = f"{name}: {before.get(name, 'none')} -> {after.get(name, 'none')}"
                self._add("changed-dependency", "changed", _INFO, "dependency", said, where)
        for label, value in _versions(old).items():
            now = _versions(new)[label]
            if value != now:
                said = f"{label}: {value or 'none'} -> {now or 'none'}"
                self._add("changed-build", "changed", _INFO, "build", said, where)

    def _strings(self, old: Strings, new: Strings, where: str) -> None:
        for label in ("secrets", "urls", "addresses", "paths"):
            before = {text.value: text for text in getattr(old, label)}
            after = {text.value: text for text in getattr(new, label)}
            capped = getattr(old, f"{label}_total") > len(before)
            if capped and before.keys() != after.keys():
                self.not_compared.append(f"{label}: the old report shows only some, so that some of the new may be old")
            severity = _MEDIUM if label == "secrets" else _LOW
            self._names("gained-string", severity, label, before, after, where)

    def _names(
        self,
        identifier: str,
        severity: Severity,
        subject: str,
        old: Mapping[str, Any],
        new: Mapping[str, Any],
        where: str,
    ) -> None:
        """What was added is severe; what was removed is information."""
        for name in sorted(new.keys() - old.keys()):
            self._add(identifier, "gained", severity, subject, name, where)
        for name in sorted(old.keys() - new.keys()):
            self._add(identifier.replace("gained", "lost"), "lost", _INFO, subject, name, where)

    def _add(
        self,
        identifier: str,
        kind: Any,
        severity: Severity,
        subject: str,
        item: str,
        where: str,
        *,
        detail: str = "",
        evidence: tuple[Evidence, ...] = (),
    ) -> None:
        self.changes.append(
            Change(
                id=identifier,
                kind=kind,
                severity=severity,
                subject=subject,
                item=item,
                where=where,
                detail=detail,
                evidence=evidence,
            )
        )


def matches(change: Change, wanted: str) -> bool:
    """Whether a change is what ``--fail-on`` asks for: an id, or a severity and above.

    ``gained-network`` is any direction, too.
    """
    if wanted in IDS:
        return change.id == wanted or (
            wanted == "gained-network" and change.subject == "network" and change.kind == "gained"
        )
    return change.severity.rank >= Severity(wanted).rank


def _dependencies(part: SliceReport) -> dict[str, str]:
    """Name -> version of the modules and crates that were built in."""
    go = part.build.go.dependencies if part.build.go is not None else ()
    rust = part.build.rust.crates if part.build.rust is not None else ()
    found: dict[str, str] = {}
    for line in (*go, *rust):
        name, _, version = line.partition(" ")
        found[name] = f"{found[name]}, {version}" if name in found else version
    return found


def _versions(part: SliceReport) -> dict[str, str | None]:
    build = part.build
    go = build.go.version if build.go is not None else None
    return {"go": go, "toolchain": build.toolchain, "sdk": build.sdk, "minimum system": build.minimum_os}
