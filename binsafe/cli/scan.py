"""binsafe scan: many files, folders and archives."""

import contextlib
import importlib
import os
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import click

from binsafe.cli.entry import note
from binsafe.cli.options import fail_on_option, outputs
from binsafe.cli.statuses import FINDINGS, NOT_ANALYSED, reaches
from binsafe.cli.writing import write

if TYPE_CHECKING:
    from binsafe.model import Report
    from binsafe.scan.examining import Outcome
    from binsafe.scan.overview import Tally
    from binsafe.scan.walking import Coverage

_AHEAD = 4
"""Targets that wait for each worker, so that none waits for us."""


@click.command(
    "scan",
    short_help="Inspect many files, folders and archives.",
    epilog="""\b
Examples:
  binsafe scan ./downloads              (a line of JSON for each executable)
  binsafe scan / --one-file-system --output root.jsonl
  binsafe scan / --output root.jsonl --resume        (goes on with that)
  binsafe scan dist/*.whl --format sarif --output scan.sarif --fail-on high
  binsafe scan /srv --cluster tcp://scheduler:8786   (all see the same files)""",
)
@click.argument("paths", nargs=-1, required=True, metavar="PATH...")
@click.option("--jobs", type=click.IntRange(1, 1024), help="Files at the same time; default: one for each processor.")
@click.option("--cluster", metavar="ADDRESS", help="Let a Dask cluster do it: tcp://HOST:PORT of its scheduler.")
@outputs("jsonl", "sarif", "html")
@click.option("--resume", is_flag=True, help="Leave out what the output file has already, and add to it.")
@fail_on_option
@click.option("--syscalls", is_flag=True, help="Analyse system calls, too: takes many times as long.")
@click.option("--one-file-system", is_flag=True, help="Do not enter other file systems.")
def command(  # noqa: PLR0913 - one for each option
    *,
    paths: tuple[str, ...],
    jobs: int | None,
    cluster: str | None,
    format_: str,
    output: Path | None,
    resume: bool,
    fail_on: str,
    syscalls: bool,
    one_file_system: bool,
) -> int:
    """Look at every executable and archive in PATHs; each is a line of JSON (binsafe.scan/1) as soon as it is done.

    Symbolic links are not followed, files with the same bytes are looked at once, and one bad file never stops the
    rest. System calls are left out unless --syscalls is given.

    Exit status: 0 done; 1 findings at or above --fail-on; 2 usage; 3 something could not be read or analysed.
    """
    from binsafe.scan import Coverage, Options, scan, walk
    from binsafe.scan.examining import Known, Outcome, is_artifact
    from binsafe.scan.overview import Tally, for_sarif, summary
    from binsafe.scan.saving import left

    _check(resume=resume, output=output, format_=format_)
    started = time.monotonic()
    coverage, known, tally, kept = Coverage(), Known(), Tally(), list["Report"]()
    earlier = _earlier(output) if resume and output is not None else []
    current: list[Outcome] = []
    targets = left(walk(paths, coverage, one_file_system=one_file_system), earlier, known, current.append)
    with _sink(output, format_, resume=resume) as put, _executor(jobs, cluster) as (executor, width):
        shared: Known | None = None if cluster else known
        outcomes = scan(targets, executor, Options(syscalls=syscalls), window=_AHEAD * width, known=shared)
        for outcome in _shown(outcomes, coverage):
            if not is_artifact(outcome):
                coverage.others += 1
                continue
            tally.add(outcome)
            put(outcome)
            if format_ == "sarif" and outcome.report is not None:
                kept.append(for_sarif(outcome.report))
    for outcome in current:
        tally.add(outcome)
    _whole(format_, output, kept, tally, coverage)
    for text in summary(tally, coverage, time.monotonic() - started):
        note(text)
    if not tally.analysed or coverage.skipped:
        return NOT_ANALYSED
    return FINDINGS if reaches(tally.worst, fail_on) else 0


