"""Standard streams through pipes of our own: the program never holds a descriptor of the user's.

With the user's own descriptors a program could rewrite what others appended to a log, change the mode of a file it was
only meant to read from, or make a terminal do things. So it gets pipes, and where the user sits at a terminal, a
terminal of its own that has the same size. Ours does the line editing, Ctrl-C and Ctrl-D unless the program wants keys.
"""

import contextlib
import errno
import os
import select
import signal
import stat
import sys
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

import msgspec

from binsafe.sandbox.backends import Order

if TYPE_CHECKING:
    from binsafe.sandbox.pseudoterminal import PseudoTerminal
    from binsafe.sandbox.terminal import TerminalFilter

CHUNK: Final = 1 << 16
DRAIN_SECONDS: Final = 2.0
"""Time that output of a program that was stopped may take to reach a reader that is slow."""

_BACKGROUND_SECONDS: Final = 0.2


class Relay:
    """The program's ends (``stdin``, ``stdout``, ``stderr``) and the threads that move the bytes.

    ``wanted`` says which of the three are relayed. Close the program's ends with :meth:`started` once it has them.
    """

    def __init__(self, wanted: tuple[bool, bool, bool]) -> None:
        self.ends: list[int | None] = [None, None, None]
        self._stop_read, self._stop_write = os.pipe2(os.O_CLOEXEC) if sys.platform == "linux" else os.pipe()
        self._jobs: list[tuple[Callable[[int, int], None], int, int]] = []
        self._moving = 0
        self._counting = threading.Lock()
        self._delivered = threading.Event()
        """Whether all output has gone where it goes, or nobody shall wait for that any longer."""
        self.terminal: PseudoTerminal | None = None
        self._filters: list[TerminalFilter] = []
        self._writing = threading.Lock()
        """Held while a piece is written to our terminal: what standard error says would end a sequence of output's."""
        self._reads_input = False
        self.lost: OSError | None = None
        """Why output of the program's got nowhere: our own standard output or error cannot be written."""
        self._finishing = threading.Lock()
        terminal = [stream for stream in (0, 1, 2) if wanted[stream] and os.isatty(stream)]
        if {0, 1} <= set(terminal):
            self._open_terminal(terminal)
        for stream in (0, 1, 2):
            if wanted[stream] and self.ends[stream] is None:
                self._open(stream)

    def _open_terminal(self, streams: list[int]) -> None:
        """One pseudo-terminal for all streams that are one."""
        from binsafe.sandbox.pseudoterminal import PseudoTerminal  # services have none

        self.terminal = PseudoTerminal()
        master, slave = self.terminal.master, self.terminal.slave
        for stream in streams:
            self.ends[stream] = slave
        self._jobs += [(self._input, 0, master), (self._output, os.dup(master), 1)]

    def _open(self, stream: int) -> None:
        if _is_null(stream):  # a pipe would be input: ripgrep would search that, and not the folder
            self.ends[stream] = os.open(os.devnull, os.O_RDWR)
            return
        read, write = os.pipe()
        self.ends[stream] = read if stream == 0 else write
        self._jobs.append((self._input, 0, write) if stream == 0 else (self._output, read, stream))

    def connect(self, order: Order) -> Order:
        """The order with the program's ends in place of the streams that it left open."""
        stdin, stdout, stderr = (
            own if own is not None else end
            for own, end in zip((order.stdin, order.stdout, order.stderr), self.ends, strict=True)
        )
        return msgspec.structs.replace(order, stdin=stdin, stdout=stdout, stderr=stderr, terminal=self.terminal)

    def started(self) -> None:
        """The program has its ends: let go of ours and begin to move bytes."""
        self._close_ends()
        self._reads_input = any(source == 0 for _, source, _ in self._jobs)
        self._moving = sum(target in (1, 2) for _, _, target in self._jobs)
        if not self._moving:
            self._delivered.set()
        for job, source, target in self._jobs:
            threading.Thread(target=job, args=(source, target), name="binsafe-relay", daemon=True).start()
        self._jobs = []

    def abandon(self) -> None:
        """Nothing was started: let go of everything."""
        self._close_ends()
        for _, source, target in self._jobs:
            os.close(source if source > 2 else target)  # the end that is ours, not a standard stream
        self.finish(0)

    def deliver(self, seconds: float | None) -> bool:
        """Wait until the output of a program that has ended has gone where it goes; whether it did in that time.

        A reader may take as long as it likes, as if the program itself were waiting for it (a pager, a slow line).
        """
        return self._delivered.wait(seconds)

    def finish(self, seconds: float = DRAIN_SECONDS) -> None:
        """Let what is left of the output through, for ``seconds`` at most, and stop reading our input."""
        if not self._delivered.wait(seconds):
            self.lost = TimeoutError(errno.ETIMEDOUT, "it was not read in time")
            self._delivered.set()  # for whoever waits without an end
        if self.terminal is not None:
            self.terminal.restore()
        with self._finishing:  # several threads may wait for the program, or stop it
            stop, self._stop_write = self._stop_write, -1
        if stop >= 0:
            os.close(stop)
            if not self._reads_input:
                os.close(self._stop_read)

    @property
    def takes_the_screen(self) -> bool:
        """Whether the program draws on the whole of our terminal now."""
        return any(each.takes_the_screen for each in self._filters)

    def resize(self) -> None:
        """Give the program's terminal the size of ours."""
        if self.terminal is not None:
            self.terminal.resize()

    def suspend(self) -> None:
        """We are about to be stopped."""
        if self.terminal is not None:
            self.terminal.suspend()

    def resume(self) -> bool:
        """We were stopped; whether the program has a terminal."""
        if self.terminal is not None:
            self.terminal.resume()
            self.resize()
        return self.terminal is not None

    def _close_ends(self) -> None:
        for descriptor in {end for end in self.ends if end is not None}:
            os.close(descriptor)
        self.ends = [None, None, None]

    def _input(self, source: int, target: int) -> None:
        terminal = self.terminal if self.terminal is not None and self.terminal.master == target else None
        poll = select.poll()
        poll.register(source, select.POLLIN)
        poll.register(self._stop_read, select.POLLIN)
        poll.register(target, 0)  # the program closed its end, or is gone
        with contextlib.suppress(OSError):
            while True:
                ready = dict(poll.poll())
                if self._stop_read in ready or target in ready:
                    break
                if _is_in_background(source):
                    time.sleep(_BACKGROUND_SECONDS)  # reading a terminal from the background would stop us (SIGTTIN)
                    continue
                if terminal is None:
                    if not _move(source, target):
                        break
                    continue
                terminal.reflect()
                typed = os.read(source, CHUNK)
                if terminal.is_to_end(typed):
                    os.kill(os.getpid(), signal.SIGTERM)
                _write_all(target, typed or terminal.end_of_file())
        if terminal is not None:
            terminal.close()
        else:
            os.close(target)
        os.close(self._stop_read)

    def _output(self, source: int, target: int) -> None:
        cleaner = None
        if os.isatty(target):
            from binsafe.sandbox.terminal import TerminalFilter  # services have none

            cleaner = TerminalFilter()
            self._filters.append(cleaner)
        try:
            if cleaner is None:
                while _move(source, target):
                    pass
            while cleaner is not None and (data := _read(source)):
                with self._writing:
                    _write_all(target, cleaner.clean(data))
        except OSError as error:
            if error.errno not in (errno.EIO, errno.EPIPE):  # the program's terminal was closed; our reader left
                self.lost = error
        finally:
            if cleaner is not None:
                with contextlib.suppress(OSError), self._writing:
                    _write_all(target, cleaner.end())
            os.close(source)
            with self._counting:
                self._moving -= 1
                if not self._moving:
                    self._delivered.set()


