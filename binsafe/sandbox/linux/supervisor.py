"""The supervisor: answers the calls that the filter sends here, and knows when the program started and ended.

It never lets a deciding call continue in the program, with one exception: until the launcher's own execve has
succeeded, the code that runs there is ours. What comes after that is carried out here (bind), or refused and reported.
"""

import contextlib
import errno
import json
import os
import select
import signal
import socket
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec

from binsafe.model import Violation
from binsafe.sandbox.linux.grafting import Refused, graft, parse_address
from binsafe.sandbox.linux.notifications import Call, Gone, Listener
from binsafe.sandbox.reporting import Reporter

_IPPROTO_MPTCP: Final = 262
_NAME_SERVICE: Final = (socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK, 0)
"""How glibc asks for the name service cache daemon before it reads /etc/passwd."""
_EXECUTING: Final = frozenset({"execve", "execveat"})
_WITH_ADDRESS: Final = {"connect": 1, "bind": 1}
_DENIED_WITH: Final[Mapping[str, int]] = dict.fromkeys(
    ("bind", "connect", "execve", "execveat", "socket", "listen", "ptrace", "kill"), errno.EPERM
)
"""Calls that a program must see refused; all others that are not granted do not exist here (ENOSYS), so that a C
library falls back to an older call (glibc tries clone3 and then clone only after ENOSYS)."""

_FALLBACKS: Final = frozenset(
    {"clone3", "close_range", "copy_file_range", "epoll_pwait2", "faccessat2", "openat2", "rseq", "splice", "statx"}
)
"""Newer ways to do what an older call does: libraries try them first, and take no (ENOSYS) for an answer."""


class Watch(msgspec.Struct, frozen=True, kw_only=True):
    """What the supervisor needs to know of the policy.

    ``names`` are the processor's system calls by number, ``granted`` the calls that the policy knows, ``ports`` those
    that may be bound, ``foreseen`` the calls that inspection had found.
    """

    names: Mapping[int, str]
    granted: frozenset[str]
    ports: frozenset[int]
    foreseen: frozenset[str]
    on_violation: Callable[[Violation], None]


