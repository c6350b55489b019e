"""Many runs: strategies x scenarios x seeds, on any executor, and what they came to."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, as_completed
from typing import Any, Final

import msgspec

from bandit_runner import strategies
from bandit_runner.errors import UsageError
from bandit_runner.model import Scoring
from bandit_runner.simulation.clairvoyant import CLAIRVOYANTS, bound
from bandit_runner.simulation.comparison import difference, is_decided
from bandit_runner.simulation.play import Player, RunResult, play
from bandit_runner.simulation.scenario import Scenario
from bandit_runner.simulation.world import World

BOUND: Final = "bound"
"""Named like a strategy: the bound of the linear program, which nobody plays."""

CLAIRVOYANT: Final = "clairvoyant"

PLAYERS_ELSEWHERE: Final = (*CLAIRVOYANTS, BOUND)
"""What may stand where a strategy's name is expected, beside the strategies."""

ROUND: Final = 40
"""Runs of each strategy between two looks at whether all is decided."""

BATCH: Final = 20
"""Runs per task that is handed to an executor: enough to outweigh its cost, few enough for a progress bar to move."""


class Task(msgspec.Struct, frozen=True, kw_only=True):
    """Runs of one strategy on one scenario, one per seed."""

    strategy: str
    options: Mapping[str, Any] = {}
    scenario: Scenario
    scoring: Scoring
    requests: int
    seeds: tuple[int, ...]


def run(task: Task) -> list[RunResult]:
    """The results of a task, in the order of its seeds. A function of its argument alone, wherever it runs."""
    return [_run(task, seed) for seed in task.seeds]


def _run(task: Task, seed: int) -> RunResult:
    world = World(task.scenario, seed)
    if task.strategy == BOUND:
        value = bound(world, task.scoring, task.requests)
        return RunResult(
            requests=task.requests,
            accepted=0,
            accepted_within_3=0,
            extra_attempts=0,
            rate_limited=0,
            score=value,
            latencies={},
        )
    return play(_player(task, world, seed), world, requests=task.requests, scoring=task.scoring)


def _player(task: Task, world: World, seed: int) -> Player:
    clairvoyant = CLAIRVOYANTS.get(task.strategy)
    if clairvoyant is not None:
        return clairvoyant(world, task.scoring, task.requests)
    return strategies.create(task.strategy, arms=task.scenario.arms, seed=seed, scoring=task.scoring, **task.options)


class Experiment(msgspec.Struct, frozen=True, kw_only=True):
    """Strategies x scenarios, ``runs`` times with the seeds ``seed``, ``seed + 1``, ...

    With ``until_decided`` the runs end early, once every strategy is told apart from the first on every scenario.
    """

    strategies: tuple[str, ...]
    scenarios: tuple[Scenario, ...]
    runs: int
    requests: int
    scoring: Scoring = Scoring()
    seed: int = 0
    options: Mapping[str, Any] = {}
    until_decided: bool = False

    @property
    def players(self) -> tuple[str, ...]:
        """Who plays: the strategies, and the clairvoyant, against whom regret is."""
        return tuple(dict.fromkeys((*self.strategies, CLAIRVOYANT)))

    @property
    def total_runs(self) -> int:
        """Over all players and scenarios."""
        return self.runs * len(self.players) * len(self.scenarios)


RunResults = dict[tuple[str, str], list[RunResult]]
"""By scenario and strategy, one per run, in the order of the seeds."""


def play_all(
    experiment: Experiment, executor: Executor | None = None, on_progress: Callable[[int], None] = lambda _: None
) -> RunResults:
    """Play an experiment on the executor's workers, or right here without one.

    ``concurrent.futures.ProcessPoolExecutor`` and ``distributed.Client(...).get_executor()`` will do alike;
    ``on_progress`` hears how many runs have just ended.

    Raises:
        UsageError: an unknown strategy, an option that none has or that has no meaning, or two scenarios of one name.
    """
    check(experiment)
    results: RunResults = {
        (scenario.name, name): [] for scenario in experiment.scenarios for name in experiment.players
    }
    last = experiment.seed + experiment.runs
    step = ROUND if experiment.until_decided else experiment.runs
    for first in range(experiment.seed, last, step):
        seeds = range(first, min(last, first + step))
        pieces = [
            _task(experiment, scenario, name, seeds[i : i + BATCH])
            for scenario in experiment.scenarios
            for name in experiment.players
            for i in range(0, len(seeds), BATCH)
        ]
        done = dict(_results(pieces, executor, on_progress))
        for number, piece in enumerate(pieces):
            results[piece.scenario.name, piece.strategy].extend(done[number])
        if experiment.until_decided and _is_decided(experiment, results):
            break
    return results


def check(experiment: Experiment) -> None:
    """Raise UsageError for what could not be played, before anything is."""
    scenarios = [scenario.name for scenario in experiment.scenarios]
    if len(set(scenarios)) < len(scenarios):
        raise UsageError(f"two scenarios have one name: {', '.join(scenarios)}", hint="give each a name of its own")
    strategies.check([name for name in experiment.strategies if name not in PLAYERS_ELSEWHERE], experiment.options)


def _is_decided(experiment: Experiment, results: RunResults) -> bool:
    reference, *others = experiment.strategies
    return all(
        is_decided(difference(results[scenario.name, reference], results[scenario.name, other]))
        for scenario in experiment.scenarios
        for other in others
    )


def _task(experiment: Experiment, scenario: Scenario, name: str, seeds: Sequence[int]) -> Task:
    return Task(
        strategy=name,
        options=strategies.fitting(name, experiment.options),
        scenario=scenario,
        scoring=experiment.scoring,
        requests=experiment.requests,
        seeds=tuple(seeds),
    )


def _results(
    pieces: Sequence[Task], executor: Executor | None, on_progress: Callable[[int], None]
) -> Iterator[tuple[int, list[RunResult]]]:
    if executor is None:
        for number, piece in enumerate(pieces):
            yield number, run(piece)
            on_progress(len(piece.seeds))
        return
    futures = {executor.submit(run, piece): number for number, piece in enumerate(pieces)}
    try:
        for future in as_completed(futures):
            yield futures[future], future.result()
            on_progress(len(pieces[futures[future]].seeds))
    finally:
        for future in futures:
            future.cancel()
