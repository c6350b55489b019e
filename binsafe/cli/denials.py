"""The messages about a program's denials, while it runs and at its end.

Written past Python's buffers: an unread standard error must hold up neither the report nor the end, nor a full disk
break them.
"""

import contextlib
import errno
import os
import select
import signal
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from binsafe.model import Violation
from binsafe.model.violation import UNGRANTABLE
from binsafe.paths import is_inside

if TYPE_CHECKING:
    from binsafe.sandbox import Order
    from binsafe.sandbox.relayed import Relayed

_STDERR = 2
_ROOM_SECONDS = 1.0
"""Time that a reader may take to make room for one more line at the end."""
_SHOWN = 5
_STOPPED = frozenset(
    {0, 124, *(128 + number for number in (signal.SIGHUP, signal.SIGINT, signal.SIGKILL, signal.SIGTERM))}
)
"""How a program ends that did what it should, or was ended: by us, by its user."""
_MERGED = ("/bin", "/sbin")
_FOLDERS = ("/", "/etc", "/usr", "/dev")
_OF_THE_MACHINE = ("/proc/cpuinfo", "/proc/meminfo", "/proc/stat", "/sys/devices/")
_OF_ITSELF = ("/proc/mounts", "/proc/self/mount", "/proc/self/stat", "/etc/mtab")
_BY_VARIABLE = {"terminfo": "--env TERM", "locale": "--env LANG", "zoneinfo": "--env TZ"}
_CRASHED = {128 + number: number.name for number in (signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS)}


class Teller:
    """Tells violations on standard error, and as JSON lines in ``report``."""

    def __init__(self, report: Path | None) -> None:
        self._report = report.open("wb", buffering=0) if report is not None else None
        self._told: Counter[str] = Counter()
        self._sentences: set[str] = set()
        self._objects: set[str] = set()
        self._usual = self._again = 0
        self._read: list[str] = []
        self._doubtful: dict[str, str | None] = {}
        """What was denied that may matter -> the program that it would have started."""
        self._process: Relayed | None = None
        self._held: list[bytes] = []
        """What is to be shown when there is room for it, and no picture of the program's on the screen any more."""
        self._here = Path.cwd()
        """As it is now: the program may take away the folder that it is in."""
        self._order: Order | None = None
        self._lost: OSError | None = None
        """Why the report ends before the program does."""

    def watch(self, process: "Relayed", order: "Order") -> None:
        """Leave a picture alone that this program draws on the terminal, until it is gone; know what it was told."""
        self._process, self._order = process, order

    def tell(self, violation: Violation) -> None:
        """Tell one; what ordinary programs try on the way, and what was said before, goes to the file only."""
        if violation.expected:
            self._usual += 1
            if _may_matter(violation, self._here.parents):
                what = f"{violation.operation} {violation.object}{_by(violation)}"
                self._doubtful[what] = _program(violation)
        elif self._said(violation):
            self._again += 1
        else:
            self._told[violation.operation] += 1
            self._objects.add(violation.object)
            if violation.operation == "read":
                self._read.append(violation.object)
            self._held.append(_line(violation.sentence))
        if self._report is not None:
            try:
                line = msgspec.json.encode(violation) + b"\n"
                if self._report.write(line) != len(line):  # what is left of a disk takes a part, and is no error
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            except OSError as error:  # once it lacks one, no more: a report that goes on would look whole
                self._report.close()
                self._report, self._lost = None, error
        if self._held and not self._is_drawing():
            self._held = _write(self._held)

    def sum_up(self, unreported: int, status: int = 0, *, untold: str | None = None) -> None:
        """One line at the end, if there is anything to say and anybody listens.

        Where the program failed, one more of what most do without and this one perhaps not; one of the packs that have
        what was denied. ``untold`` is why some of it may not have been seen: then none told does not mean none.
        """
        self._held += map(_line, self._summary(unreported, status, untold))
        with contextlib.suppress(OSError):
            _write(self._held, _ROOM_SECONDS)

    def _summary(self, unreported: int, status: int, untold: str | None) -> Iterator[str]:
        if untold is not None:
            yield f"more may have been denied than is told: {untold}"
        doubtful = [what for what, program in self._doubtful.items() if program not in self._sentences]
        if doubtful and status not in _STOPPED:
            things = ", ".join(doubtful[:_SHOWN])
            yield f"it ended with status {status}; also denied, though most programs do without: {things}"
        if self._lost is not None:
            yield f"the report is not complete, it could not be written: {self._lost.strerror}"
        if self._read and (names := self._packs()):
            yield f"{' '.join(names)} grants what such programs read together"
        if also := self._also_named():
            yield f"its arguments also name what it has not come to: {' '.join(also[:_SHOWN])}"
        if self._told or unreported:
            yield self._counts(unreported + self._again)
        elif status in _CRASHED and not self._doubtful:
            yield (
                f"it ended by {_CRASHED[status]} and nothing was denied; of your variables it gets none but PATH: "
                "if it counts on one, add --env HOME=FOLDER, --env LANG, ..."
            )

    def _counts(self, unshown: int) -> str:
        kinds = ", ".join(f"{operation} {count}" for operation, count in self._told.most_common())
        parts = [f"{self._told.total() + unshown} denied" + (f": {kinds}" if kinds else "")]
        if unshown:
            parts.append(f"{unshown} more were counted, not shown")
        if self._usual:
            parts.append(f"{self._usual} that ordinary programs do without are in --report only")
        return "; ".join(parts)

    def _also_named(self) -> list[str]:
        """Options for files that it was told of, where it was denied one of those: many give up at the first."""
        if self._order is None:
            return []
        named = dict.fromkeys(os.path.normpath(self._here / argument) for argument in self._order.arguments)
        if named.keys().isdisjoint(self._read):
            return []
        import shlex  # few programs are denied anything

        policy = self._order.policy
        granted = [grant.object for kind in ("read", "write") for grant in policy.of(kind)]
        left = (path for path in named if path not in self._objects and not is_inside(path, *granted))
        return [f"--read {shlex.quote(path)}" for path in left if os.path.lexists(path)]

    def _said(self, violation: Violation) -> bool:
        """Whether it says nothing new: who searches the PATH for a program is refused in each of its folders."""
        told = {violation.sentence}
        if (program := _program(violation)) is not None:
            told.add(program)
        said = not told.isdisjoint(self._sentences)
        self._sentences |= told  # no more of them than are reported singly
        return said

    def _is_drawing(self) -> bool:
        return self._process is not None and self._process.takes_the_screen and os.isatty(_STDERR)

    def _packs(self) -> list[str]:
        """Options; a pack that a variable brings is of no use without that."""
        from binsafe import packs

        return [_BY_VARIABLE.get(name, f"--pack {name}") for name in packs.holding(self._read)]


