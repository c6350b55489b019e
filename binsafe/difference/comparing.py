"""Two reports -> their difference: parts are paired, and each pair is compared fact by fact."""

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from binsafe.difference import pairing
from binsafe.difference.reasons import ANYTHING, CAPABILITIES
from binsafe.difference.summary import summary
from binsafe.model import Evidence, Finding, Report, Severity, Signature, SliceReport, Strings, Syscalls
from binsafe.model.difference import Change, Difference

_HIGH, _MEDIUM, _LOW, _INFO = Severity.HIGH, Severity.MEDIUM, Severity.LOW, Severity.INFO
_LEVELS = ("ok", "caution", "danger", "unknown")
_STATES = ("absent", "unknown", "partial", "not-applicable", "present")
_STATUSES = ("invalid", "absent", "unknown", "valid")
"""A signature that does not hold is worse than none."""
_NOBODYS = frozenset({"none", "linker", "adhoc"})
"""Kinds of signature that name nobody."""
_SIGNERS: tuple[tuple[str, Severity, Callable[[Signature], str | None]], ...] = (
    ("team", _HIGH, lambda each: each.team_id),
    ("signer", _HIGH, lambda each: each.signers[0].common_name if each.signers else None),
    ("organization", _HIGH, lambda each: each.signers[0].organization if each.signers else None),
    ("chain", _HIGH, lambda each: each.chain),
    ("identifier", _MEDIUM, lambda each: each.identifier),
    ("notarization", _MEDIUM, lambda each: each.notarization),
)
"""What names the signer: the same names that end in another root are another's."""
_CONFINED = "com.apple.security.app-sandbox"
_SHOWN = 8
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


def _compared(old: Report, new: Report, where: str) -> "_Comparison":
    """Two reports on the same thing. What cannot be known of it is the same for both where the bytes are the same."""
    comparison = _Comparison()
    comparison.reports(old, new, where)
    if _same_bytes(old, new):
        comparison.not_compared.clear()
        comparison.undecided.clear()
    return comparison


