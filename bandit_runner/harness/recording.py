"""What happens in a session, on its way into the store."""

import logging
import time

from bandit_runner.errors import StateMismatch
from bandit_runner.model import TIERS, BalancedRequest
from bandit_runner.runs import Recorder, Run, Store
from bandit_runner.runs.records import RunStart
from bandit_runner.strategies import Strategy

log = logging.getLogger(__name__)

STATE_SECONDS = 1.0
"""A strategy's state is saved so often, so that a run that was killed goes on as it would have."""

SAME_CLOCK_SECONDS = 1.0
"""A state holds times of the clock it was saved under, which begins anew when the machine does."""


class Recording:
    """Runs of one session; its clock is the balancer's."""

    def __init__(self, recorder: Recorder) -> None:
        self.recorder = recorder
        self._zero = time.time() - time.monotonic()
        self._playing: dict[str, Strategy] = {}
        self._saved: dict[str, float] = {}
        self._complained: Strategy | None = None

    def begin(
        self, tier: str, strategy: Strategy, *, planned: int | None, seed: int | None, before: Run | None = None
    ) -> None:
        """Ids of ``tier`` now belong to a new run, or to ``before``, whose strategy goes on where it was."""
        self._playing[tier] = strategy
        self._saved[tier] = time.monotonic()
        session = self.recorder.session
        if before is not None:
            with Store.open(self.recorder.path) as store:
                catch_up(strategy, store, before, zero=self._zero)
            self.recorder.resume(before)
            return
        self.recorder.begin(
            RunStart(
                session=session.id,
                name=f"{session.id}_{strategy.name}_{tier}",
                strategy=strategy.name,
                tier=tier,
                ports=tuple(TIERS[tier].ports),
                started=time.monotonic() + self._zero,
                clock_zero=self._zero,
                planned=planned,
                seed=seed,
            )
        )

    def observe(self, request: BalancedRequest) -> None:
        """One id is done with."""
        self.recorder.record(request)
        now = time.monotonic()
        if now - self._saved[request.tier] >= STATE_SECONDS:
            self._save(request.tier, now)

    def end(self, tier: str) -> None:
        """The tier's run is complete."""
        self._save(tier, time.monotonic())
        self.recorder.end(tier)

    def _save(self, tier: str, now: float) -> None:
        self._saved[tier] = now
        strategy = self._playing[tier]
        try:
            self.recorder.state(tier, strategy.snapshot())
        except Exception as error:  # noqa: BLE001 - anybody's code again: a run goes on from its ids, too
            if strategy is not self._complained:
                self._complained = strategy
                log.warning("the state of strategy %s is not stored: %r", strategy.name, error)


def catch_up(strategy: Strategy, store: Store, run: Run, *, zero: float) -> None:
    """Bring a new strategy to where a stored run left off: the saved state, then what was stored after it.

    Without a state that fits (another version's, or from before the machine was started) all is told again.

    ``zero`` is what turns the strategy's clock into epoch seconds.
    """
    saved = store.state(run)
    after = 0
    if saved is not None and abs(run.start.clock_zero - zero) < SAME_CLOCK_SECONDS:
        after, state = saved
        try:
            strategy.restore(state)
        except StateMismatch:
            after = 0
    for stored in store.requests(run, after=after):
        request = stored.request
        for trial in request.trials:
            strategy.update(
                arm=trial.arm,
                outcome=trial.outcome,
                now=trial.started + trial.latency - zero,
                attempt=trial.number,
                latency=trial.latency,
                retry_after=trial.retry_after,
            )
        if request.trials:
            last = request.trials[-1]
            now = last.started + last.latency - zero
            strategy.finish(accepted=request.accepted, attempts=request.attempts, now=now)