def _is_null(stream: int) -> bool:
    """Whether it is the device that holds nothing, which is no user's: the program gets it as such."""
    found = os.fstat(stream)
    return stat.S_ISCHR(found.st_mode) and found.st_rdev == os.stat(os.devnull).st_rdev


def _is_in_background(source: int) -> bool:
    """Whether reading would stop us: the terminal is ours and another process group has it."""
    if not os.isatty(source):
        return False
    from binsafe.sandbox.pseudoterminal import is_in_background  # services have none

    return is_in_background(source)


def _move(source: int, target: int) -> bool:
    """Move what is there; False at the end. Without a copy where both sides allow it.

    Never spliced into a file: the kernel would take its offset before it waits for data, and then write over what
    others (standard error beside standard output) have written there meanwhile.
    """
    if sys.platform == "linux" and not stat.S_ISREG(os.fstat(target).st_mode):
        if not _wait(source, select.POLLIN) & select.POLLIN:  # splice would wait for room first, at the end as well
            return False
        try:
            return os.splice(source, target, CHUNK) > 0
        except BlockingIOError:
            _wait(target, select.POLLOUT)
            return True
        except OSError as error:
            if error.errno != errno.EINVAL:  # EINVAL: a terminal, or a file that is open for append
                raise
    data = _read(source)
    _write_all(target, data)
    return bool(data)


def _read(source: int) -> bytes:
    """What is there, once there is something; empty at the end."""
    while True:
        try:
            return os.read(source, CHUNK)
        except BlockingIOError:  # as `_write_all`
            _wait(source, select.POLLIN)


def _write_all(target: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        try:
            view = view[os.write(target, view) :]
        except BlockingIOError:  # somebody set O_NONBLOCK on a description that we share
            _wait(target, select.POLLOUT)


def _wait(descriptor: int, event: int) -> int:
    """Until it can be read or written, or never can; what it is (poll(2))."""
    poll = select.poll()
    poll.register(descriptor, event)
    [(_, found)] = poll.poll()
    return found
