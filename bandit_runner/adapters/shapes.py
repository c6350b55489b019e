"""A strategy that can be used where river's or MABWiser's policies are.

Those know neither time nor attempts nor 429s: every pull is the first attempt of an id of its own, `INTERVAL` seconds
after the one before. Rewards are 1 for success and 0 for failure, as both use them for Bernoulli arms.
"""

from collections.abc import Hashable, Iterable, Sequence
from typing import Generic, TypeVar

from bandit_runner.errors import UsageError
from bandit_runner.model import Outcome
from bandit_runner.strategies import Strategy, Wait

ArmT = TypeVar("ArmT", bound=Hashable)

HALF = 0.5
"""Rewards from here on are successes."""

INTERVAL = 0.1
"""Seconds on the clock from one choice to the next."""

MOST_WAITS = 100
"""A strategy that still waits after so many turns is asked no more: these libraries have no word for it."""


class _Named(Generic[ArmT]):
    """A strategy whose arms have names, and a clock that moves with every choice."""

    def __init__(self, strategy: Strategy, arms: Iterable[ArmT]) -> None:
        self.strategy = strategy
        self.arms: list[ArmT] = list(arms)
        self._places = {name: place for place, name in enumerate(self.arms)}
        if not len(self._places) == len(self.arms) == len(strategy.memory.arms):
            raise UsageError(
                f"{len(strategy.memory.arms)} arms have {len(self._places)} different names",
                hint="create the strategy with as many arms as there are names",
            )
        self._now = 0.0

    def _choose(self, names: Iterable[ArmT]) -> ArmT:
        available = [self._place(name) for name in names]
        self._now += INTERVAL
        for _ in range(MOST_WAITS):
            choice = self.strategy.select(now=self._now, attempt=0, tried=(), available=available)
            if isinstance(choice, int):
                return self.arms[choice]
            if not isinstance(choice, Wait):
                break
            self._now += choice.seconds
        raise UsageError("the strategy chooses none of these arms", hint="offer one arm or more")

    def _learn(self, name: ArmT, reward: float) -> None:
        outcome = Outcome.OK if reward >= HALF else Outcome.ERROR
        self.strategy.update(arm=self._place(name), outcome=outcome, now=self._now, attempt=0, latency=0.0)

    def _place(self, name: ArmT) -> int:
        try:
            return self._places[name]
        except KeyError:
            raise UsageError(f"there is no arm {name!r}", hint=f"known: {self.arms}") from None

    def _expectation(self, name: ArmT) -> float:
        arm = self.strategy.memory.arms[self._place(name)]
        return (arm.successes + 1) / (arm.pulls + 2)


class Policy(_Named[ArmT]):
    """What `river.bandit.base.Policy` can do: ``pull``, ``update``, ``ranking``. A list of arms per pull is a mask."""

    def pull(self, arm_ids: Sequence[ArmT]) -> ArmT:
        """One of the arms offered."""
        return self._choose(arm_ids)

    def update(self, arm_id: ArmT, reward: float) -> None:
        """Learn the reward of a pull: 1 or 0."""
        self._learn(arm_id, reward)

    @property
    def ranking(self) -> list[ArmT]:
        """The arms by the posterior mean of their success rate, best first."""
        return sorted(self.arms, key=self._expectation, reverse=True)


class MAB(_Named[ArmT]):
    """What `mabwiser.mab.MAB` can do without contexts, and what its users ask for: arms that are available now.

    ``fit`` is for a policy that has learned nothing yet; ``partial_fit`` adds to what it knows.
    """

    def fit(self, decisions: Sequence[ArmT], rewards: Sequence[float]) -> None:
        """Learn from a history, which must be the first.

        Raises:
            UsageError: something was learned before, or the lengths differ.
        """
        if any(arm.pulls for arm in self.strategy.memory.arms):
            raise UsageError("fit on a policy that has learned", hint="use partial_fit, or create a new one")
        self.partial_fit(decisions, rewards)

    def partial_fit(self, decisions: Sequence[ArmT], rewards: Sequence[float]) -> None:
        """Learn from more of a history."""
        if len(decisions) != len(rewards):
            raise UsageError(f"{len(decisions)} decisions, {len(rewards)} rewards", hint="give one reward for each")
        for name, reward in zip(decisions, rewards, strict=True):
            self._learn(name, reward)

    def predict(self, available: Sequence[ArmT] | None = None) -> ArmT:
        """The arm to play next, of those that are available (all, if not said)."""
        return self._choose(self.arms if available is None else available)

    def predict_expectations(self) -> dict[ArmT, float]:
        """The posterior mean of every arm's success rate, from a uniform prior."""
        return {name: self._expectation(name) for name in self.arms}
