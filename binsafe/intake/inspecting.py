"""Inspecting one file: parsers see hostile bytes, so they get a process with limits and nothing of ours to break."""

from pathlib import Path

from binsafe.errors import NotAnalysable
from binsafe.intake.finding import Found
from binsafe.intake.snapshot import Snapshot
from binsafe.intake.workers import Worker
from binsafe.model import Artifact, Finding, Report, Severity, Verdict


def inspect(snapshot: Snapshot, *, syscalls: bool = True, listings: bool = False, root: Path | None = None) -> Report:
    """The report on a snapshot's bytes; its libraries are looked up below ``root``, or on this system.

    ``syscalls`` and ``listings`` as in :func:`binsafe.inspection.inspect`.

    A parser that crashes, hangs or eats all memory is reported as such: ``analysed`` is false and the verdict
    "unknown". A report always comes back, except when Python itself cannot be started.
    """
    with Worker() as worker:
        return worker.inspect(snapshot, syscalls=syscalls, listings=listings, root=root)


def not_analysed(found: Found, error: NotAnalysable) -> Report:
    """The report on something that cannot even be read as a file of bytes: a directory, a FIFO, an empty file."""
    what = Finding(id=error.finding, severity=Severity.HIGH, title="Could not be analysed", detail=str(error))
    return Report(
        artifact=Artifact(name=found.name, path=str(found.path), size=0, sha256="unknown"),
        format="unknown",
        analysed=False,
        findings=(what,),
        verdict=Verdict(level="unknown", advice=f"Do not run it: {error.hint}."),
    )
