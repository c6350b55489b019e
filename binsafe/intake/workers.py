"""A process that parses for us: started when it is first needed, kept while it holds, replaced when it breaks."""

import contextlib
import os
import select
import signal
import socket
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Self

import msgspec

from binsafe.intake import answers
from binsafe.intake.answers import Answer
from binsafe.intake.cached_programs import programs
from binsafe.intake.forking import Forked, can_fork
from binsafe.intake.messages import Calls, Closed, Ending, Kind, Order, TooLarge, receive, send, too_late
from binsafe.intake.private import private_file
from binsafe.intake.snapshot import Snapshot
from binsafe.limits import MAX_LAST_WORDS_BYTES, MAX_REPORT_BYTES, WORKER_SECONDS
from binsafe.model import Artifact, Finding, Report, Severity, Verdict

if TYPE_CHECKING:
    import subprocess

_PACKAGES = str(Path(__file__).resolve().parents[2])
_START = "import sys; sys.path.insert(0, sys.argv[1]); from binsafe.intake.worker_process import main; main()"
_MAX_BROKEN_MEMBERS = 8
_LAST_WORDS_SECONDS = 5
_PATIENCE_SECONDS = 2.0
_LARGE_BYTES = 4 * 1024**2
"""Time after which a person wants to know what is waited for, and size of what may take such time."""


class _Broken(NamedTuple):
    """How a worker ended instead of answering; ``member`` is what it was parsing of an archive, -1 for no member."""

    reason: str
    killed: bool
    member: int


class _Child(NamedTuple):
    """A process that parses, our end of the socket to it, and the file that holds what it says on standard error."""

    process: "Forked | subprocess.Popen[bytes]"
    connection: socket.socket
    said: int

    def end(self) -> None:
        """End it, also when it is busy, and let go of what it had."""
        self.process.kill()
        self.process.wait()
        self.connection.close()
        os.close(self.said)


class Worker:
    """Inspects one snapshot after the other in one child process; a context manager.

    ``progress`` is told of a large file that takes long. Not for two threads at once: each has its own.
    """

    def __init__(self, progress: Callable[[str], None] | None = None) -> None:
        self._progress = progress
        self._child: _Child | None = None
        self._programs = programs()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __del__(self) -> None:
        self.close()

    @property
    def pid(self) -> int | None:
        """The child's process id while there is one."""
        return None if self._child is None else self._child.process.pid

    def inspect(
        self,
        snapshot: Snapshot,
        *,
        syscalls: bool = True,
        listings: bool = False,
        root: Path | None = None,
        loaded: Sequence[Path] = (),
        explain: str | None = None,
        closure: bool = True,
    ) -> Report:
        """See :func:`binsafe.intake.inspect`; without ``closure`` no libraries are looked up.

        A child that somebody killed (SIGKILL: the kernel, too, when memory runs out) is given one more try. One that
        broke on a member of an archive does the others again, so that a bad member hides no other.
        """
        order = Order(
            artifact=snapshot.artifact,
            syscalls=syscalls,
            listings=listings,
            root=None if root is None else str(root.resolve()),
            loaded=tuple(str(path.resolve()) for path in loaded),
            explain=explain,
            closure=closure,
        )
        answer = self._insist(order, snapshot.descriptor, Report)
        return crashed(snapshot, answer.reason) if isinstance(answer, _Broken) else answer

    def system_calls(
        self, snapshot: Snapshot, *, root: Path | None, loaded: Sequence[Path], explain: str | None
    ) -> Calls:
        """See :func:`binsafe.intake.system_calls`."""
        order = Order(
            artifact=snapshot.artifact,
            only_syscalls=True,
            root=None if root is None else str(root.resolve()),
            loaded=tuple(str(path.resolve()) for path in loaded),
            explain=explain,
        )
        answer = self._insist(order, snapshot.descriptor, Calls)
        return Calls(problem=answer.reason) if isinstance(answer, _Broken) else answer

    def _insist(self, order: Order, descriptor: int, kind: type[Answer]) -> Answer | _Broken:
        if order.syscalls:
            order = msgspec.structs.replace(order, kept=self._programs.read(order.artifact.sha256))
        tries = 1
        while True:
            answer = self._ask(order, descriptor, kind)
            if not isinstance(answer, _Broken):
                return answer
            if answer.killed and tries:
                tries -= 1
            elif answer.member >= 0 and len(order.skip) < _MAX_BROKEN_MEMBERS and answer.member not in order.skip:
                order = msgspec.structs.replace(order, skip=(*order.skip, answer.member))
            else:
                return answer

    def close(self) -> None:
        """End the child; also when it is busy."""
        child, self._child = self._child, None
        if child is not None:
            child.end()

    def _ask(self, order: Order, descriptor: int, kind: type[Answer]) -> Answer | _Broken:
        on_the_way = answers.OnTheWay()
        child = self._started()
        ends = time.monotonic() + 2 * WORKER_SECONDS
        silent = self._progress is not None and order.artifact.size >= _LARGE_BYTES
        try:
            send(child.connection, Kind.ORDER, msgspec.msgpack.encode(order), descriptor)
            while True:
                silent = silent and not self._told(child, order.artifact, ends - 2 * WORKER_SECONDS)
                child.connection.settimeout(_left(ends))
                frame = receive(child.connection, MAX_REPORT_BYTES)
                if frame.kind is Kind.ENDED:
                    return _broken(child, msgspec.msgpack.decode(frame.payload, type=Ending), on_the_way.member)
                if on_the_way.takes(frame):
                    continue
                answer = answers.read(frame.payload, kind, order.artifact, on_the_way.gaps)
                if on_the_way.keep:
                    self._programs.write(order.artifact.sha256, on_the_way.keep)
                if frame.kind is Kind.LAST:
                    self.close()
                return answer
        except Closed:
            return self._ended(child, on_the_way.member)
        except TimeoutError:
            self.close()
            return _Broken(too_late(2 * WORKER_SECONDS), killed=False, member=on_the_way.member)
        except TooLarge:
            self.close()
            return _Broken(f"the report has more than {MAX_REPORT_BYTES:,} bytes", False, -1)
        except (ValueError, msgspec.MsgspecError):  # not our worker's words any more
            self.close()
            return _Broken("the parser answered with something that is no report", False, on_the_way.member)

    def _told(self, child: _Child, artifact: Artifact, began: float) -> bool:
        """Wait for the child's next words as long as one does so in silence; whether that was not long enough."""
        awaited = select.poll()
        awaited.register(child.connection, select.POLLIN)
        left = began + _PATIENCE_SECONDS - time.monotonic()
        if self._progress is None or awaited.poll(max(left, 0.0) * 1000):
            return False
        self._progress(f"inspecting {artifact.path}: {artifact.size:,} bytes")
        return True

    def _ended(self, child: _Child, member: int) -> _Broken:
        """Why the child has gone."""
        ends = time.monotonic() + _LAST_WORDS_SECONDS
        while (status := child.process.poll()) is None and time.monotonic() < ends:
            time.sleep(0.01)
        broken = _broken(child, Ending(status), member)
        self.close()
        return broken

    def _started(self) -> _Child:
        if self._child is None:
            with contextlib.ExitStack() as stack:
                ours, theirs = socket.socketpair()
                stack.callback(ours.close)
                said = private_file()
                stack.callback(os.close, said)
                with theirs:
                    process = _forked(theirs, said) if can_fork() else _spawned(theirs, said)
                self._child = _Child(process, ours, said)
                stack.pop_all()
        return self._child


