"""Who vouches for it, what it may ask the system for, and how it is protected against itself."""

import json
from collections.abc import Callable

from binsafe.difference.changes import Changes
from binsafe.model import Severity, Signature, SliceReport

_HIGH, _MEDIUM, _LOW, _INFO = Severity.HIGH, Severity.MEDIUM, Severity.LOW, Severity.INFO
_STATES = ("absent", "unknown", "partial", "not-applicable", "present")
_STATUSES = ("invalid", "absent", "unknown", "valid")
"""A signature that does not hold is worse than none."""
_NOBODYS = frozenset({"none", "linker", "adhoc"})
"""Kinds of signature that name nobody."""


def _constraints(signature: Signature) -> str | None:
    each = (f"{on}: {value or 'unknown'}" for on, value in (signature.constraints or {}).items())
    return "; ".join(each) or None


_SIGNERS: tuple[tuple[str, Severity, Callable[[Signature], str | None]], ...] = (
    ("team", _HIGH, lambda each: each.team_id),
    ("signer", _HIGH, lambda each: each.signers[0].common_name if each.signers else None),
    ("organization", _HIGH, lambda each: each.signers[0].organization if each.signers else None),
    ("chain", _HIGH, lambda each: each.chain),
    ("identifier", _MEDIUM, lambda each: each.identifier),
    ("notarization", _MEDIUM, lambda each: each.notarization),
    ("launch constraints", _MEDIUM, _constraints),
)
"""What identifies a signer. Equal names under different roots are different signers."""
_CONFINED = "com.apple.security.app-sandbox"


def signature(changes: Changes, before: SliceReport, after: SliceReport, where: str) -> None:
    """Kind and status; then who signed it, where both are signed by somebody."""
    old, new = before.signature, after.signature
    named = [each.kind not in _NOBODYS for each in (old, new)]
    worse = _STATUSES.index(new.status) < _STATUSES.index(old.status)
    said = f"{old.kind}, {old.status} -> {new.kind}, {new.status}"
    if worse or (named[0] and not named[1]) or (old.kind != "none" and new.kind == "none"):
        severity = _MEDIUM if all(named) and new.status == "unknown" else _HIGH
        if not named[0] and new.status != "invalid":
            severity = _LOW
        detail = "; ".join(problem.detail for problem in new.problems) or "; ".join(new.unverified)
        changes.add("lost-signature", severity, "signature", said, where, detail=detail)
    elif (old.kind, old.status) != (new.kind, new.status):
        changes.add("changed-signature", _INFO, "signature", said, where)
    for name, severity, value in _SIGNERS if all(named) else ():
        was, now = value(old), value(new)
        if was != now:
            identifier = "changed-signature" if severity is _MEDIUM else "changed-signer"
            item = f"{was or 'none'} -> {now or 'none'}"
            changes.add(identifier, severity, name, item, where)


def entitlements(changes: Changes, before: SliceReport, after: SliceReport, where: str) -> None:
    """A changed value may grant more, so it counts as gained; so does the loss of the App Sandbox."""
    old, new = _granted(before), _granted(after)
    for name in sorted(old.keys() | new.keys()):
        was, now = old.get(name), new.get(name)
        if now is not None and was != now:
            severity = _INFO if name == _CONFINED else _MEDIUM
            said = f"{name} = {now}" if was is None else f"{name} = {was} -> {now}"
            changes.add("gained-entitlement", severity, "entitlement", said, where)
        elif was != now:
            severity = _MEDIUM if name == _CONFINED else _INFO
            changes.add("lost-entitlement", severity, "entitlement", f"{name} = {was}", where)


def hardening(changes: Changes, old: SliceReport, new: SliceReport, where: str) -> None:
    """Mitigations that are weaker or not known any more, and those that are better."""
    for name, after in new.hardening.items():
        before = old.hardening.get(name, after)
        if before != after and "not-applicable" not in {before, after}:
            lost = _STATES.index(after) < _STATES.index(before)
            said = f"{name}: {before} -> {after}"
            if lost:
                severity = _LOW if "unknown" in {before, after} else _MEDIUM
                changes.add("lost-hardening", severity, "hardening", said, where)
            elif before == "unknown" or after == "unknown":
                changes.add("changed-hardening", _INFO, "hardening", said, where)
            else:
                changes.add("gained-hardening", _INFO, "hardening", said, where)


def _granted(part: SliceReport) -> dict[str, str]:
    """Entitlements with their values as text; ``false`` grants nothing."""
    granted = {name: value for name, value in (part.entitlements or {}).items() if value is not False}
    return {name: json.dumps(value, sort_keys=True, ensure_ascii=False) for name, value in granted.items()}
