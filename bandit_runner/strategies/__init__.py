"""Bandit strategies: which server the next attempt of an id goes to. One algorithm per file; no I/O, no clock.

    base.py                    what all share: Strategy, STOP, Wait, memory, snapshots
    fixed.py                   what the ``-fixed`` forms do differently
    larkin.py              v1  discovery, then the best observed rate
    ucb1.py                v2  upper confidence bound
    adjusted_ucb.py        v3  a wider bound
    thompson.py            v4  Thompson sampling; draws.py makes its samples in blocks
    modified_thompson.py   v5  from a posterior widened by attempt
    masked_thompson.py     v6  without servers that just answered 429
    sliding_window.py      v7  from the latest outcomes only
    blocking.py            v8  with blocks that grow
    best.py            best    our own, made of:
      quality.py                 success rates; strain.py, what load leaves of them
      rate_limits.py             rate limits, by a particle filter: guesses.py are the particles, weighted.py sums them
      luck.py                    whether 429s come by chance
      arrivals.py                how many ids come
      prices.py                  what scarce servers are worth to other ids
      waits.py                   ids that were told to wait
      worths.py                  the best of all arms, without computing what each is worth
      best_memory.py             all of that in a snapshot
    uniform.py, round_robin.py, nginx_like.py, envoy_like.py, p2c_ewma.py   baselines: what balancers do today
    kl_ucb.py, exp3.py                                   references from the literature
    bwk_balanced.py, bwk_primal_dual.py                  Bandits with Knapsacks, as in the paper (both: knapsack.py)
    blog_balanced.py, blog_primal_dual.py                and as the blog sketched them

``v1`` to ``v8`` play exactly as the project they come from does, flaws included: up to ten attempts, from the fourth on
at the server with the best observed rate, tried and rate-limited or not. The ``-fixed`` forms stop where an attempt is
not worth its penalty and respect what was tried. That is worth more than all differences between the eight.

To add one: a file with a subclass of `Strategy` (uniform.py is the shortest), and its ``name`` in ``STRATEGIES``; every
command and test takes its names from there. ``bandit_runner simulate --strategy NAME`` measures it. An error in it is
reported with its name; where it never returns, Ctrl-C shows the line.

>>> strategy = create("v6-fixed", arms=3, seed=1)
>>> choice = strategy.select(now=0.0, attempt=0, tried=(), available=range(3))
>>> strategy.update(arm=choice, outcome=Outcome.OK, now=0.001, attempt=0, latency=0.001)
>>> strategy.finish(accepted=True, attempts=1, now=0.001)
>>> strategy.select(now=0.1, attempt=3, tried=(0, 1, 2), available=range(3)) is STOP
True
"""

import difflib
from collections.abc import Iterable, Mapping
from typing import Any, Final

import msgspec

from bandit_runner.errors import UsageError
from bandit_runner.model import SCORINGS, Outcome, Scoring
from bandit_runner.strategies.adjusted_ucb import AdjustedUCB, AdjustedUCBFixed
from bandit_runner.strategies.base import STOP, Choice, Strategy, Wait
from bandit_runner.strategies.best import Best
from bandit_runner.strategies.blocking import Blocking, BlockingFixed
from bandit_runner.strategies.blog_balanced import BlogBalanced
from bandit_runner.strategies.blog_primal_dual import BlogPrimalDual, BlogPrimalDualFixed
from bandit_runner.strategies.bwk_balanced import Balanced
from bandit_runner.strategies.bwk_primal_dual import PrimalDual
from bandit_runner.strategies.envoy_like import EnvoyLike
from bandit_runner.strategies.exp3 import Exp3
from bandit_runner.strategies.kl_ucb import KLUCB
from bandit_runner.strategies.larkin import Larkin, LarkinFixed
from bandit_runner.strategies.masked_thompson import MaskedThompson, MaskedThompsonFixed
from bandit_runner.strategies.modified_thompson import ModifiedThompson, ModifiedThompsonFixed
from bandit_runner.strategies.nginx_like import NginxLike
from bandit_runner.strategies.p2c_ewma import PowerOfTwo
from bandit_runner.strategies.round_robin import RoundRobin
from bandit_runner.strategies.sliding_window import SlidingWindow, SlidingWindowFixed
from bandit_runner.strategies.thompson import Thompson, ThompsonFixed
from bandit_runner.strategies.ucb1 import UCB1, UCB1Fixed
from bandit_runner.strategies.uniform import Uniform

