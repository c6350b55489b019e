"""Programs for arm64 under Debian's qemu-user, whose ``-strace`` is another format than strace's."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from tracing import Trace

_TEXT = re.compile(r'"(?:[^"\\]|\\.)*"')
_CALL = re.compile(r"(?<![\w.])\d+ (?:([a-z_][a-z0-9_]*)\(|Unknown syscall (\d+))")
"""Also in the middle of a line: a call that waits leaves its own line open while other threads write theirs."""


@dataclass(frozen=True)
class Qemu:
    """Runs a program as `strace` would; its libraries are those below ``root``."""

    names: Mapping[int, str]
    root: Path | None
    separate: bool = False
    """Whether the program is a child of the tracer: qemu runs it in its own process."""

    confined: bool = False

    def command(self, output: Path, variables: Iterable[str] = ()) -> list[str]:
        del variables
        libraries = [] if self.root is None else ["-L", str(self.root)]
        return ["qemu-aarch64", *libraries, "-strace", "-D", str(output)]

    def read(self, text: str, program: Path, folder: Path) -> Trace:
        """All calls: what another program does that this one becomes, qemu does not trace."""
        del program, folder
        trace = Trace()
        for name, number in _CALL.findall(_TEXT.sub("", text)):
            trace.calls[name or self.names.get(int(number), f"unknown {number}")] += 1
        return trace