def _may_matter(violation: Violation, above: Sequence[Path]) -> bool:
    """What is known of this machine: libraries take a guess instead, but some programs are there to tell it.

    Its addresses are among that, by which getaddrinfo(3) only sorts, while a name server has to know them.
    """
    if violation.operation == "read":
        if (violation.grant or "").startswith("--exec "):
            return True  # a helper that it has asked for, and may have given up without
        if violation.object in _FOLDERS or Path(violation.object) in above:
            return True
        return violation.object.startswith((*_OF_THE_MACHINE, *_OF_ITSELF))
    if violation.operation == "write":
        return "access" in violation.syscall  # who asks first may give up before it tries
    return violation.operation in ("bind", "network-bind") or violation.object.startswith("AF_")


def _program(violation: Violation) -> str | None:
    """The program that an option would let it start, by one name: /bin/sh is /usr/bin/sh where both are one folder."""
    folder, _, name = (violation.grant or "").removeprefix("--exec ").rpartition("/")
    if not (violation.grant or "").startswith("--exec /"):
        return None
    return f"{os.path.realpath(folder) if folder in _MERGED else folder}/{name}"


def _by(violation: Violation) -> str:
    """What would have allowed it, or that nothing would."""
    if violation.option is not None:
        return f" ({violation.option})"
    return " (no grant allows it)" if (violation.grant or "").startswith(UNGRANTABLE) else ""


def mention(message: str) -> None:
    """A line on standard error, if that finds room there before long."""
    with contextlib.suppress(OSError):
        _write([_line(message)], _ROOM_SECONDS)


def _line(message: str) -> bytes:
    from binsafe.reports.escape import escape

    return f"{escape(message)}\n".encode()


def _write(lines: Sequence[bytes], seconds: float = 0.0) -> list[bytes]:
    """Write to standard error what finds room there within ``seconds`` after what is before it; returns the rest."""
    poll = select.poll()
    poll.register(_STDERR, select.POLLOUT)
    rest = [*lines]
    while rest and any(event & select.POLLOUT for _, event in poll.poll(seconds * 1000)):
        rest[0] = rest[0][os.write(_STDERR, rest[0][: select.PIPE_BUF]) :]
        if not rest[0]:
            del rest[0]
    return rest
