"""A probe program and the widest policy that the shipped baseline can give it: the whole cap, whatever was found."""

import json
import os
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import platformdirs
import pytest
from hostile_program import build_hostile
from widest import widest_policy

from bandit_runner.flakyservers.build import find_go, this_machine
from binsafe.intake import Found, Snapshot
from binsafe.model import Grant, Violation
from binsafe.sandbox import Order, Sandboxed, launch

SOURCES = Path(__file__).parent / "probe"
ENDED = 10.0


@pytest.fixture(scope="session")
def probe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The probe program, built for this machine."""
    go = find_go(os.environ, platformdirs.user_cache_path("binsafe") / "flakyservers")
    binary = tmp_path_factory.mktemp("probe") / "probe"
    go.run("build", "-trimpath", "-buildvcs=false", "-o", str(binary), ".", cwd=SOURCES, target=this_machine())
    return binary


@pytest.fixture(scope="session")
def hostile() -> Iterator[Path]:
    """The hostile server in C, where an ordinary user can reach it."""
    with tempfile.TemporaryDirectory(dir="/var/tmp") as name:
        Path(name).chmod(0o755)
        yield build_hostile(Path(name) / "hostile", "-static")


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder with a file, which an ordinary user can reach and write."""
    with tempfile.TemporaryDirectory(dir="/var/tmp") as name:
        path = Path(name)
        path.chmod(0o777)
        (path / "fruit").write_text("pear\napple\n")
        (path / "fruit").chmod(0o644)
        yield path


class Run:
    """A started probe: what it said, and what was reported."""

    def __init__(self, process: Sandboxed, violations: list[Violation]) -> None:
        self.process = process
        self.violations = violations

    def answers(self) -> dict[str, str]:
        """Attempt -> its error, empty where it succeeded; waits for the end."""
        assert self.process.stdout is not None
        said = self.process.stdout.read().decode()
        assert self.process.wait(ENDED) == 0, said
        return {line["attempt"]: line["error"] for line in map(json.loads, said.splitlines())}


@pytest.fixture
def backend() -> str | None:
    """The backend that `sandboxed` uses, by name; the best one unless a module says otherwise."""
    return None


@pytest.fixture
def sandboxed(probe: Path, backend: str | None) -> Iterator[Callable[..., Run]]:
    """Start the probe with attempts as arguments; all that was started is stopped at the end."""
    started: list[Sandboxed] = []

    def start(*attempts: str, ports: tuple[int, ...] = (), **changes: tuple[Grant, ...]) -> Run:
        violations: list[Violation] = []
        with Snapshot.take(Found("probe", probe)) as snapshot:
            order = Order(
                policy=widest_policy(snapshot, ports, **changes),
                program=snapshot.descriptor,
                arguments=attempts,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                on_violation=violations.append,
            )
            process = launch(order, backend=backend)
        started.append(process)
        return Run(process, violations)

    yield start
    for process in started:
        process.stop(grace=0)
        if process.stdout is not None:
            process.stdout.close()
