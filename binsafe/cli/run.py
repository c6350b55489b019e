"""binsafe run: inspect, derive, enforce, run."""

import contextlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from binsafe.cli.entry import note
from binsafe.cli.options import Asked, derive_policy, grants

if TYPE_CHECKING:
    from binsafe.intake import Snapshot
    from binsafe.model import Gap, Policy, Report
    from binsafe.sandbox.backends import Prepared


@click.command(
    "run",
    context_settings={"allow_interspersed_args": False},
    epilog="""\b
Examples:
  binsafe run --ports 30 flakyservers
  binsafe run --ports :8080 --env LOG=debug ./server --listen 127.0.0.1:8080
  binsafe run --policy server.policy.json --report denied.jsonl ./server
  binsafe run --dry-run ./server""",
)
@click.argument("file")
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
@grants
@click.option("--env", multiple=True, metavar="NAME[=VALUE]", help="Give it a variable; it gets no other but PATH.")
@click.option(
    "--scratch",
    type=click.Path(exists=True, file_okay=False),
    metavar="DIR",
    help="A folder for its temporary files (TMPDIR), which stay; else it gets one that goes with it.",
)
@click.option("--policy", "policy_file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--backend", metavar="NAME", help="The mechanism; see binsafe doctor.")
@click.option("--allow-partial", is_flag=True, help="Go on without grants that this machine cannot give; name each.")
@click.option("--dry-run", is_flag=True, help="Say what would be granted and denied; start nothing.")
@click.option(
    "--report", type=click.Path(dir_okay=False, path_type=Path), help="Write violations there, as JSON lines."
)
@click.option("--timeout", type=click.FloatRange(min=0, min_open=True), help="Stop it after so many seconds (124).")
@click.option("--yes", is_flag=True, help="Run it although the verdict is danger.")
@click.pass_obj
def command(  # noqa: PLR0913 - one for each option
    prepared: "Prepared | None",
    /,
    *,
    file: str,
    arguments: tuple[str, ...],
    policy_file: Path | None,
    backend: str | None,
    allow_partial: bool,
    dry_run: bool,
    report: Path | None,
    timeout: float | None,
    yes: bool,
    **asked: Any,
) -> int:
    """Run FILE with ARGS under the least it needs; everything after FILE belongs to the program.

    Exit status: the program's own, 128+N after signal N; 124 timeout, 125 refused or not enforceable here, 126 not a
    program of this machine's, 127 not found.
    """
    taken = _taking(file)
    import msgspec

    from binsafe.cli.attending import TIMED_OUT, Attendance
    from binsafe.cli.telling import Teller, mention
    from binsafe.errors import FileChanged
    from binsafe.sandbox import Order, launch, preparing

    preparing.load()
    given = _read(policy_file) if policy_file else None
    with _snapshot(taken) as snapshot:
        wishes = Asked(**asked)
        key, remembered = (None, None) if policy_file else _remembered(snapshot, wishes)
        if given is not None:
            policy = _made_for(snapshot, given, policy_file)
        else:
            policy = remembered or _derive(snapshot, wishes, yes=yes, key=key)
        if dry_run:
            _describe(policy)
            return 0
        teller = Teller(report)
        order = Order(
            policy=policy,
            program=snapshot.descriptor,
            path=snapshot.artifact.path,
            arguments=arguments,
            accept_gap=_accept if allow_partial else None,
            on_violation=teller.tell,
            prepared=prepared,
        )
        with Attendance() as attendance:
            try:
                process = launch(order, backend=backend)
            except FileChanged:
                if remembered is None:
                    raise
                policy = _derive(snapshot, wishes, yes=yes, key=key)
                process = launch(msgspec.structs.replace(order, policy=policy, prepared=None), backend=backend)
            snapshot.close()
            if process.backend == "landlock":
                _mention_fallback(policy, chosen=backend is not None)
            try:
                status = attendance.wait(process, timeout)
            finally:
                process.stop(grace=0)
    if status == TIMED_OUT and timeout is not None:
        mention(f"stopped after {timeout:g} s")
    teller.sum_up(process.unreported)
    return status


def _taking(file: str) -> "Callable[[], Snapshot]":
    """The bytes to run, copied and hashed while modules are loaded."""
    from binsafe.cli.beside import beside
    from binsafe.intake import Snapshot, find

    with _as_in_a_shell():
        found = find(file, progress=note)
    return beside(lambda: Snapshot.take(found))


