"""strace's output -> the calls that one program made itself.

Counted is every call of a process while it runs the program: from the return of the ``execve`` that loaded it, over its
forks and threads, to the ``execve`` of something else. The call that loads something else is still the program's own.
"""

import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

OPTIONS = ("strace", "-f", "-qq", "-a0", "-s256", "-X", "raw", "-e", "signal=none")
"""Constants as numbers, so that they can be compared with what an analysis says of arguments."""

_LINE = re.compile(r"(\d+) +(?:<\.\.\. )?([a-z_][a-z0-9_]*)(\(| resumed>)(.*)")
_RESULT = re.compile(r"\) = (-?\d+|0x[0-9a-f]+)")
_PATH = re.compile(r'(?:-?\w+, )?"((?:[^"\\]|\\.)*)"')
_UNKNOWN = re.compile(r"syscall_0x([0-9a-f]+)")
_UNFINISHED = "<unfinished ...>"
_REFUSED = "= -1 ENOSYS (Function not implemented)"
_FORKS = frozenset({"clone", "clone3", "fork", "vfork"})
_LOADS = frozenset({"execve", "execveat"})

DECISIVE: Mapping[str, tuple[int, ...]] = {
    "socket": (0, 1, 2),
    "socketpair": (0, 1, 2),
    "getsockopt": (1, 2),
    "setsockopt": (1, 2),
    "prctl": (0,),
    "arch_prctl": (0,),
    "personality": (0,),
    "unshare": (0,),
    "ioctl": (1,),
    "fcntl": (1,),
    "mmap": (2,),
    "mprotect": (2,),
    "madvise": (2,),
}
"""Call -> positions of the arguments that filters look at."""


@dataclass
class Trace:
    """Call -> times made; and the argument values seen, written ``position=value``."""

    calls: Counter[str] = field(default_factory=Counter)
    arguments: dict[str, set[str]] = field(default_factory=dict)
    refused: Counter[str] = field(default_factory=Counter)
    """Those that returned ENOSYS."""

    def add(self, other: "Trace") -> None:
        self.calls.update(other.calls)
        self.refused.update(other.refused)
        for name, values in other.arguments.items():
            self.arguments.setdefault(name, set()).update(values)


@dataclass(frozen=True)
class _Call:
    """One call as strace wrote it; ``result`` is None where it did not return."""

    process: int
    name: str
    arguments: str
    result: str | None
    starts: int
    """Number of the line it begins on."""
    ends: int


@dataclass(frozen=True)
class Strace:
    """Traces programs of this machine's kind; ``names`` names the numbers that strace is too old for."""

    names: Mapping[int, str]
    separate: bool = True
    """Whether the program is a child of the tracer."""
    confined: bool = False
    """Whether it runs as the sandbox lets it: see ``Bench.confined``."""

    def command(self, output: Path, variables: Iterable[str] = ()) -> list[str]:
        """What stands before the program and its arguments; variables of its own it inherits."""
        del variables
        return [*OPTIONS, "-o", str(output)]

    def read(self, text: str, program: Path, folder: Path) -> Trace:
        """See `parse`."""
        return parse(text, program, folder, self.names)


def parse(text: str, program: Path, folder: Path, names: Mapping[int, str]) -> Trace:
    """The program's own calls in one strace output; ``names`` names the numbers that strace is too old for."""
    calls = list(_calls(text))
    events: list[tuple[int, int, _Call]] = []
    for call in calls:
        events.append((call.starts, 0, call))
        if call.name in _LOADS and call.result == "0":
            events.append((call.ends, 1, call))
    trace, inside = Trace(), {}
    for _, returned, call in sorted(events, key=lambda event: event[:2]):
        if returned:
            inside[call.process] = _same(call.arguments, program, folder)
            continue
        mine = inside.get(call.process, False)
        if call.name in _FORKS and call.result is not None and call.result.isdigit():
            inside[int(call.result)] = mine
        if mine:
            _count(trace, call, names)
    return trace


def _calls(text: str) -> Iterator[_Call]:
    """Calls with their two halves joined where another process's line came between them."""
    open_: dict[int, tuple[str, str, int]] = {}
    for number, line in enumerate(text.splitlines()):
        match = _LINE.match(line)
        if match is None:
            continue
        process, name, kind, rest = int(match[1]), match[2], match[3], match[4]
        begun = number
        if kind == "(" and rest.endswith(_UNFINISHED):
            if process in open_:  # the process ended inside its last call and the id is used again
                yield _Call(process, *open_.pop(process)[:2], None, number, number)
            open_[process] = (name, rest.removesuffix(_UNFINISHED), number)
            continue
        if kind != "(":
            _, first, begun = open_.pop(process, (name, "", number))
            rest = first + rest
        result = _RESULT.findall(rest)
        yield _Call(process, name, rest, result[-1] if result else None, begun, number)
    for process, (name, rest, number) in open_.items():
        yield _Call(process, name, rest, None, number, number)


def _same(arguments: str, program: Path, folder: Path) -> bool:
    """Whether the file that was loaded is the program, under whatever name."""
    match = _PATH.match(arguments)
    if match is None:
        return False
    if match[1] == "/proc/self/exe":
        return True
    try:
        return os.path.samefile(folder / match[1], program)
    except OSError:
        return False


def _count(trace: Trace, call: _Call, names: Mapping[int, str]) -> None:
    unknown = _UNKNOWN.fullmatch(call.name)
    name = names.get(int(unknown[1], 16), call.name) if unknown else call.name
    trace.calls[name] += 1
    trace.refused[name] += call.arguments.endswith(_REFUSED)
    fields = call.arguments.split(", ")
    if name == "clone":
        flags = [field.removeprefix("flags=") for field in fields if field.startswith("flags=")]
        trace.arguments.setdefault(name, set()).update(f"0={value.partition(')')[0].strip()}" for value in flags)
    for position in DECISIVE.get(name, ()):
        if position < len(fields):
            value = fields[position].split(")")[0].strip()
            trace.arguments.setdefault(name, set()).add(f"{position}={value}")
