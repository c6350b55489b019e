"""A sandboxed program whose standard streams are relayed: all that is done with it, with the streams in mind."""

import signal
import time
from typing import IO, Final

from binsafe.errors import OutputLost
from binsafe.sandbox.backends import Sandboxed
from binsafe.sandbox.relaying import Relay

_ENDING: Final = frozenset({signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT})
"""By these a program that waits for its reader would end."""


class Relayed:
    """A sandboxed program whose standard streams are relayed; else as the program itself."""

    def __init__(self, process: Sandboxed, relay: Relay) -> None:
        self._process = process
        self._relay = relay
        self.backend = process.backend
        self.enforcement = process.enforcement
        self.pid = process.pid
        self._sent: set[int] = set()
        """The signals by which it may have been ended from outside."""
        self._delivers = False
        """Whether it has ended, and only its output is still on its way."""
        self._given_up: int | None = None
        """The signal by which somebody wanted no more of that."""

    @property
    def unreported(self) -> int:
        """Violations that were only counted, because many of their kind had been reported."""
        return self._process.unreported

    @property
    def untold(self) -> str | None:
        """As the program's own ``untold``."""
        return self._process.untold

    @property
    def took_keys(self) -> bool:
        """Whether it has used our terminal as one, and not only to read and write lines."""
        return self._relay.terminal is not None and self._relay.terminal.took_keys

    @property
    def takes_the_screen(self) -> bool:
        """Whether it draws on the whole of our terminal now, where a line of anybody else's would spoil its picture."""
        return self._relay.takes_the_screen

    @property
    def stdout(self) -> IO[bytes] | None:
        """Its standard output, where a pipe was asked for."""
        return self._process.stdout

    def wait(self, timeout: float | None = None) -> int | None:
        """Its exit status once it has ended and its output has gone where it goes; None if not in ``timeout`` seconds.

        Who ended it by a signal does not wait for a reader that takes its time.

        Raises:
            OutputLost: a disk is full, or whatever else kept its output from where it goes.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        status = self._process.wait(timeout)
        if status is not None:
            ended = status - 128 in self._sent
            left = None if deadline is None else max(0.0, deadline - time.monotonic())
            self._delivers = True
            if not ended and not self._relay.deliver(left):
                return None
            self._relay.finish()
            if self._given_up is not None:
                return 128 + self._given_up
            if (lost := self._relay.lost) is not None and not (ended and isinstance(lost, TimeoutError)):
                raise OutputLost(
                    f"the program's output could not be written: {lost.strerror}",
                    hint="make room, or let it go elsewhere; what came before stands",
                ) from lost
        return status

    def send_signal(self, number: int, *, ignored: bool = False) -> None:
        """Forward a signal, and do for the program's terminal what it means for ours: its size, our being stopped.

        One that whoever started us has ``ignored`` (nohup, background jobs of scripts) ends no output, as it would not
        end a program that waits for its reader.
        """
        if self._delivers and number in _ENDING and not ignored:
            self._given_up = number
            self._relay.finish(0)
        if number == signal.SIGTSTP:
            self._relay.suspend()
            number = signal.SIGSTOP  # the other stops nobody in a session that no shell controls (setpgid(2))
        elif number == signal.SIGCONT:
            if self._relay.resume():
                self._process.send_signal(signal.SIGWINCH)  # it draws its screen anew; a server would end (nginx)
        elif number == signal.SIGWINCH:
            self._relay.resize()
        self._sent.add(number)
        self._process.send_signal(number)

    def stops_a_job(self) -> bool:
        """Stop what the program has in the foreground of its terminal, as shells have; False where that is itself."""
        terminal = self._relay.terminal
        if terminal is None or terminal.holder() in (0, self.pid):
            return False
        terminal.signal(signal.SIGTSTP)
        return True

    def stop(self, grace: float = 3.0) -> int:
        """As the program's own ``stop``."""
        self._sent |= {signal.SIGTERM, signal.SIGKILL}
        status = self._process.stop(grace)
        self._relay.finish()
        return status

    def listening(self) -> frozenset[int]:
        """As the program's own ``listening``."""
        return self._process.listening()
