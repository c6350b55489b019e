"""One target -> one outcome: what an executor runs, in a thread of this machine or of another one."""

import threading
from pathlib import Path

import msgspec

from binsafe.errors import BinsafeError
from binsafe.intake import Snapshot, Worker
from binsafe.intake.finding import Found, readable
from binsafe.model import Report
from binsafe.scan.walking import Target

SCAN_SCHEMA = "binsafe.scan/1"

MAX_IN_MEMORY = 128 * 1024**2
"""Files up to this size are copied to memory, larger ones to disk: as many are open as there are jobs."""


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked of every target."""

    syscalls: bool = False
    """Off by default: for a dynamic program they take longer than everything else together."""


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """One line of a scan: the report, or whose bytes it has, or why there is no report; or nothing to report on."""

    schema: str = SCAN_SCHEMA
    path: str
    size: int
    changed: int
    """When the file was changed last, in nanoseconds since 1970."""
    report: Report | None = None
    duplicate_of: str | None = None
    problem: str | None = None


class Known:
    """Which bytes were seen where: the first to ask about them is to look at them."""

    def __init__(self) -> None:
        self._paths: dict[str, str] = {}
        self._lock = threading.Lock()

    def claim(self, sha256: str, path: str) -> str:
        """The path under which these bytes are looked at; ``path`` itself for who asks first."""
        with self._lock:
            return self._paths.setdefault(sha256, path)


_THREAD = threading.local()
"""Each thread's own parsing process, which must outlive one call to be worth its start; it ends with the thread."""


def examine(target: Target, options: Options, known: Known | None) -> Outcome:
    """Look at one target; whatever is wrong with it is part of the outcome. ``known`` spares a second look."""
    blank = about(target)
    try:
        return _examine(target, options, known, blank)
    except BinsafeError as error:
        return msgspec.structs.replace(blank, problem=str(error))
    except OSError as error:
        return msgspec.structs.replace(blank, problem=error.strerror or str(error))


def about(target: Target) -> Outcome:
    """The outcome before anything is known."""
    return Outcome(path=readable(target.path), size=target.size, changed=target.changed)


def _examine(target: Target, options: Options, known: Known | None, blank: Outcome) -> Outcome:
    path = Path(target.path).absolute()
    found, small = Found(blank.path, path), target.size <= MAX_IN_MEMORY
    with Snapshot.take(found, known_as=readable(str(path)), in_memory=small) as snapshot:
        first = blank.path if known is None else known.claim(snapshot.artifact.sha256, blank.path)
        if first != blank.path:
            return msgspec.structs.replace(blank, duplicate_of=first)
        report = _worker().inspect(snapshot, syscalls=options.syscalls, closure=options.syscalls)
    return msgspec.structs.replace(blank, report=report)


def _worker() -> Worker:
    worker: Worker | None = getattr(_THREAD, "worker", None)
    if worker is None:
        worker = _THREAD.worker = Worker()
    return worker


def is_artifact(outcome: Outcome) -> bool:
    """Whether there is something to report: an archive of texts is none."""
    if outcome.report is None:
        return True
    only = {finding.id for finding in outcome.report.findings} <= {"no-executables", "scripts"}
    return not (outcome.report.format == "archive" and not outcome.report.members and only)
