"""A process that parses for us: started when it is first needed, kept while it holds, replaced when it breaks."""

import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, NamedTuple, Self

import msgspec

from binsafe.intake.messages import Closed, Frame, Kind, Order, TooLarge, receive, send
from binsafe.intake.snapshot import Snapshot
from binsafe.limits import MAX_REPORT_BYTES, WORKER_SECONDS
from binsafe.model import Finding, Report, Severity, Verdict

_PACKAGES = str(Path(__file__).resolve().parents[2])
_START = "import sys; sys.path.insert(0, sys.argv[1]); from binsafe.intake.worker import main; main()"
_MAX_BROKEN_MEMBERS = 8


class Broken(NamedTuple):
    """How a worker ended instead of answering; ``member`` is what it was parsing of an archive, -1 for no member."""

    reason: str
    killed: bool
    member: int


class Worker:
    """Inspects one snapshot after the other in one child process; a context manager.

    Not for two threads at once: each has its own.
    """

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._connection: socket.socket | None = None
        self._said: IO[bytes] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __del__(self) -> None:
        self.close()

    @property
    def pid(self) -> int | None:
        """The child's process id while there is one."""
        return None if self._process is None else self._process.pid

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
        tries = 1
        while True:
            answer = self._ask(order, snapshot.descriptor)
            if isinstance(answer, Report):
                return answer
            if answer.killed and tries:
                tries -= 1
            elif answer.member >= 0 and len(order.skip) < _MAX_BROKEN_MEMBERS and answer.member not in order.skip:
                order = msgspec.structs.replace(order, skip=(*order.skip, answer.member))
            else:
                return crashed(snapshot, answer.reason)

    def close(self) -> None:
        """End the child; also when it is busy."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        for resource in (self._connection, self._said):
            if resource is not None:
                resource.close()
        self._process = self._connection = self._said = None

    def _ask(self, order: Order, descriptor: int) -> Report | Broken:
        member = -1
        connection = self._started()
        ends = time.monotonic() + 2 * WORKER_SECONDS
        try:
            send(connection, Kind.ORDER, msgspec.json.encode(order), descriptor)
            while True:
                connection.settimeout(max(ends - time.monotonic(), 0.001))
                frame = receive(connection, MAX_REPORT_BYTES)
                if frame.kind is not Kind.MEMBER:
                    return self._answered(frame)
                member = int(frame.payload)
        except Closed:
            return self._ended(member)
        except TimeoutError:
            self.close()
            return Broken(f"the parser did not end within {2 * WORKER_SECONDS} s", killed=False, member=member)
        except TooLarge:
            self.close()
            return Broken(f"the report has more than {MAX_REPORT_BYTES:,} bytes", killed=False, member=-1)
        except (ValueError, msgspec.MsgspecError):  # not our worker's words any more
            self.close()
            return Broken("the parser answered with something that is no report", killed=False, member=member)

    def _answered(self, frame: Frame) -> Report:
        report = msgspec.json.decode(frame.payload, type=Report)
        if frame.kind is Kind.LAST:
            self.close()
        return report

    def _ended(self, member: int) -> Broken:
        """Why the child has gone."""
        process, said = self._process, self._said
        assert process is not None  # noqa: S101 - for the type checker
        assert said is not None  # noqa: S101
        with suppress(subprocess.TimeoutExpired):
            process.wait(timeout=5)
        status = process.poll()
        said.seek(0)
        last = said.read().decode("utf-8", "replace").strip().splitlines()[-1:] or ["it said nothing"]
        self.close()
        if status is not None and status < 0:
            return Broken(f"the parser was ended by signal {-status}", killed=status == -signal.SIGKILL, member=member)
        return Broken(f"the parser failed: {last[0][:300]}", killed=False, member=member)

    def _started(self) -> socket.socket:
        if self._connection is not None:
            return self._connection
        self._connection, theirs = socket.socketpair()
        self._said = tempfile.TemporaryFile()  # noqa: SIM115 - closed by close()
        with theirs:
            self._process = subprocess.Popen(
                # -P: no module of the current folder's
                [sys.executable, "-P", "-c", _START, _PACKAGES, str(theirs.fileno())],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=self._said,
                pass_fds=(theirs.fileno(),),
                start_new_session=True,  # Ctrl-C is for us to handle: we end it
            )
        return self._connection


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