__all__ = ["STOP", "STRATEGIES", "Choice", "Outcome", "Strategy", "Wait", "check", "create", "fitting"]

STRATEGIES: Final[dict[str, type[Strategy]]] = {
    "v1": Larkin,
    "v1-fixed": LarkinFixed,
    "v2": UCB1,
    "v2-fixed": UCB1Fixed,
    "v3": AdjustedUCB,
    "v3-fixed": AdjustedUCBFixed,
    "v4": Thompson,
    "v4-fixed": ThompsonFixed,
    "v5": ModifiedThompson,
    "v5-fixed": ModifiedThompsonFixed,
    "v6": MaskedThompson,
    "v6-fixed": MaskedThompsonFixed,
    "v7": SlidingWindow,
    "v7-fixed": SlidingWindowFixed,
    "v8": Blocking,
    "v8-fixed": BlockingFixed,
    "bwk-balanced": Balanced,
    "bwk-primal-dual": PrimalDual,
    "blog-balanced": BlogBalanced,
    "blog-primal-dual": BlogPrimalDual,
    "blog-primal-dual-fixed": BlogPrimalDualFixed,
    "random": Uniform,
    "round-robin": RoundRobin,
    "nginx-like": NginxLike,
    "envoy-like": EnvoyLike,
    "p2c-ewma": PowerOfTwo,
    "exp3": Exp3,
    "kl-ucb": KLUCB,
    "best": Best,
}


def fitting(name: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """Those of the options that the strategy has; of an unknown strategy none."""
    known = STRATEGIES[name].options_type.__struct_fields__ if name in STRATEGIES else ()
    return {key: value for key, value in options.items() if key in known}


def create(
    name: str, *, arms: int = 10, seed: int = 0, scoring: Scoring = SCORINGS["statement"], **options: Any
) -> Strategy:
    """A strategy by its name, without any memory yet.

    Args:
        name: one of ``STRATEGIES``.
        arms: how many servers there are, 1 or more.
        seed: of its own random numbers; the same seed and the same events give the same choices.
        scoring: what attempts cost, for strategies that decide whether one more is worth it.
        **options: settings of that strategy, as its ``options_type`` declares them; numbers may come as text.

    Raises:
        UsageError: no such strategy or option, a value out of its bounds, or a class that has another name.
    """
    strategy = STRATEGIES.get(name)
    if strategy is None:
        near = difflib.get_close_matches(name, STRATEGIES) or STRATEGIES
        raise UsageError(f"there is no strategy {name!r}", hint=f"try {', '.join(near)}")
    if getattr(strategy, "name", None) != name:  # runs are stored and told apart by what it calls itself
        raise UsageError(f"the class of the strategy {name!r} has another name", hint=f'write name = "{name}" in it')
    if arms < 1:
        raise UsageError(f"a strategy cannot choose from {arms} arms", hint="give it one server or more")
    try:
        checked = msgspec.convert(options, strategy.options_type, strict=False)
    except msgspec.ValidationError as error:
        known = ", ".join(strategy.options_type.__struct_fields__) or "none"
        raise UsageError(f"{name} cannot have these options: {error}", hint=f"its options: {known}") from error
    return strategy(arms=arms, seed=seed, scoring=scoring, options=checked)


def check(names: Iterable[str], options: Mapping[str, Any]) -> None:
    """See that all of these can be created, each with those of the options that it has.

    Raises:
        UsageError: as `create`, and for an option that none of them has.
    """
    unused, known = dict(options), set[str]()
    for name in names:
        its_own = fitting(name, options)
        create(name, **its_own)
        known.update(STRATEGIES[name].options_type.__struct_fields__)
        for key in its_own:
            unused.pop(key, None)
    if unused:
        hint = f"their options: {', '.join(sorted(known)) or 'none'}"
        raise UsageError(f"none of the strategies has the option {', '.join(sorted(unused))}", hint=hint)
