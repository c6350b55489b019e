"""bandit_runner simulate: strategies on scenarios without sockets, and what chance alone explains."""

import contextlib
from collections.abc import Iterator
from concurrent.futures import Executor
from typing import TYPE_CHECKING, Any, Final

import click

from bandit_runner.cli.options import strategy_names
from bandit_runner.cli.scoring import scoring, scoring_options
from binsafe.cli.entry import note

if TYPE_CHECKING:
    from bandit_runner.simulation import Experiment
    from bandit_runner.simulation.experiment import RunResults
    from bandit_runner.simulation.scenario import Scenario

DEFAULT: Final = ("best", "v6-fixed", "round-robin", "clairvoyant")


@click.command(
    "simulate",
    short_help="Play strategies on simulated servers.",
    epilog="""\b
Examples:
  bandit_runner simulate
  bandit_runner simulate --strategy best --scenario T2h --runs 200
  bandit_runner simulate --strategy all --jobs 4
  bandit_runner simulate --strategy v4 --strategy v5 --until-decided
  bandit_runner simulate --ranking --runs 400 --jobs 2   (was the blog right?)
  bandit_runner simulate --scenario ./mine.yaml --json > results.json

\b
Scenarios, by what limits the servers:
  T1   nothing
  T2c  what the original's logs show: no second hit within 50 ms
  T2h  token buckets that cannot carry the load of their favourites
  T2w  fixed windows of 10 s
  T3s  T2h with rates that swing; T3c the same of T2c
  T3r  rates that jump between plenty and next to nothing""",
)
@click.option(
    "--strategy",
    "strategies",
    multiple=True,
    metavar="NAME",
    shell_complete=strategy_names,
    help="Repeatable; or all; also clairvoyant, clairvoyant-greedy, bound. The others are compared with the first."
    f"  [default: {', '.join(DEFAULT)}]",
)
@click.option(
    "--scenario",
    "scenarios",
    multiple=True,
    metavar="NAME|PATH",
    help="T1, T2c, T2h, T2w, T3s, T3r, all of these, T3c, or a YAML file; repeatable.  [default: all]",
)
@click.option(
    "--runs",
    type=click.IntRange(min=1),
    default=50,
    show_default=True,
    help="Simulated runs, each with newly drawn servers.",
)
@click.option("--requests", type=click.IntRange(min=1), default=100, show_default=True, help="Ids per run.")
@scoring_options
@click.option(
    "--option", "options", multiple=True, metavar="NAME=VALUE", help="Set an option of every strategy that has it."
)
@click.option(
    "--seed",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    help="Seed of the first run; each further run adds 1.",
)
@click.option("--until-decided", is_flag=True, help="End early, once all comparisons are decided; --runs is the most.")
@click.option("--jobs", type=click.IntRange(min=1), default=1, show_default=True, help="Number of processes.")
@click.option("--cluster", metavar="ADDRESS", help="A Dask scheduler, tcp://HOST:PORT, instead of processes here.")
@click.option("--ranking", "rank", is_flag=True, help="The blog's ranking of V1 to V8 beside ours, with intervals.")
@click.option("--json", "as_json", is_flag=True, help="Print binsafe.results/1.")
def command(**given: Any) -> None:
    """Play strategies on simulated servers: points per 100 ids with 95% intervals, paired differences, regret.

    The same seed gives every strategy the same servers and the same luck, so that differences are the strategies' own.
    The columns are those of bandit_runner start, per 100 ids; clairvoyant knows all rates and limits.
    """
    from bandit_runner.cli.progress import progress
    from bandit_runner.cli.stopping import place
    from bandit_runner.simulation import play_all

    experiment = _experiment(given)
    try:
        with _executor(given["jobs"], given["cluster"]) as executor, progress(experiment.total_runs) as bar:
            results = play_all(experiment, executor, bar.advance)
    except KeyboardInterrupt as error:
        note(f"stopped in {place(error)}")  # where a strategy of one's own loops, this is how one finds it
        raise
    if given["rank"]:
        _show_ranking(experiment, results, as_json=given["as_json"])
    else:
        _show(experiment, results, as_json=given["as_json"])