def _broken(child: _Child, ending: Ending, member: int) -> _Broken:
    """The words for an end: the last output is that of the process that ended."""
    if ending.status is not None and ending.status < 0:
        killed = ending.status == -signal.SIGKILL
        return _Broken(answers.ended_by(-ending.status), killed=killed, member=member)
    said = os.pread(child.said, MAX_LAST_WORDS_BYTES, max(0, os.fstat(child.said).st_size - MAX_LAST_WORDS_BYTES))
    last = said.decode("utf-8", "replace").strip().splitlines()[-1:] or ["it said nothing"]
    return _Broken(ending.reason or f"the parser failed: {last[0][:300]}", killed=False, member=member)


def _left(ends: float) -> float:
    """The seconds that are left; raises TimeoutError where none are."""
    left = ends - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left


def _forked(connection: socket.socket, said: int) -> Forked:
    from binsafe.intake.worker_process import serve  # only here; else it is a program of its own

    return Forked(lambda: serve(connection), keep=(connection.fileno(),), said=said)


def _spawned(connection: socket.socket, said: int) -> "subprocess.Popen[bytes]":
    import subprocess  # only where we cannot fork

    return subprocess.Popen(
        # -P: no module of the current folder's
        [sys.executable, "-P", "-c", _START, _PACKAGES, str(connection.fileno())],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=said,
        pass_fds=(connection.fileno(),),
        start_new_session=True,  # Ctrl-C is for us to handle: we end it
    )


def crashed(snapshot: Snapshot, reason: str) -> Report:
    """The report on a file that broke the parser."""
    what = Finding(id="parser-failed", severity=Severity.HIGH, title="Could not be analysed", detail=reason)
    advice = "Do not run it: it could not be analysed, and a file that breaks parsers may have been made to."
    return Report(
        artifact=snapshot.artifact,
        format="unknown",
        analysed=False,
        findings=(what,),
        verdict=Verdict(level="unknown", advice=advice),
    )
