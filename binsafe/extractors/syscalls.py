"""The system calls, and a finding where their list may be too short to rely on.

On macOS the list is for reading, nothing is enforced with it, and it is never complete: there the finding is that a
program makes calls by itself at all.
"""

from collections import defaultdict
from collections.abc import Iterator

from binsafe.extractors.subject import Extracted, Subject
from binsafe.limits import MAX_EVIDENCE
from binsafe.model import Evidence, Finding, Severity, Syscalls


def extract(subject: Subject) -> Extracted[Syscalls | None]:
    """What the analysis found; None where it does not cover the system or was not asked for."""
    calls = subject.syscalls
    if calls is not None and subject.slice.format == "mach-o":
        return Extracted(calls, tuple(_past_libsystem(subject, calls)))
    if calls is None or (calls.complete and not calls.open_set):
        return Extracted(calls)
    return Extracted(calls, (_incomplete(calls),))


def _incomplete(calls: Syscalls) -> Finding:
    reasons = []
    if calls.unresolved:
        reasons.append(f"{len(calls.unresolved)} places make a call whose number could not be told")
    if calls.open_set:
        reasons.append(f"it loads code that is not here: {'; '.join(_loaded(calls.open_set))}")
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


def _loaded(open_set: tuple[str, ...]) -> Iterator[str]:
    """What is loaded, each thing once with its first place: large programs do it at a hundred of them."""
    places: defaultdict[str, list[str]] = defaultdict(list)
    for each in open_set:
        what, _, place = each.partition(", at ")
        places[what].append(place)
    for number, (what, found) in enumerate(places.items()):
        if number == MAX_EVIDENCE:
            yield f"and {len(places) - number} more"
            return
        at = f", at {found[0]}" if found[0] else ""
        yield what + at + (f" and {len(found) - 1} more" if len(found) > 1 else "")


def _past_libsystem(subject: Subject, calls: Syscalls) -> Iterator[Finding]:
    own = subject.direct_calls
    if not own and not calls.unresolved:
        return
    unknown = len(calls.unresolved)
    more = f", and {unknown} whose number could not be told" if unknown else ""
    seen = (
        f"It makes these calls: {', '.join(own)}{more}."
        if own
        else f"{unknown} places in its code look like calls, of an unknown number; data between code can look so, too."
    )
    yield Finding(
        id="direct-system-calls",
        severity=Severity.LOW,
        title=f"It {'calls' if own else 'may call'} the kernel itself, past libSystem",
        detail=(
            f"{seen} Apple promises nothing about their numbers, so ordinary programs leave that to libSystem; "
            "programs that hide from who watches it do not."
        ),
        evidence=(
            *(
                Evidence(via="syscall", address=places[0], symbol=call)
                for call, places in list(own.items())[:MAX_EVIDENCE]
            ),
            *(
                Evidence(via="syscall", address=place.address, detail=place.reason)
                for place in calls.unresolved[:MAX_EVIDENCE]
            ),
        ),
    )
