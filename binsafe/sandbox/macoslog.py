"""Denials of Seatbelt, read from the unified log of macOS into violations. Written from cited lines; awaits a Mac.

The kernel's sandbox writes one message per denial and merges repeated ones:

    Sandbox: flakyservers(123) deny(1) network-outbound remote:*:443
    Sandbox: flakyservers(123) deny(1) file-read-data /private/etc/hosts
    3 duplicate reports for Sandbox: flakyservers(123) deny(1) mach-lookup com.apple.logd

Forms seen in codex (debug_sandbox/seatbelt.rs), sandbox-runtime and Homebrew. A second line holds the message of
``(with message ...)``, which our profiles do not have. Names in a message are the program's own choice: they are data,
and end where the pid begins. Anybody may log words like these, so what counts is who sent them: the kernel or sandboxd.
"""

import json
import os
import re
import subprocess
import threading
import time
from collections.abc import Iterator
from typing import IO, Final

import msgspec

from binsafe.errors import NotEnforceable
from binsafe.model import Policy, Violation
from binsafe.sandbox.reporting import Reporter

LOG: Final = "/usr/bin/log"
PREDICATE: Final = (
    '((processID == 0) AND (senderImagePath CONTAINS "/Sandbox")) OR (subsystem == "com.apple.sandbox.reporting")'
)
"""What ``log`` is asked for: the kernel extension's messages, and those that sandboxd passes on."""

READY_SECONDS: Final = 2.0
"""Time that the log has to say that it listens."""
MAX_LINE: Final = 65_536
"""Bytes of one line of the log that are read; a longer one is no denial."""

_SANDBOXD: Final = "/usr/libexec/sandboxd"

_MESSAGE: Final = re.compile(
    r"(?:(?P<more>\d{1,9}) duplicate reports? for )?Sandbox: (?P<name>.{1,255}?)\((?P<pid>\d{1,10})\) "
    r"deny(?:\(\d{1,3}\))? (?P<operation>[a-z][a-z0-9-]{0,63}(?:\*(?= |$|\n))?)"
    r"(?P<object>[ *][^\n]{0,4096})?(?P<rest>\n.*)?",
    re.DOTALL,
)
_PORT: Final = re.compile(r"(?:(?:remote|local):)?(?P<host>\[[^\]]*\]|[^:\s]*):(?P<port>\d{1,5})")

_EXPECTED: Final = frozenset(
    {
        ("file-read-data", "/dev/dtracehelper"),
        ("file-write-data", "/dev/dtracehelper"),
        ("file-ioctl", "/dev/dtracehelper"),
        ("file-read-data", "/dev/autofs_nowait"),
        ("file-read-metadata", "/private/var/db/.AppleSetupDone"),
        ("ipc-posix-shm-read-data", "apple.shm.notification_center"),
        ("mach-lookup", "com.apple.logd"),
        ("mach-lookup", "com.apple.system.notification_center"),
        ("mach-lookup", "com.apple.system.opendirectoryd.libinfo"),
        ("network-bind", "local:*:0"),  # Go asks which kinds of addresses there are
    }
)
"""What every program tries before its own first instruction, and takes no for an answer."""


class LogDenial(msgspec.Struct, frozen=True, kw_only=True):
    """One message: ``count`` is 1, or how many more of the same the kernel merged into a later one.

    ``is_cut``: the object ends at a line break, which may be its own.
    """

    name: str
    pid: int
    operation: str
    object: str
    count: int = 1
    duplicate: bool = False
    is_cut: bool = False


def stream_command() -> list[str]:
    """What follows the log from now on, one JSON object a line."""
    return [LOG, "stream", "--style", "ndjson", "--predicate", PREDICATE]


def parse_line(line: bytes) -> LogDenial | None:
    """The denial that a line of ``log --style ndjson`` tells of; None for every other line and sender."""
    if len(line) > MAX_LINE or not line.startswith(b"{"):
        return None  # `log stream` begins with a line of prose
    try:
        entry = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(entry, dict):
        return None
    sender, message = entry.get("processID"), entry.get("eventMessage")
    is_kernel = isinstance(sender, int) and not isinstance(sender, bool) and sender == 0
    known = is_kernel or entry.get("processImagePath") == _SANDBOXD
    return parse_message(message) if known and isinstance(message, str) else None


def parse_message(message: str) -> LogDenial | None:
    """The denial that a message tells of; None where it tells of something else."""
    match = _MESSAGE.fullmatch(message)
    if match is None:
        return None
    more = match["more"]
    return LogDenial(
        name=match["name"],
        pid=int(match["pid"]),
        operation=match["operation"],
        object=(match["object"] or "").strip(),
        count=int(more) if more else 1,
        duplicate=more is not None,
        is_cut=match["rest"] is not None,
    )