class _Comparison:
    """Changes, collected."""

    def __init__(self) -> None:
        self.changes: list[Change] = []
        self.not_compared: list[str] = []
        self.undecided: set[str] = set()

    def reports(self, old: Report, new: Report, where: str) -> None:
        """Two reports on the same thing; nothing is said of the abilities of what could not be analysed."""
        for side, report in (("old", old), ("new", new)):
            self._left_out(report, f"{side} in {where}" if where else side)
        if _LEVELS.index(new.verdict.level) > _LEVELS.index(old.verdict.level):
            said = f"{old.verdict.level} -> {new.verdict.level}"
            self._add("worse-verdict", "changed", _MEDIUM, "verdict", said, where, detail=new.verdict.advice)
        if old.format != new.format:
            said = f"{old.format} -> {new.format}"
            self._add("changed-format", "changed", _MEDIUM, "format", said, where)
        self._findings(_of(old, None), _of(new, None), where)
        if _read(old) and _read(new):
            self._parts(old, new, where)
            self._strings(old.strings, new.strings, where)
            self._members(old, new, where)

    def _left_out(self, report: Report, side: str) -> None:
        for note in report.omitted:
            about = next((about for begin, about in _LEFT_OUT if note.startswith(begin)), (ANYTHING,))
            if about:
                self._unknown(f"{side}: {note}", *about)
        if not _read(report):
            why = next((finding.detail for finding in report.findings), "the reason is not known")
            self._unknown(f"{side}: could not be analysed: {why}", ANYTHING)
        if report.members_omitted:
            self._unknown(f"{side}: {report.members_omitted} members are not in the report", ANYTHING)

    def _unknown(self, what: str, *about: str) -> None:
        self.not_compared.append(what)
        self.undecided |= {*about}

    def _members(self, old: Report, new: Report, where: str) -> None:
        """Those that stayed are compared; all that a further one can do is gained."""
        pairs = pairing.members(old.members, new.members)
        for index in pairs.removed:
            self._add("lost-member", "lost", _INFO, "member", old.members[index].path, where)
        for index in pairs.added:
            self._add("gained-member", "gained", _MEDIUM, "member", new.members[index].path, where)
        both = [(old.members[before], new.members[after]) for before, after in pairs.both]
        for before, after in both:
            if before.path != after.path:
                said = f"{before.path} -> {after.path}"
                self._add("changed-member", "changed", _INFO, "member", said, where)
        couples = [(before.report, after) for before, after in both]
        couples += [(pairing.nothing_like(new.members[index].report), new.members[index]) for index in pairs.added]
        for report, member in couples:
            inner = _compared(report, member.report, f"{where}/{member.path}" if where else member.path)
            self.changes += inner.changes
            self.not_compared += inner.not_compared
            self.undecided |= inner.undecided

    def _parts(self, old: Report, new: Report, where: str) -> None:
        """By processor; a further slice is compared with the one that is most like it, or with nothing at all."""
        pairs = pairing.slices(old.slices, new.slices)
        for index in pairs.removed:
            self._add("lost-slice", "lost", _INFO, "slice", old.slices[index].arch, where)
        couples: list[tuple[int | None, int]] = [*pairs.both]
        for index in pairs.added:
            like = pairing.nearest(new.slices[index], old.slices)
            couples.append((like, index))
            if like is not None:
                detail = f"compared with {old.slices[like].arch}"
                self._add("gained-slice", "gained", _MEDIUM, "slice", new.slices[index].arch, where, detail=detail)
        for before, after in couples:
            part = new.slices[after]
            other = pairing.without_abilities(part) if before is None else old.slices[before]
            at = f"{where} ({part.arch})".strip()
            self._slices(other, part, at)
            self._findings(() if before is None else _of(old, before), _of(new, after), at)

    def _slices(self, old: SliceReport, new: SliceReport, where: str) -> None:
        self._network(old, new, where)
        self._capabilities(old, new, where)
        self._signature(old.signature, new.signature, where)
        self._entitlements(_granted(old), _granted(new), where)
        had, has = ({each.name: each for each in part.libraries} for part in (old, new))
        self._names("gained-library", _LOW, "library", had, has, where)
        self._names("gained-rpath", _MEDIUM, "rpath", dict.fromkeys(old.rpaths), dict.fromkeys(new.rpaths), where)
        if old.interpreter != new.interpreter:
            said = f"{old.interpreter or 'none'} -> {new.interpreter or 'none'}"
            severity = _MEDIUM if old.linkage == new.linkage else _INFO
            self._add("changed-interpreter", "changed", severity, "loader", said, where)
        for name in ("system", "kind", "linkage"):
            was, now = getattr(old, name), getattr(new, name)
            if was != now:
                self._add("changed-format", "changed", _LOW, name, f"{was or 'none'} -> {now or 'none'}", where)
        self._syscalls(old.syscalls, new.syscalls, where)
        self._hardening(old, new, where)
        self._build(old, new, where)

    def _entitlements(self, old: Mapping[str, str], new: Mapping[str, str], where: str) -> None:
        """Any other value may be a wider one; to lose the App Sandbox is to gain."""
        for name in sorted(old.keys() | new.keys()):
            was, now = old.get(name), new.get(name)
            if now is not None and was != now:
                severity = _INFO if name == _CONFINED else _MEDIUM
                said = f"{name} = {now}" if was is None else f"{name} = {was} -> {now}"
                self._add("gained-entitlement", "gained", severity, "entitlement", said, where)
            elif was != now:
                severity = _MEDIUM if name == _CONFINED else _INFO
                self._add("lost-entitlement", "lost", severity, "entitlement", f"{name} = {was}", where)

    def _findings(self, old: Sequence[Finding], new: Sequence[Finding], where: str) -> None:
        """By id, title and severity: addresses in a detail are no difference, and a second one is one more."""
        had = Counter(map(_kind, old))
        details = {finding.detail for finding in old}
        for finding in sorted(new, key=lambda each: each.detail not in details):  # those with the same words first
            if had[_kind(finding)]:
                had[_kind(finding)] -= 1
                continue
            said, detail = f"{finding.title} [{finding.id}]", finding.detail
            places = finding.evidence
            self._add(
                "gained-finding", "gained", finding.severity, "finding", said, where, detail=detail, evidence=places
            )
        for (identifier, title, _), count in had.items():
            for _ in range(count):
                self._add("lost-finding", "lost", _INFO, "finding", f"{title} [{identifier}]", where)

    def _network(self, old: SliceReport, new: SliceReport, where: str) -> None:
        places = {each.name: each.evidence for each in new.network.operations}
        for way in new.network.directions:
            if way not in old.network.directions:
                evidence = places.get(way) or next(iter(places.values()), ())  # type: ignore[call-overload]
                self._add(f"gained-{way}", "gained", _HIGH, "network", way, where, evidence=evidence)
        for way in old.network.directions:
            if way not in new.network.directions and new.network.verdict != "unknown":
                self._add(f"lost-{way}", "lost", _INFO, "network", way, where)
        verdicts = (old.network.verdict, new.network.verdict)
        if verdicts[0] != verdicts[1] and verdicts[1] != "no":
            severity = _HIGH if verdicts[1] == "yes" else _MEDIUM if verdicts[0] == "no" else _INFO
            kind = "gained" if severity is not _INFO else "changed"
            evidence = next(iter(places.values()), ())
            said = " -> ".join(verdicts)
            identifier = "gained-network" if kind == "gained" else "changed-network"
            self._add(identifier, kind, severity, "network", said, where, evidence=evidence)
        elif verdicts[0] != verdicts[1]:
            self._add("lost-network", "lost", _INFO, "network", " -> ".join(verdicts), where)

    def _capabilities(self, old: SliceReport, new: SliceReport, where: str) -> None:
        before = {each.name: each for each in old.capabilities}
        after = {each.name: each for each in new.capabilities}
        for name, capability in after.items():
            had = before.get(name)
            if had is not None and had.verdict == "yes" and capability.verdict == "unknown":
                self._add("changed-capability", "changed", _INFO, "capability", f"{name}: yes -> unknown", where)
            elif had is None or had.verdict != capability.verdict:
                severity = CAPABILITIES.get(name, _MEDIUM) if capability.verdict == "yes" else _LOW
                identifier = "gained-exec" if name == "execute" else f"gained-{name}"
                detail = "" if capability.verdict == "yes" else "only its strings suggest it"
                places = capability.evidence
                self._add(identifier, "gained", severity, "capability", name, where, detail=detail, evidence=places)
        for name in before.keys() - after.keys():
            self._add(f"lost-{name}", "lost", _INFO, "capability", name, where)

    def _signature(self, old: Signature, new: Signature, where: str) -> None:
        """Kind and status; then who signed it, where both are signed by somebody."""
        named = [each.kind not in _NOBODYS for each in (old, new)]
        worse = _STATUSES.index(new.status) < _STATUSES.index(old.status)
        said = f"{old.kind}, {old.status} -> {new.kind}, {new.status}"
        if worse or (named[0] and not named[1]) or (old.kind != "none" and new.kind == "none"):
            severity = _MEDIUM if all(named) and new.status == "unknown" else _HIGH
            if not named[0] and new.status != "invalid":
                severity = _LOW
            detail = "; ".join(problem.detail for problem in new.problems) or "; ".join(new.unverified)
            self._add("lost-signature", "lost", severity, "signature", said, where, detail=detail)
        elif (old.kind, old.status) != (new.kind, new.status):
            self._add("changed-signature", "changed", _INFO, "signature", said, where)
        for name, severity, value in _SIGNERS if all(named) else ():
            before, after = value(old), value(new)
            if before != after:
                identifier = "changed-signature" if severity is _MEDIUM else "changed-signer"
                item = f"{before or 'none'} -> {after or 'none'}"
                self._add(identifier, "changed", severity, name, item, where)

    def _syscalls(self, old: Syscalls | None, new: Syscalls | None, where: str) -> None:
        """A call that is not in a list is ruled out only where the list is complete."""
        if old is None or new is None:
            sides = "neither side has a list" if old is new else "one side has no list"
            self._unknown(f"system calls of {where}: {sides}", "system call")
            return
        if old.abi != new.abi:
            self._unknown(f"system calls of {where}: {old.abi} and {new.abi} have not the same", "system call")
            return
        added = sorted({*new.required} - {*old.required})
        if not old.complete:
            also = f"; in the new one and not in it: {', '.join(added)}" if added else ""
            self._unknown(f"system calls of {where}: the old list is not complete{also}", "system call")
        for name in added if old.complete else ():
            evidence = tuple(Evidence(via="syscall", address=at, symbol=name) for at in new.sites.get(name, ()))
            self._add("gained-syscall", "gained", _LOW, "system call", name, where, evidence=evidence)
        if old.complete and not new.complete:
            said = "the list is not complete any more"
            self._add("gained-syscall", "gained", _MEDIUM, "system call", said, where)
        if old.complete:
            self._arguments(old, new, where)
        for name in sorted({*old.required} - {*new.required}) if new.complete else ():
            self._add("lost-syscall", "lost", _INFO, "system call", name, where)
        loads = dict.fromkeys(old.open_set), dict.fromkeys(new.open_set)
        self._names("gained-library", _LOW, "loaded at run time", *loads, where)

    def _arguments(self, old: Syscalls, new: Syscalls, where: str) -> None:
        """``socket`` for this machine only, then for any: the same call with more values."""
        for name in sorted({*new.required} & {*old.required}):
            now = {(each.argument, each.mask): {*each.values} for each in new.arguments.get(name, ())}
            for known in old.arguments.get(name, ()):
                wider = now.get((known.argument, known.mask))
                if wider is None or wider - {*known.values}:
                    more = (
                        "anything" if wider is None else ", ".join(map(hex, sorted(wider - {*known.values})[:_SHOWN]))
                    )
                    said = f"{name} with more in argument {known.argument}: {more}"
                    self._add("gained-syscall", "gained", _LOW, "system call", said, where)

    def _hardening(self, old: SliceReport, new: SliceReport, where: str) -> None:
        for name, after in new.hardening.items():
            before = old.hardening.get(name, after)
            if before != after and "not-applicable" not in {before, after}:
                lost = _STATES.index(after) < _STATES.index(before)
                said = f"{name}: {before} -> {after}"
                if lost:
                    severity = _LOW if "unknown" in {before, after} else _MEDIUM
                    self._add("lost-hardening", "lost", severity, "hardening", said, where)
                elif before == "unknown" or after == "unknown":
                    self._add("changed-hardening", "changed", _INFO, "hardening", said, where)
                else:
                    self._add("gained-hardening", "gained", _INFO, "hardening", said, where)

    def _build(self, old: SliceReport, new: SliceReport, where: str) -> None:
        before, after = _dependencies(old), _dependencies(new)
        unrecorded = [_unrecorded(part) for part in (old, new)]
        if unrecorded[0] != unrecorded[1]:
            side = "old" if unrecorded[0] else "new"
            self._unknown(f"dependencies of {where}: the {side} one does not record them", "dependency")
            before = after = {}
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
            cut = [getattr(side, f"{label}_total") > len(getattr(side, label)) for side in (old, new)]
            if cut[0] and after.keys() - before.keys():
                self.not_compared.append(f"{label}: the old report shows only some, so that some of the new may be old")
            if cut[1]:
                self._unknown(f"{label}: the new report shows only some, so that there may be more", "string")
                before = {value: text for value, text in before.items() if value in after}
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


def _read(report: Report) -> bool:
    return report.analysed or bool(report.slices or report.members)


def _of(report: Report, index: int | None) -> list[Finding]:
    """The findings of one slice, or those of the file as a whole."""
    return [finding for finding in report.findings if finding.slice == index]


def _kind(finding: Finding) -> tuple[str, str, Severity]:
    return finding.id, finding.title, finding.severity


def _granted(part: SliceReport) -> dict[str, str]:
    """Entitlements with their values as text; ``false`` grants nothing."""
    granted = {name: value for name, value in (part.entitlements or {}).items() if value is not False}
    return {name: json.dumps(value, sort_keys=True, ensure_ascii=False) for name, value in granted.items()}


def _unrecorded(part: SliceReport) -> bool:
    """Whether Go's record was removed, or there is none of crates."""
    go = part.build.go
    return go.version == "unknown" if go is not None else part.build.rust is None


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
