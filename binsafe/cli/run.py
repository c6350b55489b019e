"""binsafe run: inspect, derive, enforce, run."""

import signal
import sys
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import click

from binsafe.cli.entry import note
from binsafe.cli.options import Asked, derive_policy, grants

if TYPE_CHECKING:
    from binsafe.intake import Snapshot
    from binsafe.model import Policy, Report, Violation
    from binsafe.sandbox import Sandboxed

TIMED_OUT = 124
_FORWARDED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGWINCH)


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
@click.option("--policy", "policy_file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--backend", metavar="NAME", help="The mechanism; see binsafe doctor.")
@click.option("--dry-run", is_flag=True, help="Say what would be granted and denied; start nothing.")
@click.option("--report", type=click.File("w", lazy=False), help="Write violations there, as JSON lines.")
@click.option("--timeout", type=click.FloatRange(min=0, min_open=True), help="Stop it after so many seconds (124).")
@click.option("--yes", is_flag=True, help="Run it although the verdict is danger.")
def command(
    *,
    file: str,
    arguments: tuple[str, ...],
    policy_file: Path | None,
    backend: str | None,
    dry_run: bool,
    report: IO[str] | None,
    timeout: float | None,
    yes: bool,
    **asked: Any,
) -> int:
    """Run FILE with ARGS under the least it needs; everything after FILE belongs to the program.

    Exit status: the program's own, 128+N after signal N; 124 timeout, 125 refused or not enforceable here, 126 not a
    program of this machine's, 127 not found.
    """
    from binsafe.sandbox import Order, launch

    with _snapshot(file) as snapshot:
        policy = _read(policy_file, snapshot) if policy_file else _derive(snapshot, Asked(**asked), yes=yes)
        if dry_run:
            _describe(policy)
            return 0
        order = Order(
            policy=policy,
            program=snapshot.descriptor,
            arguments=arguments,
            on_violation=lambda violation: _tell(violation, report),
        )
        process = launch(order, backend=backend)
    return _attend(process, timeout)


def _snapshot(file: str) -> "Snapshot":
    """The bytes to run. Status 3 is the program's to use: what is no file of bytes is 126 here, as in a shell."""
    from binsafe.errors import NotAnalysable, NotExecutable
    from binsafe.intake import Snapshot, find

    try:
        return Snapshot.take(find(file, progress=note))
    except NotAnalysable as error:
        raise NotExecutable(str(error), hint=error.hint) from error


def _read(policy_file: Path, snapshot: "Snapshot") -> "Policy":
    """The policy in a file, which must have been made for these very bytes."""
    from binsafe.errors import NotEnforceable
    from binsafe.policy import read_policy

    policy = read_policy(policy_file.read_text(encoding="utf-8"), str(policy_file))
    if policy.artifact.sha256 != snapshot.artifact.sha256:
        raise NotEnforceable(
            f"{policy_file} was made for other bytes than those of {snapshot.artifact.path}",
            hint="inspect the file again and derive a new policy: binsafe profile --for policy",
        )
    return policy


def _derive(snapshot: "Snapshot", asked: Asked, *, yes: bool) -> "Policy":
    from binsafe.intake import inspect
    from binsafe.sandbox.launching import check_native

    report = inspect(snapshot)
    _refuse_unknown(report)
    check_native(report.slices[0].system, "+".join(part.arch for part in report.slices), report.artifact.name)
    if report.verdict.level == "danger" and not yes:
        _ask(report)
    return derive_policy(report, asked)


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


def _tell(violation: "Violation", report: IO[str] | None) -> None:
    """Report a violation while the program runs; what ordinary programs try on the way goes to the file only."""
    import msgspec

    from binsafe.reports.escape import escape

    if report is not None:
        report.write(msgspec.json.encode(violation).decode() + "\n")
        report.flush()
    if not violation.expected:
        remedy = f"; add {violation.grant}" if violation.grant else ""
        note(escape(f"{violation.syscall} {violation.object} denied: not in the policy{remedy}"))


def _attend(process: "Sandboxed", timeout: float | None) -> int:
    """Forward signals until the program ends or its time is up."""
    previous = {number: signal.signal(number, lambda n, _: process.send_signal(n)) for number in _FORWARDED}
    try:
        status = process.wait(timeout)
        if status is not None:
            return status
        note(f"stopped after {timeout:g} s")
        process.stop()
        return TIMED_OUT
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
        process.stop(grace=0)
        if process.unreported:
            note(f"{process.unreported} more denials of the same kinds were counted, not shown")
