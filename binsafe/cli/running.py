"""What `binsafe run` does: inspect, or take a policy that is there; enforce, run. Without click: see ``starting``."""

from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from binsafe.cli.asked import Asked, found_on_path
from binsafe.cli.denials import Teller, mention
from binsafe.cli.entry import note
from binsafe.cli.taking import take
from binsafe.cli.waiting import TIMED_OUT, Attendance
from binsafe.errors import FileChanged, NotEnforceable
from binsafe.intake import Snapshot
from binsafe.intake.finding import command
from binsafe.paths import is_inside
from binsafe.policy.objects import PACK
from binsafe.sandbox import Order, launch
from binsafe.sandbox.reach import check_files, is_searched_from_here

if TYPE_CHECKING:
    from binsafe.model import Gap, Policy
    from binsafe.sandbox.backends import Prepared
    from binsafe.sandbox.relayed import Relayed
    from binsafe.seatbelt.nodes import Place


def run(  # noqa: PLR0913 - one for each option
    prepared: "Prepared | None" = None,
    taken: Callable[[], Snapshot] | None = None,
    *,
    file: str,
    arguments: tuple[str, ...],
    policy_file: str | None,
    backend: str | None,
    allow_partial: bool,
    dry_run: bool,
    report: str | None,
    timeout: float | None,
    yes: bool,
    **asked: Any,
) -> int:
    """Run a program as the options ask, which are `binsafe run`'s. Returns the status to end with.

    ``taken``, if given, waits for the program's bytes, which another thread is copying already.
    """
    given, mention_cap = _read(policy_file) if policy_file else (None, None)
    with taken() if taken is not None else take(file) as snapshot:
        wishes = found_on_path(Asked(**asked))
        key, remembered = (None, None) if policy_file else _remembered(snapshot, wishes)
        if given is not None:
            policy = _made_for(snapshot, given, policy_file)
        else:
            policy = remembered or _inspected(snapshot, wishes, yes=yes, key=key)
        if dry_run:
            _describe(policy)
            if mention_cap is not None:
                mention_cap()
            return 0
        rules = [path for path in (policy_file, wishes.baseline) if path and Path(path).is_file()]
        check_files(policy, [*rules, *([report] if report else [])])
        _check_report(report, [snapshot.artifact.path, *rules])
        teller = Teller(Path(report) if report is not None else None)
        order = Order(
            policy=policy,
            program=snapshot.descriptor,
            path=snapshot.artifact.path,
            arguments=arguments,
            accept_gap=_accept if allow_partial else None,
            on_violation=teller.tell,
            prepared=prepared,
        )
        again = None if remembered is None else partial(_inspected, snapshot, wishes, yes=yes, key=key)
        return _attended(order, snapshot, teller, again, backend=backend, timeout=timeout)


def _attended(
    order: Order,
    snapshot: Snapshot,
    teller: Teller,
    again: "Callable[[], Policy] | None",
    *,
    backend: str | None,
    timeout: float | None,
) -> int:
    """Launch, attend to the program until it ends, and say what it was denied."""
    with Attendance() as attendance:
        process = _launched(order, backend, again)
        teller.watch(process, order)
        snapshot.close()
        if process.backend == "landlock":
            _mention_fallback(order.policy, chosen=backend is not None)
        _mention_environment(order.policy)
        if is_searched_from_here(order.policy):
            mention("it may write where python -m looks for binsafe next time: type binsafe, or python -P -m binsafe")
        try:
            status = attendance.wait(process, timeout)
        finally:
            process.stop(grace=0)
    if status == TIMED_OUT and timeout is not None:
        mention(f"stopped after {timeout:g} s")
    teller.sum_up(process.unreported, status, untold=process.untold)
    if process.took_keys and all(grant.object != "TERM" for grant in order.policy.of("environment")):
        mention("it uses your terminal and does not know its type: add --env TERM")
    return status


def _launched(order: Order, backend: str | None, again: "Callable[[], Policy] | None") -> "Relayed":
    """Launch; where a library has changed since the policy was made, make the policy ``again`` and launch once more."""
    try:
        return launch(order, backend=backend)
    except FileChanged:
        if again is None:
            raise
        return launch(msgspec.structs.replace(order, policy=again(), prepared=None), backend=backend)


