"""The supervisor: dispatches intercepted calls to their handlers, and notices when the program starts and ends."""

import contextlib
import errno
import os
import select
import signal
import socket
import threading
from typing import Final

from binsafe.sandbox.linux import messages
from binsafe.sandbox.linux.answering import Answerer
from binsafe.sandbox.linux.denials import Denials
from binsafe.sandbox.linux.explain import Failure, failure_in
from binsafe.sandbox.linux.notifications import Gone, Listener, readable
from binsafe.sandbox.linux.watching import Watch
from binsafe.sandbox.reporting import Reporter

_OF_KEYS: Final = frozenset({signal.SIGINT, signal.SIGQUIT})
_OF_JOBS: Final = frozenset({signal.SIGSTOP, signal.SIGCONT})
_PROCESS_GROUP: Final = 1 << 2
"""PIDFD_SIGNAL_PROCESS_GROUP (linux/pidfd.h), since 6.9."""


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
    ) -> None:
        super().__init__(name="binsafe-supervisor", daemon=True)
        self._listener = listener
        self._control = control
        self._status = status
        self._pidfd = pidfd
        self._terminal = watch.terminal
        self._closing = threading.RLock()  # a signal handler of the user's may call send_signal anywhere
        self.pid = _process_of_pidfd(pidfd)
        self.reporter = Reporter(watch.on_violation)
        self._denials = Denials(watch, self.reporter)
        self._answerer = Answerer(listener, watch, self._denials)
        self.grafts = self._answerer.grafts
        self.failure: Failure | None = None
        self.exit_code: int | None = None
        self.started = threading.Event()
        self._signalled = False
        self._executed = watch.begun
        """Whether the launcher has come to its execve: what follows is the program's. The end of the status pipe says
        so as well, and may say it too late: the processes around the program hold the pipe for a moment, too."""
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
        """Forward a signal to the program; nothing happens when it has ended.

        Those of a terminal's keys and of a shell's jobs are for its children as well: make leaves theirs to them.
        """
        with self._closing, contextlib.suppress(ProcessLookupError):
            if self.ended.is_set():
                return
            self._signalled = True
            if number in _OF_KEYS and self._terminal is not None:
                self._terminal.signal(number)
            elif number in _OF_KEYS | _OF_JOBS:
                _signal_group(self._pidfd, self.pid, number)
            else:
                signal.pidfd_send_signal(self._pidfd, number)

    def _serve(self) -> None:
        """Until init has ended and nobody is left under the filter: without us calls do not exist (ENOSYS).

        Init's descriptors close before the kernel ends what lives in its namespace, which would go on that far.
        """
        poll = select.poll()
        for descriptor in (self._listener.descriptor, self._control.fileno(), self._status):
            poll.register(descriptor, select.POLLIN)
        waited = {self._listener.descriptor, self._control.fileno()}
        while waited:
            for descriptor, event in poll.poll():
                if descriptor == self._status:
                    self._read_status(poll)
                elif descriptor == self._listener.descriptor and event & select.POLLIN:
                    self._read_status(poll)  # has execve succeeded? Only then is the call the program's
                    self._answer()
                elif descriptor == self._listener.descriptor or not self._read_control():
                    poll.unregister(descriptor)
                    waited.discard(descriptor)

    def _read_status(self, poll: "select.poll") -> None:
        """The status pipe says nothing and closes when execve succeeds, or carries the reason why not."""
        if self.started.is_set() or not readable(self._status):
            return
        if message := os.read(self._status, messages.MAX_MESSAGE):
            self.failure = failure_in(message) or Failure()
        poll.unregister(self._status)
        os.close(self._status)
        self.started.set()

    def _read_control(self) -> bool:
        """A message of init's; False at its end."""
        try:
            message = self._control.recv(messages.MAX_MESSAGE)
        except OSError:
            message = b""
        if gone := messages.decode(message, "gone", 1):
            self._denials.gone(self.pid, gone[0])
        if full := messages.decode(message, "full", 1):
            self._denials.full(self.pid, full[0])
        if told := messages.decode(message, "exit", 2):
            self.exit_code = int(told[0])
            if self.exit_code == -signal.SIGSYS:
                self._denials.killed(self.pid)
            elif told == ["0", "1"] and not self._signalled:
                self._denials.went_on(self.pid)
        self.failure = failure_in(message) or self.failure
        return bool(message)

    def _answer(self) -> None:
        call = self._listener.receive()
        if call is None:
            return
        with contextlib.suppress(Gone):
            if self._executed or self.started.is_set():
                try:
                    self._answerer.answer(call)
                except RuntimeError:  # our user may have no more threads, and the program's may be among them
                    self._listener.finish(call, errno.EAGAIN)
                return
            self._executed = self._answerer.executes(call)
            self._listener.proceed(call)  # our own launcher, on its way to execve


def _signal_group(pidfd: int, pid: int, number: int) -> None:
    """Signal the group that a process leads: a number may be another's by now, but older kernels know no other name."""
    try:
        signal.pidfd_send_signal(pidfd, number, None, _PROCESS_GROUP)
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
        if not readable(pidfd):  # while it runs its number is its own, and that of its group
            os.killpg(pid, number)


def _process_of_pidfd(pidfd: int) -> int:
    with open(f"/proc/self/fdinfo/{pidfd}", encoding="ascii") as stream:
        return next(int(line.split()[1]) for line in stream if line.startswith("Pid:"))
