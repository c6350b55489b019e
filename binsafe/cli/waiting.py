"""Waiting for a sandboxed program: signals that we get are its, and it ends when its time is up."""

import contextlib
import os
import signal
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Self

from binsafe.sandbox.patience import Patience

if TYPE_CHECKING:
    from binsafe.sandbox.relayed import Relayed

TIMED_OUT = 124
GRACE_SECONDS = 5.0
"""Time that a program has to end after SIGTERM, or after the terminal has gone."""

_FORWARDED = (
    *("SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT", "SIGUSR1", "SIGUSR2", "SIGWINCH"),
    *(("SIGTSTP", "SIGCONT") if sys.platform == "linux" else ()),  # where a program may set modes of our terminal
)


class Attendance:
    """A context in which signals that we get are kept, and go to the program once there is one.

    The handlers themselves do nothing: the interpreter writes each number to a pipe (``signal.set_wakeup_fd``), however
    many come, and a thread reads them there.
    """

    def __enter__(self) -> Self:
        self._read, self._write = os.pipe()
        os.set_blocking(self._write, False)
        self._thread: threading.Thread | None = None
        numbers = [signal.Signals[name] for name in _FORWARDED]
        self._previous = {number: signal.signal(number, lambda *_: None) for number in numbers}
        self._before = signal.set_wakeup_fd(self._write, warn_on_full_buffer=False)
        self._ignored = frozenset(number for number, before in self._previous.items() if before is signal.SIG_IGN)
        self._terminal = _has_terminal() and signal.SIGHUP not in self._ignored  # nohup(1)
        return self

    def __exit__(self, *_: object) -> None:
        signal.set_wakeup_fd(self._before)
        for number, handler in self._previous.items():
            signal.signal(number, handler)
        os.close(self._write)
        if self._thread is not None:
            self._thread.join()
        os.close(self._read)

    def wait(self, process: "Relayed", timeout: float | None) -> int:
        """The program's exit status, or 124 when its time is up."""
        arguments = (self._read, process, self._ignored, self._terminal)
        forwarding = threading.Thread(target=_forward, args=arguments, name="binsafe-signals", daemon=True)
        forwarding.start()
        self._thread = forwarding  # not before: what could not start cannot be waited for
        status = process.wait(timeout)
        if status is None:
            process.stop()
            return TIMED_OUT
        return status


def _forward(read: int, process: "Relayed", ignored: frozenset[int], terminal: bool) -> None:
    """Pass on what comes until the pipe ends; end the program when it was asked often or long enough.

    ``ignored`` are signals that would have done nothing to us, had we no handlers.

    A hang-up is somebody's wish that a server read its configuration, unless a ``terminal`` that we end with is gone.
    """
    patience = Patience()
    killer: threading.Timer | None = None
    while data := os.read(read, 4096):
        for number in dict.fromkeys(data):  # one of a kind is enough, as with the kernel's own pending signals
            if number == signal.SIGTSTP and process.stops_a_job():
                continue
            process.send_signal(number, ignored=number in ignored)
            if number == signal.SIGTSTP:  # the terminal is as it was: now we stop, as we would have at once
                os.kill(os.getpid(), signal.SIGCONT if _is_orphaned() else signal.SIGSTOP)
            ends = number == signal.SIGTERM and number not in ignored
            hangs_up = number == signal.SIGHUP and terminal and not _has_terminal()
            if killer is None and (ends or hangs_up):
                killer = _stop_after(GRACE_SECONDS, process)
        if patience.ends(data.count(signal.SIGINT)):
            process.stop(grace=0)
    if killer is not None:
        killer.cancel()


def _stop_after(seconds: float, process: "Relayed") -> threading.Timer:
    timer = threading.Timer(seconds, process.stop, kwargs={"grace": 0})
    timer.daemon = True
    timer.start()
    return timer


def _is_orphaned() -> bool:
    """Whether nobody above us controls jobs and could let us go on: then the kernel, too, stops nothing by SIGTSTP."""
    pid = os.getppid()
    with contextlib.suppress(OSError):
        while os.getsid(pid) == os.getsid(0):
            if os.getpgid(pid) != os.getpgrp():
                return False
            pid = int(Path(f"/proc/{pid}/stat").read_text("utf-8", "replace").rpartition(")")[2].split()[1])
    return True


def _has_terminal() -> bool:
    try:
        os.close(os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY))
    except OSError:
        return False
    return True
