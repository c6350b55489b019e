"""What choosing costs: processor time of each strategy per accepted id, without the balancer around it.

    python tests/benchmarks/balancer/strategies.py [--rate 8000] [--under-way 32] [STRATEGY...]

A selection, its update and its end, on ten servers that accept everything, with so many ids under way. The rate is
that of the strategy's own clock; it matters to those that believe something of time. The least of many short rounds,
which a busy machine delays but does not make shorter; in the balancer, where caches are cold, it is about twice that.
"""

import argparse
import time
from collections import deque

from bandit_runner.model import Outcome
from bandit_runner.strategies import STRATEGIES, create

ARMS = 10
WARM = 4_000
"""Ids before the first round: until the servers are known."""
ROUNDS = 60
IDS = 400
"""Per round."""


def measure(name: str, rate: float, most_under_way: int) -> float:
    """Microseconds per id."""
    strategy = create(name, arms=ARMS, seed=1)
    under_way: deque[int] = deque()
    now = 0.0

    def play(ids: int) -> None:
        nonlocal now
        for _ in range(ids):
            now += 1 / rate
            if len(under_way) == most_under_way:
                strategy.update(arm=under_way.popleft(), outcome=Outcome.OK, now=now, attempt=0, latency=0.001)
                strategy.finish(accepted=True, attempts=1, now=now)
            choice = strategy.select(now=now, attempt=0, tried=(), available=range(ARMS))
            if isinstance(choice, int):
                under_way.append(choice)

    play(WARM)
    least = float("inf")
    for _ in range(ROUNDS):
        began = time.process_time()
        play(IDS)
        least = min(least, time.process_time() - began)
    return least / IDS * 1e6


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--rate", type=float, default=8_000, help="ids per second of the strategy's clock")
    options.add_argument("--under-way", type=int, default=32)
    options.add_argument("strategies", nargs="*", metavar="STRATEGY")
    chosen = options.parse_args()
    print(f"{'strategy':24}{'us per id':>10}")
    for name in chosen.strategies or STRATEGIES:
        print(f"{name:24}{measure(name, chosen.rate, chosen.under_way):10.1f}", flush=True)


if __name__ == "__main__":
    main()
