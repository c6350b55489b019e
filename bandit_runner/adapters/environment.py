"""A scenario as a gymnasium environment: the agent decides each attempt of each id."""

from typing import Any

import gymnasium
import numpy as np
from numpy.typing import NDArray

from bandit_runner.model import Outcome, Scoring
from bandit_runner.simulation import Scenario, World, load

PER_ARM = 4


class TierEnv(gymnasium.Env[NDArray[np.float32], np.int64]):
    """An episode is ``requests`` ids on servers drawn from the seed; a step is one attempt.

    Action: a server, or the number of servers to give the id up. Reward: 1 for an accepted id, minus the penalty for
    each attempt after the free ones. Observation: attempts of this id so far as a share of the most there may be, the
    share of ids done; then per server: successes, failures and 429s, each as n / (n + 10), and exp(-seconds) since its
    last 429 (0 if there was none). ``info`` has the outcome as text and the simulated time in seconds.

    `gymnasium.utils.env_checker.check_env` passes.
    """

    metadata: dict[str, Any] = {"render_modes": []}  # noqa: RUF012 - gymnasium's own declaration

    _now: float
    _done: int
    _attempts: int

    def __init__(
        self, scenario: Scenario | str = "T2h", *, requests: int = 100, scoring: Scoring | None = None
    ) -> None:
        self.scenario = load(scenario) if isinstance(scenario, str) else scenario
        self.requests = requests
        self.scoring = scoring or Scoring()
        arms = self.scenario.arms
        self.action_space = gymnasium.spaces.Discrete(arms + 1)
        self.observation_space = gymnasium.spaces.Box(0.0, 1.0, (2 + PER_ARM * arms,), np.float32)
        self._begin(0)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[NDArray[np.float32], dict[str, Any]]:
        """A new episode; without a seed on servers that nobody has seen."""
        super().reset(seed=seed, options=options)
        self._begin(int(self.np_random.integers(2**31)))
        return self._observe(), {"now": self._now}

    def step(self, action: np.int64) -> tuple[NDArray[np.float32], float, bool, bool, dict[str, Any]]:
        """One attempt, or the end of an id."""
        arm, reward, outcome = int(action), 0.0, None
        if arm < self.scenario.arms:
            outcome = self._attempt(arm)
            extra = self._attempts > self.scoring.free_attempts
            reward = float(outcome is Outcome.OK) - self.scoring.penalty * extra
        if outcome in {None, Outcome.OK} or self._attempts >= self.scoring.max_attempts:
            self._done += 1
            self._attempts = 0
            self._now = max(self._now, self._done / self.scenario.requests_per_second)
        info = {"now": self._now, "outcome": "stop" if outcome is None else outcome.value}
        return self._observe(), reward, self._done >= self.requests, False, info

    def _attempt(self, arm: int) -> Outcome:
        outcome = self._world.answer(arm, self._now)
        self._now += self.scenario.timeout if outcome is Outcome.TIMEOUT else self.scenario.latency
        self._attempts += 1
        if outcome is Outcome.RATE_LIMITED:
            self._limited_at[arm] = self._now
        self._counts[{Outcome.OK: 0, Outcome.RATE_LIMITED: 2}.get(outcome, 1), arm] += 1
        return outcome

    def _begin(self, seed: int) -> None:
        arms = self.scenario.arms
        self._world = World(self.scenario, seed)
        self._now = 0.0
        self._done = 0
        self._attempts = 0
        self._counts = np.zeros((PER_ARM - 1, arms))
        self._limited_at = np.full(arms, -np.inf)

    def _observe(self) -> NDArray[np.float32]:
        head = [self._attempts / self.scoring.max_attempts, min(1.0, self._done / self.requests)]
        shares = self._counts / (self._counts + 10)
        return np.concatenate([head, shares.ravel(), np.exp(self._limited_at - self._now)]).astype(np.float32)
