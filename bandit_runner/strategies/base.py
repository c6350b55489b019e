"""What every strategy is: choices, the memory of each arm, and the frame that the algorithms fill in.

A strategy has no clock and no I/O; its random numbers are its own, from its seed. The frame decides what all of them
have in common: which arms may be played at all, and what happens after the free attempts.
"""

import operator
import random
from abc import ABC, abstractmethod
from collections.abc import Collection, Sequence
from enum import Enum
from typing import Annotated, Any, ClassVar, Final, Literal, SupportsIndex, TypeAlias

import msgspec

from bandit_runner.errors import StateMismatch, UsageError
from bandit_runner.model import LimitEstimate, Outcome, Scoring


class Stop(Enum):
    """The type of ``STOP``: give this id up, another attempt is not worth its price."""

    STOP = "stop"


STOP: Final = Stop.STOP


class Wait(msgspec.Struct, frozen=True):
    """Ask again in so many seconds; no attempt is made, and the request's deadline caps it."""

    seconds: float


Choice: TypeAlias = int | Literal[Stop.STOP] | Wait


Count: TypeAlias = Annotated[int, msgspec.Meta(ge=0, le=2**53)]
Seconds: TypeAlias = Annotated[float, msgspec.Meta(ge=-1e15, le=1e15)]
"""The bounds are checked where a saved state comes back; they keep NaN out too."""


