"""What it can do: use the network, the capabilities beside it, its system calls."""

from binsafe.difference.changes import Changes
from binsafe.difference.reasons import CAPABILITIES
from binsafe.model import Evidence, Severity, SliceReport, Syscalls

_HIGH, _MEDIUM, _LOW, _INFO = Severity.HIGH, Severity.MEDIUM, Severity.LOW, Severity.INFO
_SHOWN = 8


def network(changes: Changes, old: SliceReport, new: SliceReport, where: str) -> None:
    """The verdict, and each way to use the network."""
    places: dict[str, tuple[Evidence, ...]] = {each.name: each.evidence for each in new.network.operations}
    for way in new.network.directions:
        if way not in old.network.directions:
            evidence = places.get(way) or next(iter(places.values()), ())
            changes.add(f"gained-{way}", _HIGH, "network", way, where, evidence=evidence)
    for way in old.network.directions:
        if way not in new.network.directions and new.network.verdict != "unknown":
            changes.add(f"lost-{way}", _INFO, "network", way, where)
    was, now = old.network.verdict, new.network.verdict
    evidence = next(iter(places.values()), ())
    said = f"{was} -> {now}"
    if now == "yes" != was:
        changes.add("gained-network", _HIGH, "network", said, where, evidence=evidence)
    elif (was, now) == ("no", "unknown"):
        detail = "it cannot be ruled out any more"
        changes.add("gained-network", _MEDIUM, "network", said, where, detail=detail, evidence=evidence)
    elif (was, now) == ("yes", "unknown"):
        changes.add("changed-network", _INFO, "network", said, where, detail="it cannot be told any more")
    elif was != now:
        changes.add("lost-network", _INFO, "network", said, where)


def capabilities(changes: Changes, old: SliceReport, new: SliceReport, where: str) -> None:
    """What it can do beside the network; one that is not listed was looked for and not found."""
    before = {each.name: each for each in old.capabilities}
    after = {each.name: each for each in new.capabilities}
    for name, capability in after.items():
        had = before.get(name)
        if had is not None and had.verdict == "yes" and capability.verdict == "unknown":
            changes.add("changed-capability", _INFO, "capability", f"{name}: yes -> unknown", where)
        elif had is None or had.verdict != capability.verdict:
            severity = CAPABILITIES.get(name, _MEDIUM) if capability.verdict == "yes" else _LOW
            identifier = "gained-exec" if name == "execute" else f"gained-{name}"
            detail = "" if capability.verdict == "yes" else "only its strings suggest it"
            places = capability.evidence
            changes.add(identifier, severity, "capability", name, where, detail=detail, evidence=places)
    for name in before.keys() - after.keys():
        changes.add(f"lost-{name}", _INFO, "capability", name, where)


def syscalls(changes: Changes, before: SliceReport, after: SliceReport, where: str) -> None:
    """A call that is not in a list is ruled out only where the list is complete."""
    old, new = before.syscalls, after.syscalls
    if old is None or new is None:
        sides = "neither side has a list" if old is new else "one side has no list"
        changes.unknown(f"system calls of {where}: {sides}", "system call")
        return
    if old.abi != new.abi:
        changes.unknown(f"system calls of {where}: {old.abi} and {new.abi} have not the same", "system call")
        return
    added = sorted({*new.required} - {*old.required})
    if not old.complete:
        also = f"; in the new one and not in it: {', '.join(added)}" if added else ""
        changes.unknown(f"system calls of {where}: the old list is not complete{also}", "system call")
    for name in added if old.complete else ():
        evidence = tuple(Evidence(via="syscall", address=at, symbol=name) for at in new.sites.get(name, ()))
        changes.add("gained-syscall", _LOW, "system call", name, where, evidence=evidence)
    if old.complete and not new.complete:
        said = "the list is not complete any more"
        changes.add("gained-syscall", _MEDIUM, "system call", said, where)
    if old.complete:
        _arguments(changes, old, new, where)
    for name in sorted({*old.required} - {*new.required}) if new.complete else ():
        changes.add("lost-syscall", _INFO, "system call", name, where)
    loads = dict.fromkeys(old.open_set), dict.fromkeys(new.open_set)
    changes.names("gained-library", _LOW, "loaded at run time", *loads, where)


def _arguments(changes: Changes, old: Syscalls, new: Syscalls, where: str) -> None:
    """``socket`` for this machine only, then for any: the same call with more values."""
    for name in sorted({*new.required} & {*old.required}):
        now = {(each.argument, each.mask): {*each.values} for each in new.arguments.get(name, ())}
        for known in old.arguments.get(name, ()):
            wider = now.get((known.argument, known.mask))
            if wider is None or wider - {*known.values}:
                more = "anything" if wider is None else ", ".join(map(hex, sorted(wider - {*known.values})[:_SHOWN]))
                said = f"{name} with more in argument {known.argument}: {more}"
                changes.add("gained-syscall", _LOW, "system call", said, where)
