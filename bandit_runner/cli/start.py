"""bandit_runner start: the servers in the sandbox, the balancer in front, the harness, the table."""

import asyncio
import contextlib
import random
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import msgspec

from bandit_runner.cli.options import named_value
from bandit_runner.model import SCORINGS, TIERS, BalancedRequest, ResultRow, Scoring
from binsafe.cli.entry import note

if TYPE_CHECKING:
    from bandit_runner.balancer import Balancer, BalancerConfig


class Play(msgspec.Struct, frozen=True, kw_only=True):
    """What the harness is to play."""

    strategies: tuple[str, ...]
    tiers: tuple[str, ...]
    requests: int
    rps: float
    scoring: Scoring
    seed: int
    port: int
    options: dict[str, Any]


@click.command(
    "start",
    epilog="""\b
Examples:
  bandit_runner start
  bandit_runner start --strategy v1 --strategy v4 --tier T1 --requests 50
  bandit_runner start --strategy all --json > results.json
  bandit_runner start --binary ./flakyservers --serve""",
)
@click.option("--binary", type=click.Path(exists=True, path_type=Path), help="These servers, not the stand-in.")
@click.option("--strategy", "strategies", multiple=True, default=("best",), metavar="NAME", help="Repeatable; or all.")
@click.option("--tier", type=click.Choice([*TIERS, "all"]), default="all", show_default=True)
@click.option("--requests", type=click.IntRange(min=1), default=100, show_default=True, help="Per strategy and tier.")
@click.option("--rps", type=click.FloatRange(min=0, min_open=True), default=10.0, show_default=True)
@click.option("--limits", type=click.Choice(["calibrated", "hard"]), default="calibrated", show_default=True)
@click.option("--scoring", type=click.Choice(sorted(SCORINGS)), default="statement", show_default=True)
@click.option("--seed", type=click.IntRange(min=1), help="Draw the same rates, ids and order again.")
@click.option("--option", "options", multiple=True, metavar="NAME=VALUE", help="A strategy's own option.")
@click.option("--port", type=click.IntRange(0, 65535), default=8000, show_default=True, help="The balancer's.")
@click.option("--serve", is_flag=True, help="No harness: stay up until Ctrl-C.")
@click.option("--keep", is_flag=True, help="Stay up after the harness.")
@click.option("--json", "as_json", is_flag=True, help="Print binsafe.results/1.")
@click.option("--yes", is_flag=True, help="Start although the verdict is danger.")
def command(**given: Any) -> int:
    """Find or build flakyservers, inspect it, run it sandboxed, balance in front of it, play, and print the results.

    Exit status: 0 done; 1 not all ports became ready; 125 refused; 126 wrong system; 127 not found; 130 after Ctrl-C.
    """
    from bandit_runner.cli.support import Options, running, stoppable
    from bandit_runner.harness import to_json, to_text

    seed = given["seed"] or random.SystemRandom().randrange(1, 2**31)
    play = Play(
        strategies=_strategies(given["strategies"]),
        tiers=tuple(TIERS) if given["tier"] == "all" else (given["tier"],),
        requests=given["requests"],
        rps=given["rps"],
        scoring=SCORINGS[given["scoring"]],
        seed=seed,
        port=given["port"],
        options=dict(named_value(text) for text in given["options"]),
    )
    config = _configure(play)
    servers = Options(binary=given["binary"], limits=given["limits"], seed=seed, yes=given["yes"])
    with running(servers):
        rows = stoppable(_session(play, config, serve=given["serve"], keep=given["keep"]))
    if rows:
        click.echo(to_json(rows) if given["as_json"] else to_text(rows))
        note(f"seed {seed}: add --seed {seed} to draw the same rates, ids and order again")
    return 0


def _strategies(names: Sequence[str]) -> tuple[str, ...]:
    from bandit_runner.errors import UsageError
    from bandit_runner.strategies import STRATEGIES

    for name in names:
        if name != "all" and name not in STRATEGIES:
            raise UsageError(f"no strategy is called {name!r}", hint=f"known: {', '.join(STRATEGIES)}, all")
    return tuple(STRATEGIES) if "all" in names else tuple(dict.fromkeys(names))


def _configure(play: Play) -> "BalancerConfig":
    """The balancer's configuration; wrong strategies and options are refused before anything is started."""
    from bandit_runner.balancer import Balancer, BalancerConfig, TierConfig

    config = BalancerConfig(
        tiers=tuple(
            TierConfig(
                name=name,
                upstreams=tuple(("127.0.0.1", port) for port in TIERS[name].ports),
                strategy=play.strategies[0],
                options=play.options,
            )
            for name in play.tiers
        ),
        scoring=play.scoring,
        seed=play.seed,
    )
    Balancer(config)
    return config


async def _session(play: Play, config: "BalancerConfig", *, serve: bool, keep: bool) -> list[ResultRow]:
    """The balancer from start to drain, with the harness in between."""
    from bandit_runner.balancer import Balancer

    records: list[BalancedRequest] = []
    balancer = Balancer(config, on_request=None if serve else records.append)
    host, port = await balancer.start("127.0.0.1", play.port)
    note(f"balancer http://{host}:{port}/  ({', '.join(f'POST /{name}' for name in play.tiers)}; /healthz, /metrics)")
    try:
        rows = [] if serve else await _play_all(play, balancer, (host, port), records)
        if serve or keep:
            note("stop it with Ctrl-C")
            await asyncio.Event().wait()
        return rows
    finally:
        await balancer.close()


async def _play_all(play: Play, balancer: "Balancer", address: tuple[str, int], records: list[Any]) -> list[ResultRow]:
    """Every strategy on every tier, in an order that the seed shuffles: the limiters remember who came before."""
    from bandit_runner import harness
    from bandit_runner.strategies import create

    games = [(strategy, tier) for strategy in play.strategies for tier in play.tiers]
    order = random.Random(play.seed).sample(range(len(games)), len(games))  # noqa: S311 - repeatable on purpose
    rows: dict[int, ResultRow] = {}
    with _progress(len(games) * play.requests) as advance:
        for position in order:
            name, tier = games[position]
            arms = len(TIERS[tier].ports)
            chooser = create(name, arms=arms, seed=play.seed, scoring=play.scoring, **play.options)
            balancer.use(tier, chooser)
            records.clear()
            samples = await harness.play(
                address,
                tier,
                requests=play.requests,
                rps=play.rps,
                seed=play.seed + position,
                on_progress=lambda *_: advance(),
            )
            for wrong in harness.cross_check(samples, records):
                note(f"{name} on {tier}: id {wrong.id} {wrong.fault}: {wrong.detail}")
            rows[position] = harness.row(samples, records, strategy=name, tier=tier, scoring=play.scoring)
    return [rows[position] for position in sorted(rows)]


@contextlib.contextmanager
def _progress(total: int) -> Iterator[Callable[[], None]]:
    """A bar on standard error while people watch; silence otherwise."""
    if not sys.stderr.isatty():
        yield lambda: None
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("playing", total=total)
        yield lambda: bar.advance(task)
