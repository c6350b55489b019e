"""The workloads once more, with faults: programs take other ways then, and a list has to hold on these too.

A first pass is without and says which calls each command of the workload makes. In the passes that follow, until the
time is over, each command runs some times more before it does its work, each time with another fault (see ``faults``);
a server meets one in each pass. A pass ends where a fault keeps the workload from going on: what it did counts.
"""

import contextlib
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import mean

from bench import Bench, Server, WorkloadFailed
from faults import Choice, Faulty
from tracing import Strace

HEAD = f"{'program':16} {'kind':8} {'runs':>5} traced faults  size complete missed"
_FAULT_SECONDS = 5
_ROUND_SECONDS, _MOST = 3, 12
"""What one command takes in one pass, and how often it runs there."""


@dataclass(frozen=True)
class Step:
    """What one command of a workload did without faults."""

    calls: Counter[str]
    seconds: float


@dataclass
class Provoked:
    """Call -> what went wrong when it was made first, and the command; nothing where it is made without faults."""

    calls: dict[str, str] = field(default_factory=dict)
    runs: int = 0

    def add(self, calls: Iterable[str], why: str) -> None:
        self.runs += 1
        for name in calls:
            self.calls.setdefault(name, why)


@dataclass(frozen=True)
class Outcome:
    """A program's calls without and with faults, and those of its list."""

    name: str
    kind: str
    traced: frozenset[str]
    provoked: Provoked
    listed: frozenset[str]
    complete: bool

    @property
    def seen(self) -> frozenset[str]:
        return self.traced | self.provoked.calls.keys()

    @property
    def missed(self) -> list[str]:
        return sorted(self.seen - self.listed)

    def lines(self) -> Iterator[str]:
        yield (
            f"{self.name:16} {self.kind:8} {self.provoked.runs:5} {len(self.traced):6} {len(self.seen):6} "
            f"{len(self.listed):5} {'yes' if self.complete else 'no':>8} {len(self.missed):6}"
        )
        for name in self.missed:
            yield f"    misses {name}: {self.provoked.calls.get(name) or 'without faults'}"


def summary(outcomes: Sequence[Outcome]) -> Iterator[str]:
    """How far the lists are from what was seen, for each kind."""
    for kind in ("dynamic", "static"):
        if some := [each for each in outcomes if each.kind == kind]:
            traced, seen, listed = (mean(map(len, sets)) for sets in zip(*map(_sets, some), strict=True))
            yield f"{kind:10} {len(some)} programs: {traced:.1f} traced, {seen:.1f} with faults, {listed:.1f} listed"


def _sets(outcome: Outcome) -> tuple[frozenset[str], ...]:
    return outcome.traced, outcome.seen, outcome.listed


def provoke(
    workload: Callable[[Bench], None], program: Path, tracer: Strace, choice: Choice, seconds: float
) -> Provoked:
    """Do the work without faults, and then with faults for about as many seconds.

    Raises:
        WorkloadFailed: without faults.
    """
    provoked = Provoked()
    with _scratch() as folder, contextlib.closing(FaultyBench(program, folder, tracer, provoked)) as bench:
        workload(bench)
    steps, end = tuple(bench.steps), time.monotonic() + seconds
    while time.monotonic() < end:
        with _scratch() as folder, contextlib.closing(FaultyBench(program, folder, tracer, provoked)) as bench:
            bench.meet(steps, choice, end)
            with contextlib.suppress(WorkloadFailed, OSError, ValueError, IndexError, subprocess.TimeoutExpired):
                workload(bench)
    return provoked


@contextlib.contextmanager
def _scratch() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="truth-", dir="/var/tmp", ignore_cleanup_errors=True) as folder:
        scratch = Path(folder) / "work"
        scratch.mkdir()
        Path(folder).chmod(0o755)
        yield scratch


class FaultyBench(Bench):
    """A bench whose programs run without faults, or `meet` them."""

    def __init__(self, program: Path, folder: Path, tracer: Strace, provoked: Provoked) -> None:
        super().__init__(program, folder, tracer)
        self.plain, self.provoked = tracer, provoked
        self.steps: list[Step] = []
        self._known: Sequence[Step] = ()
        self._choice: Choice | None = None
        self._end = float("inf")

    def meet(self, known: Sequence[Step], choice: Choice, end: float) -> None:
        """Let the commands meet faults, of which it is ``known`` what they do without, until an end of the clock."""
        self._known, self._choice, self._end = known, choice, end

    @property
    def run_seconds(self) -> float:
        """After which a run is killed."""
        return _FAULT_SECONDS if self._choice else super().run_seconds

    @property
    def ready_seconds(self) -> float:
        """After which a server that cannot be reached has failed."""
        return _FAULT_SECONDS if self._choice else super().ready_seconds

    def run(self, *arguments: str | Path, stdin: bytes = b"", name: str | None = None, **environment: str) -> bytes:
        """The program with faults, and then as it is."""
        for fault in self._drawn():
            self.tracer = fault
            super().run(*arguments, stdin=stdin, name=name, **environment)
            self._count(self.traces[-1], fault, arguments)
        self.tracer, begun = self.plain, time.monotonic()
        output = super().run(*arguments, stdin=stdin, name=name, **environment)
        self.steps.append(Step(self._count(self.traces[-1]), time.monotonic() - begun))
        return output

    @contextlib.contextmanager
    def server(self, *arguments: str | Path, name: str | None = None, **environment: str) -> Iterator[Server]:
        """The program in the background, with one fault."""
        fault, at = next(self._drawn(), None), len(self.steps)
        self.tracer = fault or self.plain
        self.steps.append(Step(Counter(), 1))
        trace = self.folder.parent / f"trace-{len(self.traces)}"
        try:
            with super().server(*arguments, name=name, **environment) as server:
                self.tracer = self.plain
                yield server
        finally:
            self.steps[at] = Step(self._count(trace, fault, arguments), 1)

    def _count(self, trace: Path, fault: Faulty | None = None, arguments: tuple[str | Path, ...] = ()) -> Counter[str]:
        """The calls of one run."""
        text = trace.read_text(errors="replace") if trace.exists() else ""
        trace.unlink(missing_ok=True)
        calls = self.plain.read(text, self.program, self.folder).calls
        self.provoked.add(calls, f"{fault}: {' '.join(map(str, arguments))[:80]}" if fault else "")
        return calls

    def _drawn(self) -> Iterator[Faulty]:
        """Faults for the next command.

        Raises:
            WorkloadFailed: the time is over.
        """
        if time.monotonic() > self._end:
            raise WorkloadFailed("the time is over")
        if self._choice is None or len(self.steps) >= len(self._known):
            return
        step = self._known[len(self.steps)]
        for _ in range(max(1, min(_MOST, int(_ROUND_SECONDS / (step.seconds + 0.02))))):
            if time.monotonic() > self._end:
                break
            yield self._choice.draw(step.calls)
