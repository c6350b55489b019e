"""What a program could do, by its own code, and may not under the grants it gets: the other half of a policy."""

from collections.abc import Iterable, Iterator

import msgspec

from binsafe.limits import MAX_EVIDENCE
from binsafe.model import Denial, Evidence, Grant, Report, SliceReport
from binsafe.model.facts import OperationName
from binsafe.model.policy import GrantKind
from binsafe.policy.baseline import Baseline
from binsafe.policy.libraries import library_denials
from binsafe.policy.walls import ALWAYS, WALLS


class _Need(msgspec.Struct, frozen=True):
    """What a network operation is for, and the kinds of grant that cover it; any one of them is enough."""

    capability: str
    covered_by: frozenset[GrantKind]


_SERVE: frozenset[GrantKind] = frozenset({"listen"})
_CALL: frozenset[GrantKind] = frozenset({"connect"})
_LISTEN = _Need("listen for connections", _SERVE)
_CONNECT = _Need("connect out", _CALL)
_EITHER = _Need("use the network", _SERVE | _CALL)

_NEEDS: dict[OperationName, _Need] = {
    "socket": _EITHER,
    "bind": _LISTEN,
    "listen": _LISTEN,
    "accept": _LISTEN,
    "connect": _CONNECT,
    "send": _EITHER,
    "receive": _EITHER,
    "resolve": _Need("resolve names", frozenset()),
    "raw": _Need("raw sockets", frozenset()),
}

_CAPABILITY_OF_CALL = {
    "connect": _CONNECT.capability,
    "execve": "execute another program by execve",
    "execveat": "execute another program by execveat",
    "fork": "start another process by fork",
    "vfork": "start another process by vfork",
}


def denials(report: Report, baseline: Baseline, grants: tuple[Grant, ...]) -> tuple[Denial, ...]:
    """The capabilities found in the program that no grant covers, each once, with the places that have them."""
    merged: dict[str, Denial] = {}
    for each in report.slices:
        for denial in (*_network(each, grants), *_calls(each, baseline, grants), *library_denials(each)):
            before = merged.get(denial.capability)
            if before is None:
                merged[denial.capability] = denial
            else:
                evidence = tuple(dict.fromkeys((*before.evidence, *denial.evidence)))[:MAX_EVIDENCE]
                merged[denial.capability] = msgspec.structs.replace(before, evidence=evidence)
    return tuple(merged.values())


def _network(slice_report: SliceReport, grants: Iterable[Grant]) -> Iterator[Denial]:
    connects = [grant.object for grant in grants if grant.kind == "connect"]
    granted: set[GrantKind] = {grant.kind for grant in grants}
    for operation in slice_report.network.operations:
        need = _NEEDS[operation.name]
        if need is _CONNECT and connects:
            yield Denial(
                capability="connect out to anything else",
                reason=f"granted only to {', '.join(connects)}",
                evidence=operation.evidence,
            )
        elif not need.covered_by & granted:
            yield Denial(capability=need.capability, reason="nothing grants it", evidence=operation.evidence)
    if slice_report.network.verdict == "unknown":
        yield Denial(capability="any use of the network that was not found", reason="the analysis could not tell")


def _calls(slice_report: SliceReport, baseline: Baseline, grants: Iterable[Grant]) -> Iterator[Denial]:
    if slice_report.syscalls is None or slice_report.system != "linux":
        return
    granted = {grant.object for grant in grants if grant.kind == "syscall"} | set(ALWAYS)
    connects = any(grant.kind == "connect" for grant in grants)
    for name in slice_report.syscalls.required:
        if name in granted or (name == "connect" and connects):
            continue
        sites = slice_report.syscalls.sites.get(name, ())[:MAX_EVIDENCE]
        yield Denial(
            capability=_CAPABILITY_OF_CALL.get(name, f"system call {name}"),
            reason=WALLS.get(name, f"outside what the baseline {baseline.name} lets this kind of program have"),
            evidence=tuple(Evidence(via="syscall", address=address) for address in sites),
        )