class Arm(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """What a strategy remembers of one arm."""

    successes: Count = 0
    failures: Count = 0

    @property
    def pulls(self) -> int:
        """Attempts that counted, for better or worse."""
        return self.successes + self.failures

    @property
    def rate(self) -> float:
        """The observed success rate; 0 before the first attempt."""
        return self.successes / self.pulls if self.pulls else 0.0


class Memory(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """All that a strategy knows of the past: one entry per arm, and in subclasses what is not about one arm."""

    arms: Sequence[Arm]


class Options(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The settings of a strategy: names, types, bounds and defaults. Subclasses add theirs; here there are none."""


RandomState: TypeAlias = tuple[int, tuple[int, ...], float | None]


class Snapshot(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The plain JSON of ``snapshot()``: whose memory it is, the memory, and the state of the random generator."""

    strategy: str
    memory: dict[str, Any]
    random: RandomState


class Strategy(ABC):
    """Picks arms. Make one with ``bandit_runner.strategies.create``.

    Subclasses set ``name`` and fill in ``_choose``; most remember more by overriding ``_learn``, ``_new_memory`` and
    the types of ``memory`` and ``options``.
    """

    name: ClassVar[str]
    options_type: ClassVar[type[Options]] = Options
    memory: Memory
    options: Options

    def __init__(self, *, arms: int, seed: int, scoring: Scoring, options: Options) -> None:
        self.scoring = scoring
        self.options = options
        self.memory = self._new_memory(arms)
        self._all = range(arms)
        self._random = random.Random(seed)

    def select(self, *, now: float, attempt: int, tried: Sequence[int], available: Collection[int]) -> Choice:
        """The arm for this attempt, ``STOP``, or ``Wait(seconds)``.

        Args:
            now: seconds on any monotonic clock, the same for all calls.
            attempt: how many attempts this id has had.
            tried: the arms of those attempts, in order; arms that are no longer available may be among them.
            available: the arms that are not known to be down. What is chosen is always one of them.

        With no arm available, and from ``scoring.max_attempts`` on, the answer is ``STOP``. During the free attempts
        arms that this id has tried are left out as long as another is available (the original ``v6`` to ``v8`` make an
        exception, stated there); when all have been tried, all are candidates again.

        Raises:
            UsageError: ``available`` names an arm that does not exist, or the algorithm chose what it may not.
        """
        usable: Sequence[int] = self._all
        if available != usable:
            usable = sorted(available)
            if not usable:
                return STOP
            for arm in (usable[0], usable[-1]):
                if arm not in self._all:
                    raise self._no_such_arm(arm)
        scoring = self.scoring
        if attempt >= scoring.max_attempts:
            return STOP
        if attempt >= scoring.free_attempts:
            choice = self._choose_extra(now, tried, usable)
        else:
            choice = self._choose(now, attempt, untried(usable, tried) if tried else usable, usable)
        return choice if type(choice) is int and choice in usable else self._checked(choice, usable)

    def update(
        self, *, arm: int, outcome: Outcome, now: float, attempt: int, latency: float, retry_after: float | None = None
    ) -> None:
        """Learn what became of one attempt; ``latency`` and ``retry_after`` in seconds.

        Attempts of several ids may be under way at once and end in any order.

        Raises:
            UsageError: there is no such arm.
        """
        del attempt, latency, retry_after  # part of the interface; the algorithms of this package learn nothing from it
        if arm not in self._all:
            raise self._no_such_arm(arm)
        self._learn(arm, outcome, now)

    def finish(self, *, accepted: bool, attempts: int, now: float) -> None:
        """The id is done with. Nothing here depends on it: a caller that never says so gets the same choices."""
        del accepted, attempts, now

    def estimates(self) -> tuple[LimitEstimate, ...]:
        """What is believed of the arms' rate limits, one entry per arm, as of the last event; empty where nothing is.

        For people to look at: it changes nothing, and a strategy restored from a snapshot says the same.
        """
        return ()

    def snapshot(self) -> dict[str, Any]:
        """Everything that decides future choices, as plain JSON: what ``restore`` takes."""
        version, internal, gauss_next = self._random.getstate()
        return {
            "strategy": self.name,
            "memory": msgspec.to_builtins(self.memory),
            "random": [version, list(internal), gauss_next],
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from a snapshot of the same strategy with the same number of arms, here or in another process.

        Raises:
            StateMismatch: it is another strategy's, or damaged; then nothing has changed.
        """
        try:
            snapshot = msgspec.convert(state, Snapshot)
            memory = msgspec.convert(snapshot.memory, type(self.memory))
            generator = _generator(snapshot.random)
        except (msgspec.ValidationError, ValueError, TypeError, OverflowError) as error:
            raise StateMismatch(f"the saved state is damaged: {error}", hint="start without it") from error
        if snapshot.strategy != self.name or len(memory.arms) != len(self.memory.arms):
            raise StateMismatch(
                f"the saved state is of {snapshot.strategy!r} with {len(memory.arms)} arms,"
                f" not of {self.name!r} with {len(self.memory.arms)}",
                hint="start without it, or choose that strategy and those servers",
            )
        self.memory = memory
        self._random = generator

    @abstractmethod
    def _choose(self, now: float, attempt: int, fresh: Sequence[int], usable: Sequence[int]) -> Choice:
        """The rule of the algorithm for a free attempt: one of ``fresh``, which is never empty, ascending."""

    def _choose_extra(self, now: float, tried: Sequence[int], usable: Sequence[int]) -> Choice:
        """After the free attempts, as the original does it: the best observed rate, whatever was tried or limited."""
        del now, tried
        return self._best_rate(usable)

    def _learn(self, arm: int, outcome: Outcome, now: float) -> None:
        """Count a success or a failure; a 429 and a timeout are failures."""
        del now
        if outcome is Outcome.OK:
            self.memory.arms[arm].successes += 1
        else:
            self.memory.arms[arm].failures += 1

    def _open(self, now: float, candidates: Sequence[int]) -> Sequence[int]:
        """The candidates that are not set aside at the moment; algorithms that set arms aside say which."""
        del now
        return candidates

    def _new_memory(self, arms: int) -> Memory:
        """What is known of so many arms before the first attempt."""
        return Memory(arms=[Arm() for _ in range(arms)])

    def _best_rate(self, candidates: Sequence[int]) -> int:
        """The candidate with the best observed rate, the lowest of equals."""
        arms = self.memory.arms
        return max(candidates, key=lambda arm: arms[arm].rate)

    def _checked(self, choice: object, usable: Sequence[int]) -> Choice:
        """What a choice means that is not simply one of the arms: numpy's whole numbers are arms, too."""
        if isinstance(choice, Stop | Wait):
            return choice
        if isinstance(choice, SupportsIndex) and (arm := operator.index(choice)) in usable:
            return arm
        hint = "an algorithm chooses one of the arms that it is given, or STOP, or Wait(seconds)"
        raise UsageError(f"the strategy {self.name} chose {choice!r} of the arms {list(usable)}", hint=hint)

    def _no_such_arm(self, arm: int) -> UsageError:
        return UsageError(
            f"arm {arm} of a strategy with {len(self._all)} arms",
            hint="arms count from 0; create the strategy with as many as there are servers",
        )


def untried(usable: Sequence[int], tried: Sequence[int]) -> Sequence[int]:
    """The usable arms that this id has not tried; all of them when it has tried all."""
    return [arm for arm in usable if arm not in tried] or usable


def _generator(state: RandomState) -> random.Random:
    """The generator with that state; ``ValueError``, ``TypeError`` or ``OverflowError`` if it is none."""
    _, internal, _ = state
    if not any(internal[:-1]):
        raise ValueError("a generator of zeros stays at zero, and sampling from it never ends")
    generator = random.Random()
    generator.setstate(state)
    return generator