def _remembered(snapshot: Snapshot, asked: Asked) -> tuple[str, "Policy | None"]:
    """The key under which a policy for all this is kept, and the policy that lies there."""
    from binsafe.cli.remembered import key_for, recall

    key = key_for(snapshot, asked)
    return key, recall(key)


def _read(policy_file: str) -> "tuple[Policy, Callable[[], None]]":
    """A policy, and what mentions its calls beyond the cap: the file may be a pipe, which is read once."""
    from binsafe.cli.profiletext import read_profile
    from binsafe.policy import read_policy

    text, locate = read_profile(Path(policy_file))
    return read_policy(text, policy_file), partial(_mention_cap, text, locate)


def _made_for(snapshot: Snapshot, policy: "Policy", origin: str | None) -> "Policy":
    """The same policy, which must have been made for these very bytes."""
    if policy.artifact.sha256 != snapshot.artifact.sha256:
        raise NotEnforceable(
            f"{origin} was made for other bytes than those of {snapshot.artifact.path}",
            hint="inspect the file again and derive a new policy: binsafe profile --for policy",
        )
    return policy


def _check_report(report: str | None, read: Iterable[str]) -> None:
    """Raise NotEnforceable where the report would be written over one of the files that are read."""
    for path in read:
        if report is not None and Path(report).exists() and Path(path).exists() and Path(report).samefile(path):
            raise NotEnforceable(f"the report would be written over {path}", hint="give --report another file")


def _inspected(snapshot: Snapshot, asked: Asked, *, yes: bool, key: str | None) -> "Policy":
    from binsafe.cli.first_run import inspected

    return inspected(snapshot, asked, yes=yes, key=key)


def _describe(policy: "Policy") -> None:
    import click

    from binsafe.policy.calls import INCOMPLETE
    from binsafe.reports.escape import escape
    from binsafe.sandbox import diagnose

    for grant in policy.grants:
        click.echo(f"grant  {grant.kind} {escape(grant.object)} {escape(grant.access)}".rstrip())
    for denial in policy.denied:
        click.echo(f"deny   {escape(denial.capability)}")
    if assumed := sorted({grant.object for grant in policy.of("syscall") if INCOMPLETE in grant.reason}):
        note(f"not all of its system calls could be found; within the baseline's cap it gets also {', '.join(assumed)}")
    for backend in diagnose().backends:
        click.echo(f"backend {backend.name}: {backend.enforcement}")
        for gap in backend.gaps:
            click.echo(f"  gap {gap.id}: {gap.reason}")


def _mention_cap(text: str, locate: "Callable[[Place], str]") -> None:
    """Say what a policy grants beyond its baseline; not where a program starts, which that would cost its time."""
    from binsafe import baselines
    from binsafe.checks import check_text

    for finding in check_text(text, "policy", extended=baselines.load):
        note(f"{locate(finding.place)}: {finding.message}")


def _mention_environment(policy: "Policy") -> None:
    """Say how the Python of a virtual environment finds what is installed there: by its path, if that is granted."""
    name = policy.artifact.name
    if not any(grant.reason.startswith(f"{PACK}python:") for grant in policy.grants):
        return
    called = Path(name if "/" in name else command(name) or name).absolute()
    environment = called.parent.parent
    granted = any(is_inside(str(called), grant.object) for kind in ("read", "write") for grant in policy.of(kind))
    if (environment / "pyvenv.cfg").exists() and not (granted and "/" in name):
        from binsafe.reports.escape import shell_word

        typed = f"--read {shell_word(str(environment))} {shell_word(str(called))}"
        mention(f"it finds nothing that is installed in its virtual environment unless it is started so: {typed}")


def _mention_fallback(policy: "Policy", *, chosen: bool) -> None:
    from binsafe.sandbox import BACKENDS

    why = "as asked" if chosen else "namespaces are refused here"
    missed = any(grant.object == "scratch" for grant in policy.of("write"))
    without = "; there is no scratch folder but with --scratch DIR" if missed else ""
    mention(f"{why}: Landlock and seccomp hold the policy{without}; see binsafe doctor")
    _, make = BACKENDS["landlock"]
    for gap in make().leaves_open:
        mention(f"left open: {gap.reason}")


def _accept(gap: "Gap") -> None:
    note(f"not given here: {gap.reason}")
