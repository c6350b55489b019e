"""The workloads once more, while the kernel refuses the program every call that is not on its own list.

The list is taken as it is, without the cap that a policy puts on it: what is measured is whether anything is missing.
Calls outside it, and values that an argument was proved not to have, return ENOSYS. ``execve`` is open, because the
program is started by it; what the program starts itself inherits the filter, and may fail where its own list is longer.
"""

import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from analysing import Answer
from tracing import Strace

from binsafe.model import Condition
from binsafe.renderers.bpf import assemble
from binsafe.renderers.seccomp import ENOSYS, RET_ALLOW, RET_ERRNO, Outcome, Refusal, program_of

_LAUNCHER = Path(__file__).with_name("under_filter.py")
_WORD = 0xFFFF_FFFF


@dataclass(frozen=True, kw_only=True)
class Enforced(Strace):
    """Traces a program that runs under a filter: strace sees what was tried, and that it was refused."""

    filter: Path

    def command(self, output: Path) -> list[str]:
        return [*super().command(output), sys.executable, "-I", "-S", str(_LAUNCHER), str(self.filter)]


@dataclass(frozen=True)
class Done:
    """What came of one workload: the outcome of each command and request, and the calls that returned ENOSYS."""

    outcomes: tuple[str, ...]
    refused: Mapping[str, int] = field(default_factory=dict)
    failed: str = ""


def own_filter(answer: Answer, arch: str) -> bytes:
    """The filter that allows what an answer lists, with the arguments that it knows."""
    decided: dict[str, Outcome] = dict.fromkeys(sorted((answer.required or frozenset()) | {"execve"}), RET_ALLOW)
    for name in {name for name, _ in answer.arguments} & decided.keys():
        tests = (
            Condition(argument=position, mask=_WORD, values=tuple(sorted(values)))
            for (call, position), values in sorted(answer.arguments.items())
            if call == name
        )
        decided[name] = (tuple(tests),)
    refused = RET_ERRNO | ENOSYS
    return assemble(tuple(program_of(decided, arch, Refusal(refused, refused))))


def compared(name: str, answer: Answer, free: Done, held: Done) -> Iterator[str]:
    """One line for a program, and one for each outcome that is another one under the filter."""
    pairs = list(zip(free.outcomes, held.outcomes, strict=False))
    others = [(one, other) for one, other in pairs if _status(one) != _status(other)]
    refused = " ".join(f"{call} ({count}x)" for call, count in sorted(held.refused.items()))
    yield (
        f"{name:16} {len(answer.required or ()):4} calls allowed, {len(answer.arguments):3} arguments known; "
        f"{len(pairs) - len(others)} of {max(len(free.outcomes), len(held.outcomes))} outcomes the same; "
        f"{'passes' if not held.failed and not refused else 'FAILS: ' + (held.failed or refused)}"
    )
    yield from (f"  {one}   under the filter: {_status(other)}" for one, other in others)


def _status(outcome: str) -> str:
    """What stands behind the arrow; before it are names and ports that differ from run to run."""
    return outcome.rpartition(" -> ")[2]
