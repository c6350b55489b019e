"""The workloads once more, each command of them under ``binsafe run``, as a user would type it.

Granted are the scratch folder of the workload, its ports, what a program reads beside it, and the programs that it
starts; the list of system calls is the program's own, under the cap of its baseline. The same workload without a
sandbox is what it is compared with, outcome by outcome. What was denied comes from the report of ``binsafe run``: a
call that did not exist inside although the cap lets it pass is missing in the list, and that fails.
"""

import json
import os
import pwd
import shutil
import socket
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from analysing import Answer
from tracing import Trace

from binsafe import baselines
from binsafe.model.violation import UNGRANTABLE

_CAPS = ("cli_tool", "network_server")
_IMPLIED = frozenset({"execve", "execveat", "bind", "connect", "clone3"})
"""Calls that the supervisor or the filter answers itself, whatever the list says."""
_PORTS = 6
"""Drawn at once, so that all commands of a workload have the same grants: the program is inspected once."""
_SHOWN = 12


@dataclass(frozen=True, kw_only=True)
class Bare:
    """Nothing before the program: what `Sandboxed` is compared with."""

    separate: bool = False
    confined: bool = True

    def command(self, output: Path, variables: Iterable[str] = ()) -> list[str]:
        """Nothing."""
        del output, variables
        return []

    def read(self, text: str, program: Path, folder: Path) -> Trace:
        """Nothing was recorded."""
        del text, program, folder
        return Trace()


@dataclass(frozen=True, kw_only=True)
class Sandboxed:
    """Starts a program under ``binsafe run``, in place of a tracer; the report of violations is its trace."""

    folder: Path
    executes: tuple[str, ...] = ()
    reads: tuple[str, ...] = ()
    grants: tuple[str, ...] = ()
    ports: list[int] = field(default_factory=list)
    used: list[int] = field(default_factory=list)
    separate: bool = False
    """Signals go to ``binsafe run``, which passes them on."""
    confined: bool = True

    def command(self, output: Path, variables: Iterable[str] = ()) -> list[str]:
        """What stands before the program and its arguments."""
        found = dict.fromkeys(path for name in self.executes if (path := shutil.which(name)) is not None)
        granted = [*_options("--ports", (f":{port}" for port in self.ports)), *_options("--exec", found)]
        granted += _options("--connect", (f"127.0.0.1:{port}" for port in self.ports))  # it is its own client
        granted += [*_options("--read", filter(os.path.exists, self.reads)), *self.grants]
        environment = _options("--env", (f"HOME={self.folder}", "LANG=C.UTF-8", *variables))
        words = ["run", "--yes", "--report", str(output), "--write", str(self.folder), *granted, *environment, "--"]
        return [sys.executable, "-m", "binsafe", *words]

    def read(self, text: str, program: Path, folder: Path) -> Trace:
        """The calls that did not exist for the program (ENOSYS), and what it was denied, with what would grant it."""
        del program, folder
        trace = Trace()
        for violation in map(json.loads, text.splitlines()):
            if violation["result"] == "ENOSYS" or violation["object"] == violation["syscall"]:
                trace.refused[violation["syscall"]] += 1
            if not violation["expected"]:
                what = f"{violation['operation']} {violation['object']}"[:80]
                trace.calls[f"{what}: {violation['result']} ({_why(violation['grant'])})"] += 1
        return trace

    def port(self) -> int:
        """One of those that are granted; the first time they are drawn."""
        if not self.ports:
            self.ports.extend(free_ports(_PORTS))
        self.used.append(self.ports[len(self.used) % _PORTS])
        return self.used[-1]


def _why(grant: str) -> str:
    """A wall, a cap, or the grant that was not given."""
    if grant.startswith(UNGRANTABLE):
        return "a wall"
    return "outside the cap" if grant.startswith("--baseline") else grant.split(",", maxsplit=1)[0][:60]


def free_ports(count: int) -> list[int]:
    """TCP ports on loopback that nobody listens on, all of them others."""
    trials = [socket.socket() for _ in range(count)]
    for trial in trials:
        trial.bind(("127.0.0.1", 0))
    ports = [int(trial.getsockname()[1]) for trial in trials]
    for trial in trials:
        trial.close()
    return ports


def become(name: str, folder: Path) -> None:
    """Be an ordinary user from now on, at home in this folder, who owns what lies there."""
    user = pwd.getpwnam(name)
    for path in (folder, *folder.rglob("*")):
        os.chown(path, user.pw_uid, user.pw_gid)
    os.initgroups(name, user.pw_gid)
    os.setresgid(user.pw_gid, user.pw_gid, user.pw_gid)
    os.setresuid(user.pw_uid, user.pw_uid, user.pw_uid)
    os.environ["HOME"] = str(folder)


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


@dataclass(frozen=True)
class Comparison:
    """One program's workload without (``free``) and with the sandbox (``held``)."""

    name: str
    free: Done
    held: Done
    missing: Mapping[str, int]

    @property
    def passes(self) -> bool:
        """Whether the sandbox changed no outcome, and no call is missing in the list."""
        return not (self.held.failed or self.missing or self.others)

    @property
    def others(self) -> list[tuple[str, str]]:
        """Outcomes that are others inside."""
        pairs = zip(self.free.outcomes, self.held.outcomes, strict=False)
        return [(one, other) for one, other in pairs if _status(one) != _status(other)]

    def lines(self) -> Iterator[str]:
        """One line for the program, one for each outcome that is another one inside, and what was denied."""
        count = max(len(self.free.outcomes), len(self.held.outcomes))
        same = min(len(self.free.outcomes), len(self.held.outcomes)) - len(self.others)
        denied = sum(self.held.denied.values())
        verdict = "passes" if self.passes else "FAILS"
        yield f"{self.name:16} {same:>4} of {count:<4} {denied:6} {sum(self.missing.values()):8}   {verdict}"
        if self.held.failed:
            yield f"    stopped: {self.held.failed}"
        yield from (f"    {one}   inside: {_status(other)}" for one, other in self.others)
        if self.missing:
            yield f"    missing in the list: {', '.join(self.missing)}"
        most = Counter(self.held.denied).most_common(_SHOWN)
        yield from (f"    denied {what}, {times}x" for what, times in most)


HEAD = f"{'program':16} {'outcomes':12} {'denied':>6} {'missing':>8}"


def missing(answer: Answer, held: Done) -> dict[str, int]:
    """The calls that were refused because the list lacks them, though a baseline would let them pass."""
    caps = {grant.object for name in _CAPS for group in baselines.load(name).calls for grant in group.grants}
    listed = (answer.required or frozenset()) | _IMPLIED
    return {call: count for call, count in held.refused.items() if call in caps and call not in listed}


def _status(outcome: str) -> str:
    """What stands behind the arrow; before it are names and ports that differ from run to run."""
    return outcome.rpartition(" -> ")[2]