def violation_of(denial: LogDenial, policy: Policy, now: float) -> Violation:
    """The denial in the words of all backends; ``now`` is seconds since the epoch."""
    repeated = f"denied ({denial.count} duplicate reports)" if denial.duplicate else "denied"
    foreseen = {word for each in policy.denied for word in each.capability.split()}
    return Violation(
        time=now,
        pid=denial.pid,
        operation=denial.operation,
        object=denial.object,
        syscall=denial.operation,
        result=repeated,
        predicted=bool(foreseen & _WORDS.get(denial.operation, frozenset())),
        expected=(denial.operation, denial.object) in _EXPECTED,
        grant=_grant(denial),
    )


_WORDS: Final = {
    "network-outbound": frozenset({"connect", "network"}),
    "network-bind": frozenset({"listen", "network"}),
    "network-inbound": frozenset({"listen", "network"}),
    "process-exec": frozenset({"execute"}),
    "process-exec*": frozenset({"execute"}),
    "process-fork": frozenset({"process"}),
}
"""Operation -> words of the capability that inspection would have found for it."""


def _grant(denial: LogDenial) -> str | None:
    """The option that would allow it; None where none can, or the object names nothing that can be granted."""
    if denial.is_cut:
        return None
    kind = denial.operation.split("-")[0:2]
    if denial.object.startswith("/"):
        option = {"read": "--read", "write": "--write", "exec": "--exec", "exec*": "--exec"}.get(kind[-1])
        return (
            f"{option} {denial.object}" if option and denial.operation.startswith(("file-", "process-exec")) else None
        )
    address = _PORT.fullmatch(denial.object.removeprefix("*") or denial.object)
    if address is None or not denial.operation.startswith("network"):
        return None
    if denial.operation == "network-outbound":
        host = address["host"].strip("*")
        return f"--connect {host}:{address['port']}" if host else None
    return f"--ports :{address['port']}"


class LogReader:
    """Follows the log while a program runs, and reports its denials. Start it before the program."""

    def __init__(self, policy: Policy, reporter: Reporter, *, command: list[str]) -> None:
        self._policy = policy
        self._reporter = reporter
        self._pids: set[int] = set()
        self._waiting: list[LogDenial] = []
        self._lock = threading.Lock()
        self._ready = threading.Event()
        self.trouble: str | None = None
        """Why denials may be missing from what is reported."""
        reading, writing = os.pipe()
        self._stream = open(reading, "rb")  # noqa: SIM115 - the thread closes it
        try:
            self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=writing, stderr=writing)
        except OSError as error:
            self._stream.close()
            raise NotEnforceable(f"{command[0]} cannot be started: {error.strerror}", hint="macOS ships it") from error
        finally:
            os.close(writing)
        self._thread = threading.Thread(target=self._follow, name="binsafe-log", daemon=True)
        self._thread.start()
        if not self._ready.wait(READY_SECONDS):
            self.trouble = "the system's log did not answer in time"

    def watch(self, pid: int) -> None:
        """From now on the denials of this process and its group are reported, those of its own before included."""
        with self._lock:
            self._pids.add(pid)
            early, self._waiting = self._waiting, []
        for denial in early:
            if denial.pid == pid:
                self._report(denial)

    def close(self, seconds: float = 0.5) -> None:
        """Let the log catch up for so long, then end."""
        if self._process.poll() is None:
            self._thread.join(seconds)
        if self._process.poll() is None:
            self._process.terminate()
        else:
            self.trouble = self.trouble or "the system's log ended before the program did"
        try:
            self._process.wait(1)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._thread.join(1)

    def _follow(self) -> None:
        for line in _bounded(self._stream):
            if line.startswith(_COMPLAINT):  # "log: Must be admin to run 'stream' command"
                self.trouble = line[:_SHOWN].decode("utf-8", "replace")
            self._ready.set()
            denial = parse_line(line)
            if denial is not None:
                self._sort(denial)
        self._ready.set()
        self._stream.close()

    def _sort(self, denial: LogDenial) -> None:
        with self._lock:
            if not self._pids and len(self._waiting) < _MAX_EARLY:
                self._waiting.append(denial)
                return
            ours = denial.pid in self._pids or _group(denial.pid) in self._pids
        if ours:
            self._report(denial)

    def _report(self, denial: LogDenial) -> None:
        if self._reporter.admits(denial.operation, denial.object):
            self._reporter.report(violation_of(denial, self._policy, time.time()))


def _group(pid: int) -> int:
    """The process group of what a program started; 0, which is nobody's, where it has ended already."""
    try:
        return os.getpgid(pid) if pid else 0
    except (ProcessLookupError, PermissionError, OverflowError):
        return 0


_COMPLAINT: Final = b"log: "
_SHOWN: Final = 200

_MAX_EARLY: Final = 1000
"""Denials of any process that are kept until our own program's pid is known."""


def _bounded(stream: IO[bytes]) -> Iterator[bytes]:
    """Lines of bounded length: what is left of a longer one is no valid JSON, and is skipped."""
    while line := stream.readline(MAX_LINE + 2):
        yield line.rstrip(b"\n")
