"""How fast strategies play in the simulator: python tests/benchmarks/simulation/speed.py [STRATEGY...]

Processor time, the best of several rounds, one core. ``runs/s`` are runs of 1000 ids on T1; ``select us`` is a
selection with its update, over all attempts of such a run.
"""

import sys
import time
from typing import Any

from bandit_runner.model import Scoring
from bandit_runner.simulation import World, load, play
from bandit_runner.strategies import STRATEGIES, Choice, create

REQUESTS = 1000
ROUNDS = 5


class Counting:
    """A strategy, and how often it was asked."""

    def __init__(self, name: str, seed: int) -> None:
        strategy = create(name, seed=seed)
        self.update, self.finish, self._select = strategy.update, strategy.finish, strategy.select
        self.calls = 0

    def select(self, **asked: Any) -> Choice:
        self.calls += 1
        return self._select(**asked)


def measure(name: str) -> tuple[float, float]:
    """Runs per second, and microseconds per selection."""
    best, calls = float("inf"), 1
    for seed in range(ROUNDS):
        player, world = Counting(name, seed), World(load("T1"), seed)
        began = time.process_time()
        play(player, world, requests=REQUESTS, scoring=Scoring())
        took = time.process_time() - began
        if took < best:
            best, calls = took, player.calls
    return 1 / best, best / calls * 1e6


def main() -> None:
    print(f"{'strategy':24}{'runs/s':>9}{'select us':>11}")
    for name in sys.argv[1:] or STRATEGIES:
        runs, micros = measure(name)
        print(f"{name:24}{runs:9.1f}{micros:11.1f}", flush=True)


if __name__ == "__main__":
    main()
