"""A timer that is moved at each request and hardly ever fires."""

import asyncio
import math
from collections.abc import Callable


class Watchdog:
    """Calls ``expired`` once when the loop's clock passes the moment that was set last.

    Nobody says when what was awaited has come: ``expired`` is to look whether anything still is.
    Moving the moment further away costs an assignment; the loop's own timer is re-armed only when it fires too early.
    At thousands of requests a second this is the difference between one heap operation each and none.
    """

    __slots__ = ("_expired", "_handle", "_loop", "_moment", "_wakes")

    def __init__(self, loop: asyncio.AbstractEventLoop, expired: Callable[[], None]) -> None:
        self._loop = loop
        self._expired = expired
        self._moment = math.inf
        self._wakes = math.inf  # when the loop's timer fires
        self._handle: asyncio.TimerHandle | None = None

    def set(self, moment: float) -> None:
        """Fire at ``moment`` (the loop's clock, seconds) and not at the one that was set before."""
        self._moment = moment
        if moment < self._wakes:
            self._arm(moment)

    def cancel(self) -> None:
        """Do not fire, and let go of the loop's timer."""
        self._moment = self._wakes = math.inf
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None

    def _arm(self, moment: float) -> None:
        if self._handle is not None:
            self._handle.cancel()
        self._wakes = moment
        self._handle = self._loop.call_at(moment, self._wake)

    def _wake(self) -> None:
        self._handle = None
        self._wakes = math.inf
        if self._loop.time() >= self._moment:
            self._moment = math.inf
            self._expired()
        elif self._moment < math.inf:
            self._arm(self._moment)
