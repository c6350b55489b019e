"""The system calls, and a finding where their list may be too short to rely on."""

from binsafe.extractors.subject import Extracted, Subject
from binsafe.limits import MAX_EVIDENCE
from binsafe.model import Evidence, Finding, Severity, Syscalls


def extract(subject: Subject) -> Extracted[Syscalls | None]:
    """What the analysis found; None where it does not cover the system or was not asked for."""
    calls = subject.syscalls
    if calls is None or (calls.complete and not calls.open_set):
        return Extracted(calls)
    return Extracted(calls, (_incomplete(calls),))


def _incomplete(calls: Syscalls) -> Finding:
    reasons = []
    if calls.unresolved:
        reasons.append(f"{len(calls.unresolved)} places make a call whose number could not be told")
    if calls.open_set:
        reasons.append("it loads code that is not here: " + ", ".join(calls.open_set))
    return Finding(
        id="syscalls-incomplete",
        severity=Severity.LOW,
        title="Its list of system calls is not complete",
        detail=("; ".join(reasons) or "the analysis could not follow all of its code") + ".",
        evidence=tuple(
            Evidence(via="syscall", address=place.address, detail=place.reason)
            for place in calls.unresolved[:MAX_EVIDENCE]
        ),
    )
