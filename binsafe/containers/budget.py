"""How much an archive may unpack to, all that is nested in it included."""

from binsafe.containers.entries import Exhausted
from binsafe.limits import MAX_ENTRIES, MAX_UNPACKED_BYTES, MAX_UNPACKED_RATIO, MIN_UNPACKED_BYTES


class Budget:
    """Bytes and entries that are left; each stream takes from it what it unpacks.

    Quines and bombs (42.zip; D. Fifield, "A better zip bomb", WOOT 2019) unpack to millions of times their size; real
    archives to at most a few dozen times it.
    """

    def __init__(self, packed: int) -> None:
        self._allowed = min(MAX_UNPACKED_BYTES, max(MIN_UNPACKED_BYTES, MAX_UNPACKED_RATIO * packed))
        self._bytes = self._allowed
        self._entries = MAX_ENTRIES

    def spend(self, count: int) -> None:
        """Take bytes that were unpacked.

        Raises:
            Exhausted: there are not that many left.
        """
        self._bytes -= count
        if self._bytes < 0:
            raise Exhausted(f"it unpacks to more than {self._allowed:,} bytes")

    def enter(self) -> None:
        """Take one entry.

        Raises:
            Exhausted: there were too many.
        """
        self._entries -= 1
        if self._entries < 0:
            raise Exhausted(f"it has more than {MAX_ENTRIES:,} entries")
