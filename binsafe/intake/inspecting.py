"""Inspecting in a child process: the parsers see hostile bytes, so they get limits and nothing of ours to break."""

import subprocess
import sys
from pathlib import Path

import msgspec

from binsafe.errors import NotAnalysable
from binsafe.intake.finding import Found
from binsafe.intake.snapshot import Snapshot
from binsafe.limits import MAX_REPORT_BYTES, WORKER_SECONDS
from binsafe.model import Artifact, Finding, Report, Severity, Verdict

_PACKAGES = str(Path(__file__).resolve().parents[2])
_START = "import sys; sys.path.insert(0, sys.argv[1]); from binsafe.intake.worker import main; main()"


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """What the worker is asked to do; it reads the bytes from ``descriptor``."""

    artifact: Artifact
    descriptor: int
    syscalls: bool = True
    listings: bool = False
    root: str | None = None


def inspect(snapshot: Snapshot, *, syscalls: bool = True, listings: bool = False, root: Path | None = None) -> Report:
    """The report on a snapshot's bytes; its libraries are looked up below ``root``, or on this system.

    ``syscalls`` and ``listings`` as in :func:`binsafe.inspection.inspect`.

    A parser that crashes, hangs or eats all memory is reported as such: ``analysed`` is false and the verdict
    "unknown". A report always comes back, except when Python itself cannot be started.
    """
    order = Order(
        artifact=snapshot.artifact,
        descriptor=snapshot.descriptor,
        syscalls=syscalls,
        listings=listings,
        root=None if root is None else str(root.resolve()),
    )
    command = [sys.executable, "-P", "-c", _START, _PACKAGES]  # -P: no module of the current folder's
    try:
        done = subprocess.run(
            command,
            input=msgspec.json.encode(order),
            capture_output=True,
            pass_fds=(snapshot.descriptor,),
            timeout=2 * WORKER_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return _crashed(snapshot.artifact, f"the parser did not end within {2 * WORKER_SECONDS} s")
    if done.returncode == 0 and len(done.stdout) <= MAX_REPORT_BYTES:
        return msgspec.json.decode(done.stdout, type=Report)
    return _crashed(snapshot.artifact, _reason(done))


def _reason(done: subprocess.CompletedProcess[bytes]) -> str:
    if done.returncode < 0:
        return f"the parser was ended by signal {-done.returncode}"
    if done.returncode == 0:
        return f"the report has more than {MAX_REPORT_BYTES:,} bytes"
    last = done.stderr.decode("utf-8", "replace").strip().splitlines()[-1:] or ["it said nothing"]
    return f"the parser failed: {last[0][:300]}"


def not_analysed(found: Found, error: NotAnalysable) -> Report:
    """The report on something that cannot even be read as a file of bytes: a directory, a FIFO, an empty file."""
    artifact = Artifact(name=found.name, path=str(found.path), size=0, sha256="unknown")
    return _refused(artifact, error.finding, str(error), f"Do not run it: {error.hint}.")


def _crashed(artifact: Artifact, reason: str) -> Report:
    advice = "Do not run it: it could not be analysed, and a file that breaks parsers may have been made to."
    return _refused(artifact, "parser-failed", reason, advice)


def _refused(artifact: Artifact, finding: str, reason: str, advice: str) -> Report:
    what = Finding(id=finding, severity=Severity.HIGH, title="Could not be analysed", detail=reason)
    return Report(
        artifact=artifact,
        format="unknown",
        analysed=False,
        findings=(what,),
        verdict=Verdict(level="unknown", advice=advice),
    )
