"""Inspecting one file: parsers see hostile bytes, so they get a process with limits and nothing of ours to break."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from binsafe.errors import NotAnalysable
from binsafe.formats import HEAD_BYTES, identify, not_executable
from binsafe.intake.finding import Found, readable
from binsafe.intake.messages import Calls
from binsafe.intake.snapshot import Snapshot
from binsafe.intake.workers import Worker
from binsafe.model import Artifact, Finding, Report, Severity, Syscalls, Verdict


def inspect(
    snapshot: Snapshot,
    *,
    syscalls: bool = True,
    listings: bool = False,
    root: Path | None = None,
    loaded: Sequence[Path] = (),
    explain: str | None = None,
    progress: Callable[[str], None] | None = None,
) -> Report:
    """The report on a snapshot's bytes; its libraries are looked up below ``root``, or on this system.

    ``syscalls``, ``listings`` and ``explain`` as in :func:`binsafe.inspection.inspect`; ``loaded`` are libraries that
    the program will load at run time. ``progress`` is told of a large file that takes long.

    A parser that crashes, hangs or eats all memory is reported as such: ``analysed`` is false and the verdict
    "unknown". A report always comes back, except when Python itself cannot be started.
    """
    head = os.pread(snapshot.descriptor, HEAD_BYTES, 0)
    if identify(head) == "script":  # two bytes and a name: nothing to be careful with
        report = refused(snapshot.artifact, not_executable("script", head))
        return msgspec.structs.replace(report, format="script")
    with Worker(progress) as worker:
        return worker.inspect(snapshot, syscalls=syscalls, listings=listings, root=root, loaded=loaded, explain=explain)


def system_calls(
    snapshot: Snapshot,
    *,
    root: Path | None,
    loaded: Sequence[Path],
    explain: str | None,
    progress: Callable[[str], None] | None = None,
) -> Syscalls:
    """The system calls of a Linux program alone, in a fraction of the time that a report takes; else as `inspect`.

    Raises:
        NotAnalysable: it is no such program, or its parser broke.
    """
    head = os.pread(snapshot.descriptor, HEAD_BYTES, 0)
    if identify(head) == "script":
        answer = Calls(problem=str(not_executable("script", head)))
    else:
        with Worker(progress) as worker:
            answer = worker.system_calls(snapshot, root=root, loaded=loaded, explain=explain)
    if answer.calls is None:
        why = f"no system calls are known of {snapshot.artifact.path}: {answer.problem}"
        raise NotAnalysable(why, hint="try binsafe inspect")
    return answer.calls


def inspect_folder(found: Found, *, syscalls: bool = True, listings: bool = False) -> Report:
    """The report on a folder that is a bundle: an application, a framework, a plug-in.

    Its files stay where they are: they are read once each, and a change meanwhile is noticed.

    Raises:
        NotAnalysable: it is another kind of folder, or cannot be read.
    """
    from binsafe.intake.folder import may_be_bundle  # most of what is inspected is a file

    if not may_be_bundle(found.path):
        raise NotAnalysable(
            f"{found.path} is a directory, not an executable file", hint="name the executable inside it"
        )
    try:
        descriptor = os.open(found.path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError as error:
        raise NotAnalysable(f"{found.path} cannot be read: {error.strerror}", hint="check its permissions") from error
    artifact = Artifact(name=readable(found.name), path=readable(str(found.path)), size=0, sha256="unknown")
    with Snapshot(artifact, descriptor) as opened, Worker() as worker:
        return worker.inspect(opened, syscalls=syscalls, listings=listings)


def not_analysed(found: Found, error: NotAnalysable) -> Report:
    """The report on something that cannot even be read as a file of bytes: a directory, a FIFO, an empty file."""
    return refused(Artifact(name=readable(found.name), path=readable(str(found.path)), size=0, sha256="unknown"), error)


def refused(artifact: Artifact, error: NotAnalysable) -> Report:
    """The report on something that could not be analysed for that reason."""
    what = Finding(id=error.finding, severity=Severity.HIGH, title="Could not be analysed", detail=readable(str(error)))
    return Report(
        artifact=artifact,
        format="unknown",
        analysed=False,
        findings=(what,),
        verdict=Verdict(level="unknown", advice=f"Do not run it: {error.hint}."),
    )
