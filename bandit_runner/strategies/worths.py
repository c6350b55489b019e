"""The best of several things whose worth costs something to find, kept while nothing changes it."""

from collections.abc import Sequence


class Worths:
    """What an attempt on each server is worth: at most ``share`` of its gain, until somebody finds how much.

    `top` is a lazy maximum, as in Minoux, "Accelerated greedy algorithms for maximizing submodular set functions",
    Optimization Techniques, 1978: once the worth of what it names is known, none of the others needs to be.

    >>> worths = Worths([0.5, 0.9, 0.8], share=1.0)
    >>> worths.top(range(3)), worths.known[1]
    (1, False)
    >>> worths.found(1, 0.6)
    >>> worths.top(range(3)), worths.known[2]
    (2, False)
    >>> worths.found(2, 0.7)
    >>> worths.top(range(3)), worths.known[2], worths.most
    (2, True, [0.5, 0.6, 0.7])
    """

    __slots__ = ("_share", "gains", "known", "most")

    def __init__(self, gains: list[float], *, share: float) -> None:
        self._share = share
        self.gains = gains
        """What each would be worth if nothing stood in its way."""
        self.most = [gain * share for gain in gains]
        """What each is worth, or at most."""
        self.known = [False] * len(gains)
        """Which of the two it is."""

    def changed(self, arm: int, gain: float) -> None:
        """Forget what was found of one."""
        self.gains[arm], self.most[arm], self.known[arm] = gain, gain * self._share, False

    def found(self, arm: int, worth: float) -> None:
        """Keep the worth of one."""
        self.most[arm], self.known[arm] = worth, True

    def top(self, arms: Sequence[int]) -> int:
        """Which of them is worth most, as far as is known; the first of equals."""
        most = self.most
        return most.index(max(most)) if len(arms) == len(most) else max(arms, key=most.__getitem__)
