"""What evaluating a profile may cost: a hostile one ends at a bound, whatever it computes."""

from typing import Any, Final

MAX_STEPS: Final = 100_000
"""Expressions that are evaluated before we stop; the largest profile met takes about 5,000."""

MAX_DEPTH: Final = 80
"""Calls inside calls; a loop in tail position, as Scheme's are, adds none."""

MAX_RULES: Final = 20_000

MAX_PATTERNS: Final = 128 * 1024
"""Characters of all patterns, counted as often as they are used; those of the largest profile met have about 20,000."""

MAX_MADE: Final = 1_000_000
"""Items of lists and sixteens of characters that are made or compared, counted anew each time. A list inside counts as
all that is in it, although it may lie there only once: who goes through it meets it as often as it is named."""

EXPECTED: Final = (
    f"expected at most {MAX_STEPS} steps, {MAX_DEPTH} nested calls, {MAX_RULES} rules, {MAX_PATTERNS} characters of"
    f" patterns and {MAX_MADE} items of lists"
)


class Exhausted(Exception):
    """The budget is used up: nothing more is looked at."""


class Budget:
    """What is left; each method raises `Exhausted` where that is not enough."""

    def __init__(self) -> None:
        self._steps = MAX_STEPS
        self._depth = MAX_DEPTH
        self._patterns = MAX_PATTERNS
        self._made = MAX_MADE

    def enter(self) -> None:
        """One call more inside the others; none is left where it raises."""
        if self._depth == 0:
            raise Exhausted
        self._depth -= 1

    def leave(self) -> None:
        """The call ended."""
        self._depth += 1

    def step(self) -> None:
        """One expression."""
        self._steps -= 1
        if self._steps < 0:
            raise Exhausted

    def rule(self, so_far: int) -> None:
        """One rule more."""
        if so_far >= MAX_RULES:
            raise Exhausted

    def pattern(self, text: str) -> None:
        """A pattern that is used."""
        self._patterns -= len(text)
        if self._patterns < 0:
            raise Exhausted

    def made(self, value: Any) -> None:
        """A value that was made, or is gone through."""
        waiting = [value]
        while waiting:
            each = waiting.pop()
            if isinstance(each, tuple):
                self._made -= len(each)
                if self._made < 0:
                    raise Exhausted
                waiting += (item for item in each if isinstance(item, tuple))
            elif isinstance(each, str):
                self._made -= len(each) >> 4
        if self._made < 0:
            raise Exhausted
