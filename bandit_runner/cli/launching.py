"""The servers of a command: found and started in the sandbox, watched while it lasts, with room for its sockets."""

import asyncio
import contextlib
import os
import sys
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import click

import binsafe
from bandit_runner.cli.stopping import stop_on_signals
from bandit_runner.servers import Servers, start
from bandit_runner.tables import counted
from binsafe.cli.entry import note
from binsafe.cli.taking import take

if TYPE_CHECKING:
    from bandit_runner.balancer import Limits

STANDIN = "flakyservers"
_TELL_TRUTH = ("-truth", "-")
"""The stand-in tells its rates, so that regret can be told; a binary of the user's gets no argument."""

LOOK_SECONDS: Final = 0.2
"""Between two looks whether the servers are still there, where nobody tells."""
REAPED_SECONDS: Final = 5.0
"""Within this it is known with which status they ended."""

OTHER_FILES = 64
"""What a process has open beside its sockets, and some."""


class Options(NamedTuple):
    """How the servers are started; ``seed`` and ``limits`` go to the stand-in, a binary of the user's gets neither."""

    binary: Path | None
    limits: str
    seed: int | None
    yes: bool


@contextlib.contextmanager
def running(
    options: Options, *, on_violation: Callable[[binsafe.Violation], None] = lambda _: None
) -> Iterator[Servers]:
    """The servers, sandboxed and ready on all ports, until the block ends; what they are denied is told at once."""

    def violated(violation: binsafe.Violation) -> None:
        _tell(violation)
        on_violation(violation)

    stop_on_signals()
    arguments = (
        [] if options.binary is not None else [*_TELL_TRUTH, "-limits", options.limits, "-seed", str(options.seed or 0)]
    )
    with contextlib.ExitStack() as stack:
        # a path means what lies there: a bare name is not looked up among the commands
        with take(STANDIN if options.binary is None else str(options.binary.absolute())) as snapshot:
            note(f"inspecting {snapshot.artifact.path} (sha256 {snapshot.artifact.sha256[:16]}...)")
            servers = start(
                snapshot,
                arguments,
                note=note,
                agree=lambda report: options.yes or _ask(report),
                on_violation=violated,
            )
        stack.enter_context(servers)
        note(f"{counted(len(servers.policy.listen_ports()), 'port')} ready. {servers.report.verdict.advice}")
        yield servers


async def while_running(servers: Servers, session: Coroutine[Any, Any, None]) -> None:
    """Await the session, or break it off where the servers end: what ids come to without them says nothing."""
    task, ended = asyncio.create_task(session), asyncio.create_task(_ended(servers))
    try:
        await asyncio.wait({task, ended}, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            await task
    finally:
        for each in (task, ended):
            each.cancel()
        await asyncio.wait({task, ended})
    if not ended.cancelled():
        servers.process.wait(REAPED_SECONDS)
        servers.check_running()


async def _ended(servers: Servers) -> None:
    """Return when the servers have ended: at once where the system tells, else when somebody looks."""
    loop, told, descriptor = asyncio.get_running_loop(), asyncio.Event(), -1
    if sys.platform == "linux":
        with contextlib.suppress(OSError):  # they have ended already
            descriptor = os.pidfd_open(servers.pid)
            loop.add_reader(descriptor, told.set)
    try:
        while servers.process.wait(0) is None and not told.is_set():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(told.wait(), LOOK_SECONDS)
    finally:
        if descriptor >= 0:
            loop.remove_reader(descriptor)
            os.close(descriptor)


def room_for(limits: "Limits") -> None:
    """Let this process open as many sockets as the limits allow, where the system agrees; macOS begins with 256 files.

    Without room a flood of clients would take the sockets that we need to ask servers, who would be blamed for it.
    """
    try:
        import resource
    except ImportError:  # Windows has no such limit
        return
    needed = 2 * limits.connections + limits.requests + limits.idle_upstream + OTHER_FILES
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
    if soft != resource.RLIM_INFINITY and soft < most:
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


def _ask(report: binsafe.Report) -> bool:
    note(f"danger: {report.verdict.advice}")
    return sys.stdin.isatty() and click.confirm("Run it all the same, inside the sandbox?", default=False, err=True)


def _tell(violation: binsafe.Violation) -> None:
    if not violation.expected:
        note(violation.sentence)
