"""What happens to one id, without sockets: select, attempt, update, and finish at the end.

`play` is a generator. It yields what is to be done next (`Try` or `Pause`), is sent what came of it, and returns the
record; before that it says (`Broken`) where the strategy failed. The balancer drives it with real servers; a test
drives it with a list.
"""

from collections.abc import Callable, Collection, Generator
from typing import Final, Protocol

import msgspec

from bandit_runner.errors import UsageError
from bandit_runner.model import Attempt, BalancedRequest, Outcome, Scoring
from bandit_runner.strategies import STOP, Strategy, Wait

SHORTEST: Final = 0.001
"""Seconds. A strategy that answers Wait(0) for ever must not keep the loop busy until the deadline, and what is left of
a deadline when a timer fired early (uvloop's count milliseconds) is no time for another attempt."""


_OK: Final = Outcome.OK


class Try(msgspec.Struct, frozen=True, gc=False):
    """Send the id to this arm; send back a `Result`, after ``timeout`` seconds at the latest."""

    arm: int
    timeout: float


class Pause(msgspec.Struct, frozen=True, gc=False):
    """Go on in so many seconds; nothing is sent back."""

    seconds: float


class Broken(msgspec.Struct, frozen=True, gc=False):
    """The strategy raised that, which ends the id; nothing is sent back."""

    error: Exception


class Result(Protocol):
    """What came of a `Try`."""

    @property
    def outcome(self) -> Outcome:
        """What the server did."""

    @property
    def retry_after(self) -> float | None:
        """When it said to come back, in seconds."""


class Rules(msgspec.Struct, frozen=True, kw_only=True):
    """What bounds one id, all in seconds but the scoring (of which ``max_attempts`` counts here)."""

    scoring: Scoring
    attempt_timeout: float
    deadline: float
    """From the start of the request; it cuts attempts and waits short."""


Steps = Generator[Try | Pause | Broken, Result | None, BalancedRequest]


def play(
    id_: str,
    *,
    tier: str,
    strategy: Strategy,
    rules: Rules,
    arms: Callable[[], Collection[int]],
    wanted: Callable[[], bool],
    clock: Callable[[], float],
) -> Steps:
    """Play one id to its end: accepted, stopped, out of attempts, out of time, or nobody waits for it any more.

    A strategy may be anybody's code: one that raises, or chooses an arm that it was not offered, ends this id alone.
    The record has the attempts until then, and says that it was not accepted.

    Args:
        id_: what is sent.
        tier: for the record.
        strategy: it is asked before and told after each attempt, and told of the end.
        rules: what bounds it.
        arms: the arms that are not known to be down, asked before each choice.
        wanted: whether the client is still there, asked before each choice; an attempt under way is awaited.
        clock: seconds, monotonic; what the strategy and the record see.
    """
    started = now = clock()
    deadline = started + rules.deadline
    most, last = rules.scoring.max_attempts, deadline - SHORTEST
    trials: list[Attempt] = []
    tried: tuple[int, ...] = ()
    accepted = False
    try:
        while not accepted and (attempt := len(tried)) < most and now < last and wanted():
            offered = arms()
            choice = strategy.select(now=now, attempt=attempt, tried=tried, available=offered)
            if choice is STOP:
                break
            if isinstance(choice, Wait):
                yield Pause(min(_sane(choice.seconds), deadline - now))
                now = clock()
                continue
            if not isinstance(choice, int) or choice not in offered:  # 1.0 would be in them
                raise UsageError(f"{strategy.name} chose arm {choice!r} of {list(offered)}", hint="repair the strategy")
            began = clock()
            result = yield Try(choice, min(rules.attempt_timeout, deadline - now))
            if result is None:
                raise RuntimeError("a Try was not answered with a Result")
            now = clock()
            tried, accepted = (*tried, choice), result.outcome is _OK
            _learn(strategy, trials, id_, choice, result, began, now)
        strategy.finish(accepted=accepted, attempts=len(tried), now=now)
    except Exception as error:  # noqa: BLE001 - it fails this id, not the balancer
        accepted = False
        yield Broken(error)
    return _record(id_, tier, strategy, trials, accepted=accepted, latency=now - started)


def _learn(
    strategy: Strategy, trials: list[Attempt], id_: str, arm: int, result: Result, began: float, now: float
) -> None:
    """Record an attempt, and tell the strategy what came of it: in this order, for it counts whatever that does."""
    outcome, latency, wait, number = result.outcome, now - began, result.retry_after, len(trials)
    trials.append(
        Attempt(id=id_, number=number, arm=arm, outcome=outcome, started=began, latency=latency, retry_after=wait)
    )
    strategy.update(arm=arm, outcome=outcome, now=now, attempt=number, latency=latency, retry_after=wait)


def _record(
    id_: str, tier: str, strategy: Strategy, trials: list[Attempt], *, accepted: bool, latency: float
) -> BalancedRequest:
    return BalancedRequest(
        id=id_,
        accepted=accepted,
        attempts=len(trials),
        latency=latency,
        outcomes=tuple([trial.outcome for trial in trials]),
        tier=tier,
        strategy=strategy.name,
        trials=tuple(trials),
    )


def _sane(seconds: float) -> float:
    """A wait that moves time forward, whatever was asked for (NaN included)."""
    return max(SHORTEST, seconds)  # in this order: max returns its first argument when the second is NaN
