"""Being stopped by a signal: what was started ends in order, also where somebody's code does not come back."""

import asyncio
import gc
import os
import signal
import time
import traceback
from collections.abc import Callable, Coroutine
from types import FrameType
from typing import Any, Final, Self, TypeVar

from binsafe.cli.entry import INTERRUPTED, note

PATIENCE: Final = 1.0
"""Seconds of processor time that the event loop may stay away while it is to end; a busy machine is not to blame."""
BLOCKED: Final = 10.0
"""Seconds on the clock, where what it waits for takes none."""
GENTLE: Final = 2
"""So often in a row what keeps it away is broken off as any failure would, which the balancer lives on with."""
FIRM: Final = 5
"""And up to so often as by a second Ctrl-C. Beyond that the process is left: the servers end with it."""

GC_THRESHOLD: Final = 20_000
"""Objects made between two looks for cycles; requests make none."""

T = TypeVar("T")


class BrokenOff(Exception):
    """Raised inside of what did not come back."""


def stoppable(main: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Run what ``main`` makes; Ctrl-C, TERM and HUP cancel it, so that what it started is stopped on the way out.

    It is made once there is a loop to run it: a signal that comes before leaves nothing behind that was never awaited.
    """
    gc.freeze()  # modules live as long as the process: looking through them again and again is a tenth of its time
    gc.set_threshold(GC_THRESHOLD)
    with _Stopper() as stopper, asyncio.Runner(loop_factory=_loop_factory()) as runner:
        try:
            return runner.run(stopper.stopping(main))
        except (asyncio.CancelledError, BrokenOff):
            raise KeyboardInterrupt from None


def stop_on_signals() -> None:
    """Let TERM and HUP do what Ctrl-C does, so that what was started is stopped on the way out."""
    for number in _stopping():
        signal.signal(number, signal.default_int_handler)


def _stopping() -> list[signal.Signals]:
    """What stops us beside SIGINT, which Python handles already; a hang-up only where nohup(1) does not ignore it."""
    hang_up = [] if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN else [signal.SIGHUP]
    return [signal.SIGTERM, *hang_up]


def place(error: BaseException) -> str:
    """Where in the code it was raised, for people."""
    *_, last = traceback.extract_tb(error.__traceback__)
    return f"{last.filename}:{last.lineno} ({last.name})"


class _Stopper:
    """Signals cancel a task. Handlers of the loop's would wait for the loop, which may never come back.

    A handler runs between two steps of the main thread's Python code, whatever that does. What does not return from
    a library's C code is out of reach: SIGKILL ends that, and the servers with it.
    """

    def __init__(self) -> None:
        self._cancelled = self._is_back = False
        self._broken_off = 0
        self._left_at = (0.0, 0.0)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[Any] | None = None

    def __enter__(self) -> Self:
        handlers = dict.fromkeys((signal.SIGINT, *_stopping()), self._stop) | {signal.SIGALRM: self._look}
        self._before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
        return self

    def __exit__(self, *_: object) -> None:
        signal.setitimer(signal.ITIMER_REAL, 0)
        for number, handler in self._before.items():
            signal.signal(number, handler)

    async def stopping(self, main: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Await what ``main`` makes, which signals cancel from now on."""
        self._loop = asyncio.get_running_loop()
        self._task = task = self._loop.create_task(main())
        return await task

    def _stop(self, _: int, __: FrameType | None) -> None:
        if self._cancelled or self._task is None:
            raise KeyboardInterrupt
        self._cancelled = True
        self._left_at = _clocks()
        self._tell(self._cancel)
        signal.setitimer(signal.ITIMER_REAL, PATIENCE, PATIENCE)

    def _look(self, _: int, frame: FrameType | None) -> None:
        away, worked = (now - then for now, then in zip(_clocks(), self._left_at, strict=True))
        if not self._is_back and (worked >= PATIENCE or away >= BLOCKED):
            self._left_at = _clocks()
            self._break_off(frame)
        if self._is_back:
            self._broken_off, self._is_back, self._left_at = 0, False, _clocks()
            self._tell(self._came_back)

    def _break_off(self, frame: FrameType | None) -> None:
        self._broken_off += 1
        if self._broken_off > FIRM:
            os._exit(INTERRUPTED)
        if frame is not None:
            note(f"interrupted, because it does not come back: {frame.f_code.co_filename}:{frame.f_lineno}")
        raise BrokenOff if self._broken_off <= GENTLE else KeyboardInterrupt

    def _cancel(self) -> None:
        self._is_back = True
        if self._task is not None:
            self._task.cancel()

    def _came_back(self) -> None:
        self._is_back = True

    def _tell(self, callback: Any) -> None:
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(callback)


def _clocks() -> tuple[float, float]:
    """Seconds on the clock, and of them those that this thread worked."""
    return time.monotonic(), time.thread_time()


def _loop_factory() -> Any:
    """The loop of uvloop where it is installed (about a tenth less processor time), else asyncio's own."""
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop
