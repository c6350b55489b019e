"""When Ctrl-C means the end, whatever the program makes of it: after several at once, not in a shell's whole life."""

import time
from typing import Final

INTERRUPTS: Final = 3
AT_ONCE_SECONDS: Final = 3.0


class Patience:
    """Counts interrupts that come at once."""

    def __init__(self) -> None:
        self._times: list[float] = []

    def ends(self, times: int) -> bool:
        """Take note of so many; whether that is enough."""
        now = time.monotonic()
        self._times = [*(each for each in self._times if now - each < AT_ONCE_SECONDS), *[now] * times]
        return len(self._times) >= INTERRUPTS

    def renew(self) -> None:
        """Something else was done in between."""
        self._times = []
