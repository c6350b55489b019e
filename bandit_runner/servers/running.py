"""From a name to thirty ports that answer: inspect, derive, launch under the policy, wait, and stop in the end."""

import subprocess
import time
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any, Final, Self

import msgspec

import binsafe
from bandit_runner.errors import NotReady
from bandit_runner.servers.output import Output
from bandit_runner.servers.ports import check_free

TRUTH_SCHEMA: Final = "flakyservers.truth/1"
READY_SECONDS: Final = 15.0
_INTERVAL: Final = 0.01

Note = Callable[[str], None]


class Servers:
    """Running servers; a context manager that stops them on the way out, whatever the way."""

    def __init__(
        self, process: binsafe.Sandboxed, output: Output, report: binsafe.Report, policy: binsafe.Policy
    ) -> None:
        self.process = process
        self.report = report
        self.policy = policy
        self._output = output

    @property
    def pid(self) -> int:
        """The served program's own process id on the host."""
        return self.process.pid

    def truth(self) -> dict[str, Any] | None:
        """The drawn rates and limits, where the first line that the servers printed tells them; None otherwise.

        It is the program's own word: fit for figures beside the results, for nothing that decides anything.
        """
        try:
            told = msgspec.json.decode(self._output.first_line or b"")
        except (msgspec.DecodeError, RecursionError):  # the latter of lists in lists in lists
            return None
        return told if isinstance(told, dict) and told.get("schema") == TRUTH_SCHEMA else None

    def wait_ready(self) -> None:
        """Return when this very program listens on every granted port; raises NotReady when it does not in time."""
        wanted = frozenset(self.policy.listen_ports())
        deadline = time.monotonic() + READY_SECONDS
        while missing := wanted - self.process.listening():
            self.check_running("before all ports were ready")
            if time.monotonic() > deadline:
                raise NotReady(
                    f"{len(wanted) - len(missing)} of {len(wanted)} ports were ready after {READY_SECONDS:g} s; "
                    f"missing: {', '.join(map(str, sorted(missing)))}",
                    hint="binsafe run --report denied.jsonl shows what they were denied",
                )
            time.sleep(_INTERVAL)

    def check_running(self, when: str = "by themselves") -> None:
        """Raise NotReady where they have ended, with what they said last."""
        if (status := self.process.wait(0)) is not None:
            said = "; ".join(line for line in self._output.last_lines() if TRUTH_SCHEMA not in line) or "nothing"
            raise NotReady(
                f"the servers ended with status {status} {when}; they said: {said}",
                hint="binsafe run --report denied.jsonl shows what they were denied; 128+N is signal N",
            )

    def stop(self) -> int:
        """Stop everything that was started; more than once does no harm."""
        return self.process.stop()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def start(
    snapshot: binsafe.Snapshot,
    arguments: Sequence[str],
    *,
    note: Note,
    agree: Callable[[binsafe.Report], bool],
    on_violation: Callable[[binsafe.Violation], None],
) -> Servers:
    """Start what a snapshot holds under the policy derived from it, and return when all of its ports are ready.

    ``agree`` is asked when the verdict is danger. Call it from a thread that lives as long as the servers shall.

    Raises:
        NotEnforceable: refused, as what listens nowhere is, or the sandbox cannot be had here.
        NotExecutable: the program is not one of this machine's, or a script or an archive.
        PortTaken, NotReady: another program holds a port, or the servers did not come up.
    """
    report = binsafe.inspect(snapshot)
    policy = _policy(report, agree)
    check_free(policy.listen_ports())
    output = Output()
    order = binsafe.Order(
        policy=policy,
        program=snapshot.descriptor,
        arguments=arguments,
        stdin=subprocess.DEVNULL,
        stdout=output.write_end,
        stderr=output.write_end,
        on_violation=on_violation,
    )
    try:
        process = binsafe.launch(order)
    finally:
        output.start()  # it ends with the program, or at once where none was started
    note(f"servers pid={process.pid} backend={process.backend} enforcement={process.enforcement}")
    servers = Servers(process, output, report, policy)
    try:
        servers.wait_ready()
    except BaseException as error:
        servers.stop()
        if isinstance(error, NotReady):
            check_free(policy.listen_ports())  # who took one in the meantime is to be named
        raise
    return servers


def _policy(report: binsafe.Report, agree: Callable[[binsafe.Report], bool]) -> binsafe.Policy:
    """What the program of this report may do, if it is one that can be started as the servers at all."""
    name = report.artifact.name
    if not report.analysed:
        refused = binsafe.NotExecutable if report.format in {"script", "archive"} else binsafe.NotEnforceable
        raise refused(f"{name} could not be analysed: {report.findings[0].detail}", hint=report.verdict.advice)
    if report.verdict.level == "danger" and not agree(report):
        raise binsafe.NotEnforceable(
            f"not started: {report.verdict.advice}", hint="binsafe inspect shows what was found; --yes starts it"
        )
    policy = binsafe.derive(report, binsafe.load_baseline("flaky_servers"), binsafe.Request())
    if not policy.listen_ports():
        raise binsafe.NotEnforceable(
            f"{name} cannot be the servers: nothing in it listens on a port",
            hint=f"binsafe inspect {name} shows what it can do",
        )
    return policy