class Supervisor(threading.Thread):
    """One sandboxed program's supervisor. ``status`` and ``control`` are the two ends the stage writes to."""

    def __init__(
        self,
        *,
        listener: Listener,
        control: socket.socket,
        status: int,
        pidfd: int,
        watch: Watch,
        clock: Callable[[], float] = time.time,
    ) -> None:
        super().__init__(name="binsafe-supervisor", daemon=True)
        self._listener = listener
        self._control = control
        self._status = status
        self._pidfd = pidfd
        self._watch = watch
        self._clock = clock
        self._closing = threading.RLock()  # a signal handler of the user's may call send_signal anywhere
        self.pid = _process_of_pidfd(pidfd)
        self.reporter = Reporter(watch.on_violation)
        self.grafts: dict[int, int] = {}
        """Port -> inode of the socket that was handed over for it."""
        self.failure: dict[str, Any] | None = None
        self.exit_code: int | None = None
        self.started = threading.Event()
        self.ended = threading.Event()

    def run(self) -> None:
        """Serve until the sandbox has gone."""
        try:
            self._serve()
        finally:
            with self._closing:
                os.close(self._pidfd)
                self.ended.set()
            os.close(self._listener.descriptor)
            self._control.close()
            if not self.started.is_set():
                os.close(self._status)
                self.started.set()

    def send_signal(self, number: int) -> None:
        """Forward a signal to the program; nothing happens when it has ended."""
        with self._closing, contextlib.suppress(ProcessLookupError):
            if not self.ended.is_set():
                signal.pidfd_send_signal(self._pidfd, number)

    def _serve(self) -> None:
        poll = select.poll()
        for descriptor in (self._listener.descriptor, self._control.fileno(), self._status):
            poll.register(descriptor, select.POLLIN)
        while True:
            for descriptor, event in poll.poll():
                if descriptor == self._status:
                    self._read_status(poll)
                elif descriptor == self._listener.descriptor:
                    if event & select.POLLIN:
                        self._read_status(poll)  # has execve succeeded? Only then is the call the program's
                        self._answer()
                    else:
                        poll.unregister(descriptor)  # the last task under the filter has ended
                elif not self._read_control():
                    return

    def _read_status(self, poll: "select.poll") -> None:
        """The status pipe says nothing and closes when execve succeeds, or carries the reason why not."""
        if self.started.is_set() or not readable(self._status):
            return
        if message := os.read(self._status, 65536):
            self.failure = json.loads(message).get("failed")
        poll.unregister(self._status)
        os.close(self._status)
        self.started.set()

    def _read_control(self) -> bool:
        """A message of init's; False at its end."""
        try:
            message = self._control.recv(65536)
        except OSError:
            message = b""
        if message:
            told = json.loads(message)
            self.exit_code = told.get("exit", self.exit_code)
            self.failure = told.get("failed", self.failure)
        return bool(message)

    def _answer(self) -> None:
        call = self._listener.receive()
        if call is None:
            return
        with contextlib.suppress(Gone):
            if not self.started.is_set():
                self._listener.proceed(call)  # our own launcher, on its way to execve
                return
            name = self._watch.names.get(call.number, str(call.number))
            if name == "bind" and self._watch.ports:
                self._graft(call)
            else:
                self._refuse(call, name)

    def _graft(self, call: Call) -> None:
        try:
            made = graft(self._listener, call, self._watch.ports)
        except Refused as refused:
            self._listener.finish(call, refused.errno)
            self._report(
                call, "bind", refused.object, result=refused.errno, expected=refused.expected, grant=refused.grant
            )
        except OSError as error:  # the host's answer: taken port, bad address
            self._listener.finish(call, error.errno or errno.EINVAL)
        else:
            self.grafts[made.port] = made.inode
            self._listener.finish(call)

    def _refuse(self, call: Call, name: str) -> None:
        if name == "socket" and call.arguments[2] == _IPPROTO_MPTCP:
            # Go 1.24 and later asks for it first, on each listener; this answer makes it ask once and take TCP.
            self._listener.finish(call, errno.EINVAL)
            self._report(call, name, "a multipath TCP socket", result=errno.EINVAL, expected=True)
            return
        if name == "socket" and call.arguments[:3] == _NAME_SERVICE:
            self._listener.finish(call, errno.EACCES)
            self._report(call, name, "the name service cache", result=errno.EACCES, expected=True)
            return
        number = _DENIED_WITH.get(name, errno.EPERM if name in self._watch.granted else errno.ENOSYS)
        object_, grant = self._describe(call, name)
        self._listener.finish(call, number)
        expected = number == errno.ENOSYS and name in _FALLBACKS
        self._report(call, name, object_, result=number, grant=grant, expected=expected)

    def _describe(self, call: Call, name: str) -> tuple[str, str | None]:
        """What a refused call was about, and the option that would grant it."""
        try:
            if name in _WITH_ADDRESS:
                address = parse_address(self._listener.read(call, call.arguments[1], min(call.arguments[2], 128)))
                option = f"--connect {address}" if name == "connect" else f"--ports :{address.port}"
                return str(address), option
            if name in _EXECUTING:
                path = self._listener.read_text(call, call.arguments[0 if name == "execve" else 1])
                return path, f"--exec {path}"
        except Refused as refused:
            return refused.object, None
        except OSError:
            return "an argument that points nowhere", None
        return " ".join(f"{argument:#x}" for argument in call.arguments), None

    def _report(
        self,
        call: Call,
        name: str,
        object_: str,
        *,
        result: int,
        expected: bool = False,
        grant: str | None = None,
    ) -> None:
        kind = name if call.number in self._watch.names else "unknown"  # numbers are the program's to invent
        if not self.reporter.admits(kind, object_):
            return
        self.reporter.report(
            Violation(
                time=self._clock(),
                pid=call.pid,
                operation=_operation(name),
                object=object_,
                syscall=name,
                arguments=tuple(f"{argument:#x}" for argument in call.arguments),
                result=errno.errorcode[result],
                predicted=name in self._watch.foreseen,
                expected=expected,
                grant=grant,
            )
        )


def _process_of_pidfd(pidfd: int) -> int:
    with open(f"/proc/self/fdinfo/{pidfd}", encoding="ascii") as stream:
        return next(int(line.split()[1]) for line in stream if line.startswith("Pid:"))


def readable(descriptor: int) -> bool:
    """Whether there is something to read now, the end included."""
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    return bool(poll.poll(0))


def _operation(name: str) -> str:
    if name in _EXECUTING:
        return "execute"
    return name if name in ("bind", "connect") else "syscall"