def _show(experiment: "Experiment", results: "RunResults", *, as_json: bool) -> None:
    from bandit_runner.harness import to_json
    from bandit_runner.simulation.table import rows, to_text
    from bandit_runner.tables import counted

    if as_json:
        click.echo(to_json(rows(experiment, results)))
        return
    click.echo(to_text(experiment, results), nl=False)
    played = len(next(iter(results.values())))
    runs = f"{counted(played, 'run')} of {counted(experiment.requests, 'id')}"
    note(f"{runs}; numbers are per 100 ids; regret is against clairvoyant")


def _show_ranking(experiment: "Experiment", results: "RunResults", *, as_json: bool) -> None:
    import msgspec

    from bandit_runner.simulation.ranking import ranking, to_text
    from bandit_runner.tables import counted

    found = ranking(experiment, results)
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(found)).decode())
        return
    click.echo(to_text(found), nl=False)
    played = len(next(iter(results.values())))
    runs = f"{counted(played, 'run')} of {counted(experiment.requests, 'id')}"
    note(f"{runs}; 'place' is what the paired differences of these runs leave open")
    note("'best in one run': how often a single run, which is what the blog ranks by, would put it first of V1 to V8")


def _experiment(given: dict[str, Any]) -> "Experiment":
    """What was asked for, checked: nothing is played before all of it is known to make sense."""
    from bandit_runner.cli.options import named_value
    from bandit_runner.simulation import NAMES, Experiment, check, load

    strategies, scenarios = given["strategies"] or DEFAULT, given["scenarios"] or ("all",)
    loaded: tuple[Scenario, ...] = ()
    if given["rank"]:
        from bandit_runner.simulation.ranking import RANKED, blog_scenarios

        strategies = given["strategies"] or RANKED
        loaded = () if given["scenarios"] else blog_scenarios()
    names = [name for asked in scenarios for name in (NAMES if asked == "all" else (asked,))]
    experiment = Experiment(
        strategies=_strategies(strategies),
        scenarios=loaded or tuple(load(name) for name in dict.fromkeys(names)),
        runs=given["runs"],
        requests=given["requests"],
        scoring=scoring(given),
        seed=given["seed"],
        options=dict(named_value(text) for text in given["options"]),
        until_decided=given["until_decided"],
    )
    check(experiment)
    return experiment


def _strategies(names: tuple[str, ...]) -> tuple[str, ...]:
    from bandit_runner.simulation import BOUND, CLAIRVOYANTS
    from bandit_runner.strategies import STRATEGIES

    everything = (*STRATEGIES, *CLAIRVOYANTS, BOUND)
    return tuple(dict.fromkeys(name for given in names for name in (everything if given == "all" else (given,))))


@contextlib.contextmanager
def _executor(jobs: int, cluster: str | None) -> Iterator[Executor | None]:
    """Workers: of a Dask cluster, processes, or none, which means right here."""
    if cluster is not None:
        from bandit_runner.errors import MissingExtra, NotReady

        try:
            import distributed
        except ImportError as error:
            raise MissingExtra("--cluster needs dask.distributed", extra="cluster") from error
        try:
            client = distributed.Client(cluster, timeout=5, set_as_default=False)
        except (OSError, TimeoutError, ValueError) as error:
            hint = "start one: dask scheduler; then dask worker ADDRESS on each machine, with binsafe installed"
            raise NotReady(f"no scheduler answers at {cluster}: {error}", hint=hint) from error
        with client:
            yield client.get_executor()
    elif jobs > 1:
        import multiprocessing
        from concurrent.futures import ProcessPoolExecutor

        # A fresh interpreter per worker: a forked one would inherit threads' locks (numpy has some).
        spawning = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(jobs, mp_context=spawning, initializer=_end_with_parent) as pool:
            yield pool
    else:
        yield None


def _end_with_parent() -> None:
    """In a worker: end when the process that started it has, killed or not; else it would wait for work for ever."""
    import multiprocessing
    import os
    import threading

    parent = multiprocessing.parent_process()

    def watch() -> None:
        if parent is not None:
            parent.join()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