def _check(*, resume: bool, output: Path | None, format_: str) -> None:
    from binsafe.errors import UsageError

    if resume and (output is None or format_ != "jsonl"):
        raise UsageError("--resume needs a file of lines", hint="give --output PATH and --format jsonl")


def _earlier(output: Path) -> "list[Outcome]":
    from binsafe.errors import UsageError
    from binsafe.scan.saving import resume

    try:
        return resume(output)
    except OSError as error:
        raise UsageError(f"cannot go on with {output}: {error.strerror}", hint="name a file you may write") from error


@contextlib.contextmanager
def _sink(output: Path | None, format_: str, *, resume: bool) -> "Iterator[Callable[[Outcome], None]]":
    """What takes the outcomes one by one; each line is in the file before the next one is made."""
    from binsafe.errors import UsageError
    from binsafe.scan.saving import line

    if format_ != "jsonl":
        yield lambda _: None
        return
    stream: IO[str] = sys.stdout
    if output is not None:
        try:
            stream = output.open("a" if resume else "w", encoding="ascii")
        except OSError as error:
            raise UsageError(f"cannot write {output}: {error.strerror}", hint="name a file you may write") from error

    def put(outcome: "Outcome") -> None:
        try:
            stream.write(line(outcome))
            stream.flush()
        except OSError as error:
            if output is None:
                raise
            hint = "make room, then go on with --resume"
            raise UsageError(f"cannot write {output}: {error.strerror}", hint=hint) from error

    try:
        yield put
    except KeyboardInterrupt:
        if output is not None:
            note(f"stopped; what is done is in {output}: the same command with --resume goes on with it")
        raise
    finally:
        if output is not None:
            with contextlib.suppress(OSError):  # every line was flushed, or it was said that it was not
                stream.close()


@contextlib.contextmanager
def _executor(jobs: int | None, cluster: str | None) -> Iterator[tuple[Executor, int]]:
    """Where the files are looked at, and how many at the same time."""
    if cluster is None:
        import msgspec

        from binsafe.model import Report

        # msgspec takes a type apart when it first meets it: where two threads did so at once, Python has crashed
        msgspec.json.Decoder(Report)
        width = jobs or os.cpu_count() or 1
        executor = ThreadPoolExecutor(width, thread_name_prefix="scan")
        try:
            yield executor, width
        finally:
            executor.shutdown(cancel_futures=True)
        return
    from binsafe.errors import UsageError

    try:
        distributed: Any = importlib.import_module("distributed")
    except ImportError as error:
        raise UsageError("Dask is not installed", hint="in the checkout: pip install '.[cluster]'") from error
    try:
        client = distributed.Client(cluster, timeout="10s")
    except (OSError, ValueError) as error:
        raise UsageError(f"no Dask scheduler answers at {cluster}", hint="start one: dask scheduler") from error
    with client:
        width = sum(client.nthreads().values()) or 1
        with client.get_executor(pure=False) as remote:
            yield remote, min(width, jobs or width)


def _shown(outcomes: "Iterator[Outcome]", coverage: "Coverage") -> "Iterator[Outcome]":
    """The outcomes, with progress, rate and time left on a terminal."""
    if not sys.stderr.isatty():
        yield from outcomes
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TimeRemainingColumn
    from rich.text import Text

    class Rate(ProgressColumn):
        """Files a second."""

        def render(self, task: Task) -> Text:
            return Text(f"{task.speed:.0f}/s" if task.speed else "")

    columns = (BarColumn(), MofNCompleteColumn(), Rate(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task("scan", total=None)
        for outcome in outcomes:
            progress.update(task, advance=1, total=coverage.worth)
            yield outcome


def _whole(format_: str, output: Path | None, kept: "list[Report]", tally: "Tally", coverage: "Coverage") -> None:
    """The formats that are written when all is known."""
    if format_ == "sarif":
        from binsafe.reports import sarif

        write(sarif.document(kept, base=str(Path.cwd())), output)
    elif format_ == "html":
        from binsafe.scan.overview import html

        write(html(tally, coverage), output)
