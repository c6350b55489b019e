"""The workloads once more, each command of them under ``binsafe run``, as a user would type it.

Granted are the scratch folder of the workload, its ports, and the programs that it starts; the list of system calls is
the program's own, under the cap of its baseline. The violations that ``binsafe run`` reports say what was refused. A
call that is refused although the cap lets it pass is missing in the list: that fails. What the cap refuses, and what no
grant can allow (datagrams, unix sockets), may change outcomes; each is named.
"""

import json
import shutil
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from analysing import Answer
from tracing import Trace

from binsafe import baselines

_CAPS = ("cli_tool", "network_server")
_IMPLIED = frozenset({"execve", "execveat", "bind", "connect", "clone3"})
"""Calls that the supervisor or the filter answers itself, whatever the list says."""


@dataclass(frozen=True, kw_only=True)
class Sandboxed:
    """Starts a program under ``binsafe run``, in place of a tracer; the report of violations is its trace."""

    folder: Path
    executes: tuple[str, ...]
    ports: list[int] = field(default_factory=list)
    """Those that the workload has asked for so far."""
    separate: bool = True

    def command(self, output: Path) -> list[str]:
        """What stands before the program and its arguments."""
        found = dict.fromkeys(path for name in self.executes if (path := shutil.which(name)) is not None)
        granted = [*_options("--ports", (f":{port}" for port in self.ports)), *_options("--exec", found)]
        granted += _options("--connect", (f"127.0.0.1:{port}" for port in self.ports))  # it is its own client
        variables = _options("--env", (f"HOME={self.folder}", "LANG=C.UTF-8"))
        words = ["run", "--yes", "--report", str(output), "--write", str(self.folder), *granted, *variables, "--"]
        return [sys.executable, "-m", "binsafe", *words]

    def read(self, text: str, program: Path, folder: Path) -> Trace:
        """The calls that did not exist for the program (ENOSYS), and all that was refused otherwise by operation."""
        del program, folder
        trace = Trace()
        for violation in map(json.loads, text.splitlines()):
            if violation["result"] == "ENOSYS":
                trace.refused[violation["syscall"]] += 1
            elif not violation["expected"]:
                trace.calls[f"{violation['operation']} {violation['object']}"[:80]] += 1
        return trace


def _options(name: str, values: Iterable[str]) -> list[str]:
    return [word for value in values for word in (name, value)]


@dataclass(frozen=True)
class Done:
    """What came of one workload: the outcome of each command and request, and what was refused."""

    outcomes: tuple[str, ...]
    refused: Mapping[str, int] = field(default_factory=dict)
    """The calls that returned ENOSYS."""
    denied: Mapping[str, int] = field(default_factory=dict)
    failed: str = ""


def missing(answer: Answer, held: Done) -> dict[str, int]:
    """The calls that were refused because the list lacks them, though a baseline would let them pass."""
    caps = {grant.object for name in _CAPS for group in baselines.load(name).calls for grant in group.grants}
    listed = (answer.required or frozenset()) | _IMPLIED
    return {call: count for call, count in held.refused.items() if call in caps and call not in listed}


def compared(name: str, answer: Answer, free: Done, held: Done) -> Iterator[str]:
    """One line for a program, one for each outcome that is another one inside, and what was refused."""
    pairs = list(zip(free.outcomes, held.outcomes, strict=False))
    others = [(one, other) for one, other in pairs if _status(one) != _status(other)]
    lacking = held.failed or _listed(missing(answer, held))
    yield (
        f"{name:16} {len(answer.required or ()):4} calls listed; "
        f"{len(pairs) - len(others)} of {max(len(free.outcomes), len(held.outcomes))} outcomes the same; "
        f"{'FAILS: ' + lacking if lacking else 'passes'}"
    )
    yield from (f"  {one}   inside: {_status(other)}" for one, other in others)
    if held.refused:
        yield f"  not there inside: {_listed(held.refused)}"
    if held.denied:
        yield f"  denied: {_listed(Counter(held.denied).most_common(12))}"


def _listed(calls: Mapping[str, int] | Iterable[tuple[str, int]]) -> str:
    pairs = sorted(calls.items()) if isinstance(calls, Mapping) else calls
    return ", ".join(f"{call} ({count}x)" for call, count in pairs)


def _status(outcome: str) -> str:
    """What stands behind the arrow; before it are names and ports that differ from run to run."""
    return outcome.rpartition(" -> ")[2]
