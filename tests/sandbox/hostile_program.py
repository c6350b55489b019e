"""How the hostile server in C is built (its sources are in ``hostile``) and run, and what became of its attempts."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from targets import PORTS, Targets

_SOURCES = sorted(map(str, (Path(__file__).parent / "hostile").glob("*.c")))
AS_IF = (
    "import sys; from binsafe import kernel; newest = kernel.landlock_abi();"
    "kernel.landlock_abi = lambda: min(newest, {abi}); from binsafe.cli import main; sys.exit(main())"
)
"""The command line as on a kernel whose Landlock is no newer: only what that one has is asked for."""
ANNOUNCED = 0x7F00_0000
"""What is added to an attempt's number where it is announced (see main.c)."""


def build_hostile(program: Path, *options: str) -> Path:
    """The program, in the order of its sources: an attempt's number is its place."""
    command = ["gcc", "-O1", "-w", *options, "-fno-toplevel-reorder", "-o", str(program), *_SOURCES]
    subprocess.run(command, check=True, timeout=120)
    return program


class Ran(NamedTuple):
    """A run that has ended: what each attempt came to, what was reported of it, and what had arrived outside."""

    attempts: dict[str, "Attempt"]
    status: int
    said: str
    arrived: list[str]


class Attempt(NamedTuple):
    """Whether it got what it wanted, how it was refused, and the violations that were reported meanwhile."""

    done: bool
    errno: int
    violations: list[dict[str, Any]]


class Backend(NamedTuple):
    """How the program is held, and the version of Landlock that is used."""

    name: str
    abi: int = 99

    @property
    def binsafe(self) -> tuple[str, ...]:
        """The command."""
        return (sys.executable, "-c", AS_IF.format(abi=self.abi))


def options(targets: Targets, backend: str, ports: list[int]) -> tuple[list[str], list[str]]:
    """Options of ``binsafe run``, and what the program is told."""
    served, (granted_too, second) = ports[:PORTS], ports[PORTS:]  # those for attempts are spoilt by them
    told = targets.told | {"ports": ",".join(map(str, served)), "granted": granted_too, "second": second}
    told |= {"inherited": targets.inherited}
    if backend == "landlock":
        told |= dict.fromkeys(("shares-network", "shares-files", "shares-processes"), 1)
    granted = ["--backend", backend, "--yes", "--ports", ",".join(f":{port}" for port in ports)]
    if backend == "landlock":
        granted += ["--scratch", str(targets.scratch)]  # it has none of its own
    return granted, [f"{name}={value}" for name, value in told.items()]


def run(program: Path, targets: Targets, *surfaces: str, backend: Backend, ports: list[int]) -> Ran:
    granted, told = options(targets, backend.name, ports)
    with tempfile.NamedTemporaryFile() as report:
        done = subprocess.run(
            [
                *backend.binsafe,
                "run",
                "--report",
                report.name,
                "--timeout",
                "100",
                *granted,
                str(program),
                *told,
                *surfaces,
            ],
            check=False,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            env=os.environ | {"SECRET": "secret"},
            pass_fds=[targets.inherited],
            cwd="/",
        )
        reported = _by_attempt(map(json.loads, Path(report.name).read_text().splitlines()))
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    attempts = {
        line["attempt"]: Attempt(line["done"], line["errno"], reported.get(line["number"], [])) for line in lines
    }
    return Ran(attempts, done.returncode, done.stderr.decode(), targets.arrived())


def _by_attempt(violations: Iterable[dict[str, Any]]) -> dict[int, list[dict[str, Any]]]:
    """An attempt's number -> the violations after its announcement (see main.c)."""
    found: dict[int, list[dict[str, Any]]] = {}
    current = -1
    for violation in violations:
        if violation["syscall"] == "prctl" and int(violation["arguments"][0], 16) >= ANNOUNCED:
            current = int(violation["arguments"][0], 16) - ANNOUNCED
        else:
            found.setdefault(current, []).append(violation)
    return found