def _snapshot(taken: "Callable[[], Snapshot]") -> "Snapshot":
    with _as_in_a_shell():
        return taken()


@contextlib.contextmanager
def _as_in_a_shell() -> "Iterator[None]":
    """Status 3 is the program's to use: what is no file of bytes is 126 here."""
    from binsafe.errors import NotAnalysable, NotExecutable

    try:
        yield
    except NotAnalysable as error:
        raise NotExecutable(str(error), hint=error.hint) from error


def _remembered(snapshot: "Snapshot", asked: Asked) -> tuple[str, "Policy | None"]:
    """The key under which a policy for all this is kept, and the policy that lies there."""
    from binsafe.cli.remembered import key_for, recall

    key = key_for(snapshot, asked)
    return key, recall(key)


def _read(policy_file: Path) -> "Policy":
    from binsafe.policy import read_policy

    return read_policy(policy_file.read_text(encoding="utf-8"), str(policy_file))


def _made_for(snapshot: "Snapshot", policy: "Policy", origin: Path | None) -> "Policy":
    """The same policy, which must have been made for these very bytes."""
    from binsafe.errors import NotEnforceable

    if policy.artifact.sha256 != snapshot.artifact.sha256:
        raise NotEnforceable(
            f"{origin} was made for other bytes than those of {snapshot.artifact.path}",
            hint="inspect the file again and derive a new policy: binsafe profile --for policy",
        )
    return policy


def _derive(snapshot: "Snapshot", asked: Asked, *, yes: bool, key: str | None) -> "Policy":
    """Inspect and derive; kept for the next start, unless somebody has to be asked each time."""
    from binsafe.cli.remembered import keep
    from binsafe.intake import inspect
    from binsafe.sandbox.launching import check_native

    report = inspect(snapshot)
    _refuse_unknown(report)
    check_native(report.slices[0].system, "+".join(part.arch for part in report.slices), report.artifact.name)
    if report.verdict.level == "danger" and not yes:
        _ask(report)
    policy = derive_policy(report, asked)
    if report.verdict.level != "danger" and key is not None:
        keep(key, policy)
    return policy


def _refuse_unknown(report: "Report") -> None:
    from binsafe.errors import NotEnforceable, NotExecutable

    if report.analysed:
        return
    detail = f"{report.artifact.path}: {report.findings[0].detail}"
    if report.format in ("script", "archive"):
        raise NotExecutable(detail, hint="name the interpreter or unpack the archive, and inspect what is in it")
    raise NotEnforceable(detail, hint=report.verdict.advice)


def _ask(report: "Report") -> None:
    """A dangerous file runs only when somebody says so."""
    from binsafe.errors import NotEnforceable

    note(f"danger: {report.verdict.advice}")
    if not sys.stdin.isatty():
        raise NotEnforceable("the verdict is danger and nobody is there to ask", hint="read the report; then --yes")
    if not click.confirm("Run it all the same, inside the sandbox?", default=False, err=True):
        raise NotEnforceable("not started", hint="binsafe inspect shows what was found")


def _describe(policy: "Policy") -> None:
    from binsafe.reports.escape import escape
    from binsafe.sandbox import diagnose

    for grant in policy.grants:
        click.echo(f"grant  {grant.kind} {escape(grant.object)} {escape(grant.access)}".rstrip())
    for denial in policy.denied:
        click.echo(f"deny   {escape(denial.capability)}")
    for backend in diagnose().backends:
        click.echo(f"backend {backend.name}: {backend.enforcement}")
        for gap in backend.gaps:
            click.echo(f"  gap {gap.id}: {gap.reason}")


def _mention_fallback(policy: "Policy", *, chosen: bool) -> None:
    why = "as asked" if chosen else "namespaces are refused here"
    missed = any(grant.object == "scratch" for grant in policy.of("write"))
    without = "; there is no scratch folder but with --scratch DIR" if missed else ""
    note(f"{why}: Landlock and seccomp hold the policy{without}; see binsafe doctor")


def _accept(gap: "Gap") -> None:
    from binsafe.reports.escape import escape

    note(escape(f"not given here: {gap.reason}"))
