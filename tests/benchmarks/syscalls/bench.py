"""What a workload works with: a scratch folder, the program under strace, and plain clients beside it."""

import contextlib
import http.client
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

import backend
from enforcing import Bare, Sandboxed, free_ports
from origins import SOURCES
from qemu import Qemu
from tracing import Strace, Trace

COMMAND_SECONDS = 60
RUN_SECONDS = 15
"""A run that has not ended then is killed: what it did until then counts."""
READY_SECONDS = 20
SETTLE_SECONDS = 0.3
"""Time for a program that has just started to handle signals, where outcomes are compared."""
PAUSE_SECONDS, ANSWER_SECONDS = 0.5, 3
"""What is waited for an answer between two messages, and to the last one: also a busy machine answers by then."""
SANDBOXED_SECONDS = 90
"""The same in the sandbox: each new set of grants is a new policy, for which the program is inspected."""

_COMM = 15
"""Bytes of a program's name that the kernel keeps (proc_pid_comm(5))."""

Tracer = Strace | Qemu | Bare | Sandboxed


class WorkloadFailed(Exception):
    """The program did not do what the workload needs; what it said is in the text."""


class Server:
    """A program that was started and keeps running under strace."""

    def __init__(self, tracer: subprocess.Popen[bytes], *, separate: bool) -> None:
        self.tracer, self.separate = tracer, separate

    @property
    def pid(self) -> int:
        """The program's own process: below its tracer, where that is a ``separate`` one.

        Raises:
            ProcessLookupError: it has ended.
        """
        if not self.separate and self.tracer.poll() is None:
            return self.tracer.pid
        children = Path(f"/proc/{self.tracer.pid}/task/{self.tracer.pid}/children")
        while self.tracer.poll() is None:
            with contextlib.suppress(FileNotFoundError):
                if found := children.read_text().split():
                    return int(found[0])
            time.sleep(0.01)
        raise ProcessLookupError

    def signal(self, number: signal.Signals, *, settle: float = 0.3) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, number)
        time.sleep(settle)

    def wait(self, seconds: float = 15) -> None:
        """Wait until the program and all that it left running have ended; what does not is killed."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.tracer.wait(seconds)
            return
        for process in self._family():
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        self.tracer.wait(10)

    def _family(self) -> list[int]:
        """Processes that this tracer traces, or that are of its session."""
        mine = [self.tracer.pid] if not self.separate else []
        for status in Path("/proc").glob("[0-9]*/status"):
            with contextlib.suppress(OSError):
                text, session = status.read_text(), os.getsid(int(status.parent.name))
                if f"TracerPid:\t{self.tracer.pid}\n" in text or session == self.tracer.pid:
                    mine.append(int(status.parent.name))
        return mine


class Bench:
    """One program's traces in one scratch folder."""

    def __init__(self, program: Path, folder: Path, tracer: Tracer) -> None:
        self.program, self.folder, self.tracer = program, folder, tracer
        self.traces: list[Path] = []
        self.outcomes: list[str] = []
        """What came of each command and request so far."""
        self._closing = contextlib.ExitStack()

    @property
    def confined(self) -> bool:
        """Whether it runs in the sandbox, or to be compared with that: a workload leaves out what no grant allows."""
        return self.tracer.confined

    @property
    def run_seconds(self) -> float:
        """After which a run is killed."""
        return SANDBOXED_SECONDS if self.confined else RUN_SECONDS

    @property
    def ready_seconds(self) -> float:
        """After which a server that cannot be reached has failed."""
        return SANDBOXED_SECONDS if self.confined else READY_SECONDS

    def close(self) -> None:
        """End the servers of ours."""
        self._closing.close()

    def trace(self) -> Trace:
        """All that was traced so far."""
        whole = Trace()
        for path in filter(Path.exists, self.traces):  # qemu makes none for what it cannot start
            whole.add(self.tracer.read(path.read_text(errors="replace"), self.program, self.folder))
        return whole

    def run(self, *arguments: str | Path, stdin: bytes = b"", name: str | None = None, **environment: str) -> bytes:
        """The program to its end, whatever its status; what it wrote to standard output."""
        with (self.folder / "stderr.log").open("ab") as log:
            tracer = subprocess.Popen(
                self._traced(arguments, name, environment),
                cwd=self.folder,
                env=self._environment(environment),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                start_new_session=True,
            )
            try:
                output = tracer.communicate(stdin, self.run_seconds)[0]
            except subprocess.TimeoutExpired:
                Server(tracer, separate=self.tracer.separate).wait(0)
                output = tracer.communicate()[0]
            self.outcomes.append(_outcome(arguments, tracer.returncode))
            return output

    @contextlib.contextmanager
    def server(self, *arguments: str | Path, name: str | None = None, **environment: str) -> Iterator[Server]:
        """The program in the background; ended with SIGTERM where the workload has not ended it."""
        log = self._closing.enter_context((self.folder / "stderr.log").open("ab"))
        server = Server(
            subprocess.Popen(
                self._traced(arguments, name, environment),
                cwd=self.folder,
                env=self._environment(environment),
                stdin=subprocess.PIPE,  # some programs end when theirs is closed
                stdout=log,
                stderr=log,
                start_new_session=True,
            ),
            separate=self.tracer.separate,
        )
        if isinstance(self.tracer, Sandboxed):
            self.until(lambda: _runs(server.tracer, self.program), "it does not start")
        if self.confined:
            time.sleep(SETTLE_SECONDS)
        try:
            yield server
        finally:
            if server.tracer.poll() is None:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(server.pid, signal.SIGTERM)
            server.wait()
            server.tracer.communicate()
            self.outcomes.append(_outcome(arguments, server.tracer.returncode))

    def other(self, *command: str | Path, stdin: bytes = b"") -> bytes:
        """Another program, untraced, to its end."""
        done = subprocess.run(
            [str(word) for word in command],
            cwd=self.folder,
            env=self._environment({}),
            input=stdin,
            capture_output=True,
            timeout=COMMAND_SECONDS,
            check=False,
        )
        self.outcomes.append(_outcome(command, done.returncode))
        return done.stdout

    def write(self, name: str, text: str | bytes, mode: int = 0o644) -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        path.chmod(mode)
        return path

    def source(self, name: str) -> Path:
        """A copy of one of the files in ``sources/``."""
        return self.write(name, (SOURCES / name).read_bytes(), 0o755)

    def port(self) -> int:
        """A TCP port on loopback that nobody listens on."""
        return self.tracer.port() if isinstance(self.tracer, Sandboxed) else free_ports(1)[0]

    def ready(self, port: int) -> None:
        self.until(lambda: socket.create_connection(("127.0.0.1", port), 1).close(), f"port {port} is not served")

    def until(self, attempt: Callable[[], object], reason: str) -> None:
        """Try until it raises no OSError."""
        end = time.monotonic() + self.ready_seconds
        while True:
            try:
                attempt()
            except OSError:
                if time.monotonic() > end:
                    said = (self.folder / "stderr.log").read_bytes()[-600:].decode(errors="replace")
                    raise WorkloadFailed(f"{reason}: {said}") from None
                time.sleep(0.05)
            else:
                return

    def get(self, port: int, path: str = "/", *, method: str = "GET", body: bytes = b"", **headers: str) -> int:
        """One HTTP request; its status, 0 where the connection broke."""
        status = self._got(port, path, method, body, headers)
        self.outcomes.append(f"{method} {path[:40]} -> {status}")
        return status

    @staticmethod
    def _got(port: int, path: str, method: str, body: bytes, headers: Mapping[str, str]) -> int:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        try:
            sent = {name.replace("_", "-"): value for name, value in headers.items()}
            connection.request(method, path, body=body or None, headers=sent)
            response = connection.getresponse()
            response.read()
        except (OSError, http.client.HTTPException):
            return 0
        else:
            return response.status
        finally:
            connection.close()

    def talk(self, address: int | Path, *messages: bytes) -> bytes:
        """Bytes to a TCP port or Unix socket, and what comes back of each."""
        family = socket.AF_INET if isinstance(address, int) else socket.AF_UNIX
        answers = b""
        with socket.socket(family) as connection, contextlib.suppress(OSError):
            connection.settimeout(ANSWER_SECONDS)
            connection.connect(("127.0.0.1", address) if isinstance(address, int) else str(address))
            for number, message in enumerate(messages, 1):
                connection.settimeout(ANSWER_SECONDS if number == len(messages) else PAUSE_SECONDS)
                connection.sendall(message)
                with contextlib.suppress(TimeoutError):
                    answers += connection.recv(65536)
        self.outcomes.append(f"{messages[0][:40]!r} -> {'an answer' if answers else 'silence'}")
        return answers

    def backend(self, *, ssl_files: tuple[Path, Path] | None = None) -> int:
        """An HTTP server of ours for as long as the bench lasts; its port."""
        server = backend.start(self.port(), ssl_files)
        self._closing.callback(server.server_close)
        self._closing.callback(server.shutdown)
        return int(server.server_address[1])

    def certificate(self) -> tuple[Path, Path]:
        """A self-signed certificate for localhost, and its key."""
        certificate, key = self.folder / "cert.pem", self.folder / "key.pem"
        if not key.exists():
            self.other(
                *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=localhost", "-days", "2"),
                *("-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout", key, "-out", certificate),
            )
            key.chmod(0o644)
        return certificate, key

    def _traced(self, arguments: tuple[str | Path, ...], name: str | None, variables: Iterable[str]) -> list[str]:
        program = self.program
        if name is not None:  # programs that look at the name they are called by
            program = self.folder / "named" / name
            program.parent.mkdir(exist_ok=True)
            if not program.exists():
                program.symlink_to(self.program)
        output = self.folder.parent / f"trace-{len(self.traces)}"
        self.traces.append(output)
        return [*self.tracer.command(output, variables), str(program), *(str(word) for word in arguments)]

    def _environment(self, extra: Mapping[str, str]) -> dict[str, str]:
        own = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": str(self.folder), "LANG": "C.UTF-8"}
        if self.confined:
            own["XDG_CACHE_HOME"] = str(self.folder.parent / "cache")  # binsafe's own, where the program does not write
        return {**own, **extra}


def _runs(sandbox: subprocess.Popen[bytes], program: Path) -> None:
    """See that what was started has come as far as the program, which is inspected first, or has ended.

    A process has the name of the file that it runs; redis-server is a link to another one.

    Raises:
        FileNotFoundError: it has not, so far.
    """
    names, below = set[str](), [sandbox.pid]
    while below:
        for task in Path(f"/proc/{below.pop()}/task").glob("*"):
            names.add((task / "comm").read_text().strip())
            below += map(int, (task / "children").read_text().split())
    if sandbox.poll() is None and names.isdisjoint(path.name[:_COMM] for path in (program, program.resolve())):
        raise FileNotFoundError(program)


def _outcome(command: tuple[str | Path, ...], status: int) -> str:
    """What was done, and its exit status; binsafe's own for a program that a signal has ended (128 + its number)."""
    return f"{' '.join(map(str, command))[:60]!r} -> {128 - status if status < 0 else status}"
