"""What `binsafe syscalls` says of a file, and what it costs to say so."""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from installed import environment

ANALYSIS_SECONDS = 400


@dataclass(frozen=True)
class Cost:
    """Of a command with all its processes: seconds of processor and clock, resident MB of the largest at its peak."""

    cpu: float
    wall: float
    peak: float


@dataclass(frozen=True)
class Answer:
    """``required`` is None where there was no answer: ``error`` says why."""

    required: frozenset[str] | None
    likely: frozenset[str]
    complete: bool
    unresolved: tuple[str, ...]
    open_set: tuple[str, ...]
    cold: Cost
    warm: Cost | None
    error: str = ""
    arguments: Mapping[tuple[str, int], frozenset[int]] = field(default_factory=dict)
    """(call, position) -> the 32-bit values that it was proved to have."""


def analyse(program: Path, loads: tuple[Path, ...] = (), *, root: Path | None = None, warm: bool = True) -> Answer:
    """Run the command with an empty cache folder, and once more with what the first run left there."""
    extra = [word for path in loads for word in ("--with", str(path))]
    extra += [] if root is None else ["--root", str(root)]
    with tempfile.TemporaryDirectory(prefix="binsafe-truth-") as cache:
        command = ["syscalls", str(program), "--json", *extra]
        text, error, cold = _run(command, cache)
        if "No such command" in error:
            command = ["inspect", str(program), "--json"]
            text, error, cold = _run(command, cache)
        again = _run(command, cache)[2] if warm else None
    try:
        found = _syscalls(json.loads(text))
    except (json.JSONDecodeError, KeyError, IndexError, TypeError):
        found = None
    if found is None:
        return Answer(None, frozenset(), False, (), (), cold, again, error.strip()[-300:] or "no answer")
    unresolved = tuple(f"{place['address']} {place['reason']}" for place in found["unresolved"])
    opened = tuple(found["open_set"])
    arguments = {
        (name, fact["argument"]): frozenset(fact["values"])
        for name, facts in found["arguments"].items()
        for fact in facts
    }
    required, likely = frozenset(found["required"]), frozenset(found["likely"])
    return Answer(required, likely, found["complete"], unresolved, opened, cold, again, arguments=arguments)


def _syscalls(document: dict[str, Any]) -> dict[str, Any] | None:
    """The object itself, or the one in the first slice of a report."""
    found = document["slices"][0]["syscalls"] if "slices" in document else document
    return found if found is None or "required" in found else found["syscalls"]


def _run(arguments: list[str], cache: str) -> tuple[str, str, Cost]:
    started = time.monotonic()
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
        process = subprocess.Popen(
            [sys.executable, "-m", "binsafe", *arguments],
            env={**environment(), "XDG_CACHE_HOME": cache, "NO_COLOR": "1"},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=errors,
        )
        usage = _wait(process, started)
        output.seek(0)
        errors.seek(0)
        text, error = output.read().decode(), errors.read().decode(errors="replace")
    wall = time.monotonic() - started
    return text, error, Cost(usage.ru_utime + usage.ru_stime, wall, usage.ru_maxrss / 1024)


def _wait(process: subprocess.Popen[bytes], started: float) -> Any:
    while True:
        ended, status, usage = os.wait4(process.pid, os.WNOHANG)
        if ended:
            process.returncode = os.waitstatus_to_exitcode(status)
            return usage
        if time.monotonic() - started > ANALYSIS_SECONDS:
            process.kill()
        time.sleep(0.01)
