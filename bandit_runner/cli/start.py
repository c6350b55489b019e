"""bandit_runner start: the servers in the sandbox, the balancer in front, the harness, the table."""

import functools
import random
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from bandit_runner.cli.options import File, Rate, Seed, named_value, strategy_names
from bandit_runner.cli.scoring import scoring, scoring_options
from bandit_runner.cli.storing import store_option
from bandit_runner.model import TIERS, ResultRow
from binsafe.cli.entry import note

if TYPE_CHECKING:
    from bandit_runner.balancer import Balancer, BalancerConfig
    from bandit_runner.cli.recorded import Recorded
    from bandit_runner.harness import Plan, Player
    from bandit_runner.servers import Servers
    from bandit_runner.simulation.truth import Truth

_FREE = frozenset({"resume", "port", "keep", "no_dashboard", "dashboard_port", "store", "as_json", "yes"})
"""What may be said beside --continue: nothing of it was planned."""


@click.command(
    "start",
    short_help="Run servers, balancer and strategies; print the table.",
    epilog="""\b
Examples:
  bandit_runner start
  bandit_runner start --strategy v1 --strategy v4 --tier T1 --requests 50
  bandit_runner start --strategy all --json > results.json
  bandit_runner start --binary ./flakyservers --serve
  bandit_runner start --continue      (what was interrupted)

\b
The table's columns:
  accepted  ids that a server accepted: a point each
  within 3  those of them that took three attempts or fewer
  extra     attempts after an id's third: they cost a point each (--scoring)
  429s      attempts that a server's rate limit refused
  p50, p99  what half of the ids and 99 of 100 took, as the client saw it,
            from the moment an id was due
  regret    how many more points a player who knows all rates and limits
            would have had""",
)
@click.option("--binary", type=File(), help="Run these servers instead of the stand-in.")
@click.option(
    "--strategy",
    "strategies",
    multiple=True,
    default=("best",),
    metavar="NAME",
    shell_complete=strategy_names,
    help="What plays (v1 to v8, v6-fixed, nginx-like, ...), or all; repeatable.  [default: best]",
)
@click.option(
    "--tier",
    type=click.Choice([*TIERS, "all"]),
    default="all",
    show_default=True,
    help="Tiers (groups of servers) to play on.",
)
@click.option(
    "--requests", type=click.IntRange(min=1), default=100, show_default=True, help="Ids to send, per strategy and tier."
)
@click.option(
    "--rps",
    type=Rate(),
    default=10.0,
    show_default=True,
    help="Requests per second on each tier.",
)
@click.option(
    "--limits",
    type=click.Choice(["calibrated", "hard"]),
    default="calibrated",
    show_default=True,
    help="How T2 and T3 limit the rate.",
)
@scoring_options
@click.option("--seed", type=Seed(), help="Draw the same rates, ids and order again.")
@click.option(
    "--option", "options", multiple=True, metavar="NAME=VALUE", help="Set an option of every strategy that has it."
)
@click.option("--port", type=click.IntRange(0, 65535), default=8000, show_default=True, help="Port of the balancer.")
@click.option("--serve", is_flag=True, help="No harness: stay up until Ctrl-C.")
@click.option(
    "--keep/--no-keep", default=None, help="Stay up after the harness; default with a dashboard on a terminal."
)
@click.option("--no-dashboard", is_flag=True, help="Print the table only.")
@click.option(
    "--dashboard-port", type=click.IntRange(0, 65535), default=8080, show_default=True, help="Port of the dashboard."
)
@click.option(
    "--continue", "resume", is_flag=True, help="Go on with the last session that was interrupted, as it was planned."
)
@store_option
@click.option("--json", "as_json", is_flag=True, help="Print binsafe.results/1.")
@click.option("--yes", is_flag=True, help="Start although the verdict is danger.")
def command(**given: Any) -> int:
    """Find or build flakyservers, inspect it, run it sandboxed, balance in front of it, play, and print the results.

    Exit status: 0 done; 1 not all ports became ready, the servers ended, or ids were not played, as where a strategy
    fails; 125 refused, as a program that listens nowhere; 126 no program of this machine's; 127 not found; 130 after
    Ctrl-C.
    """
    from bandit_runner.cli.dashboard_process import dashboard
    from bandit_runner.cli.launching import Options, room_for, running, while_running
    from bandit_runner.cli.recorded import Recorded
    from bandit_runner.cli.stopping import stoppable
    from bandit_runner.harness import Player
    from bandit_runner.servers.ports import check_free

    recorded = Recorded(given["store"])
    plan = _plan(given)
    limits, binary = given["limits"], given["binary"]
    if given["resume"]:
        _refuse_what_is_planned(click.get_current_context())
        plan, limits, binary = recorded.resume()
    config = _configure(plan)
    check_free([given["port"]], hint="choose another with --port, 0 being any; beside another start none can begin")
    servers = Options(binary=binary, limits=limits, seed=plan.seed, yes=given["yes"])
    with (
        recorded.session(plan, limits=limits, binary=binary, serve=given["serve"]),
        running(servers, on_violation=recorded.violation) as up,
        dashboard(recorded.path, given["dashboard_port"], wanted=not given["no_dashboard"]) as shown,
    ):
        room_for(config.limits)  # after the servers have started, which is not theirs to have
        truth = _truth(up)
        recorded.describe(up, truth)
        keep = given["keep"] if given["keep"] is not None else shown and sys.stdin.isatty() and sys.stderr.isatty()
        player = Player(plan, recording=recorded.recording, played=recorded.played, truth=truth, note=note)
        session = functools.partial(
            _session,
            player,
            config,
            recorded,
            port=given["port"],
            serve=given["serve"],
            keep=keep,
            show=lambda rows: _show(rows, plan, recorded, as_json=given["as_json"]),
        )
        stoppable(lambda: while_running(up, session()))
    return 1 if player.unplayed else 0


def _refuse_what_is_planned(context: click.Context) -> None:
    """Of a session that is gone on with, everything is known but where it is shown: it is not to be told anew."""
    for option in context.command.params:
        if option.name not in _FREE and context.get_parameter_source(str(option.name)) is ParameterSource.COMMANDLINE:
            raise click.UsageError(f"--continue plays what was planned: leave out {option.opts[0]}")


def _plan(given: dict[str, Any]) -> "Plan":
    from bandit_runner.harness import Plan

    return Plan(
        strategies=_strategies(given["strategies"]),
        tiers=tuple(TIERS) if given["tier"] == "all" else (given["tier"],),
        requests=given["requests"],
        rps=given["rps"],
        scoring=scoring(given),
        seed=given["seed"] or random.SystemRandom().randrange(1, 2**31),
        options=dict(named_value(text) for text in given["options"]),
    )


def _strategies(names: Sequence[str]) -> tuple[str, ...]:
    from bandit_runner.strategies import STRATEGIES

    return tuple(STRATEGIES) if "all" in names else tuple(dict.fromkeys(names))


def _configure(plan: "Plan") -> "BalancerConfig":
    """The balancer's configuration; wrong strategies and options are refused before anything is started."""
    from bandit_runner.balancer import Balancer, BalancerConfig, TierConfig
    from bandit_runner.strategies import check, fitting

    check(plan.strategies, plan.options)
    config = BalancerConfig(
        tiers=tuple(
            TierConfig(
                name=name,
                upstreams=tuple(("127.0.0.1", port) for port in TIERS[name].ports),
                strategy=plan.strategies[0],
                options=fitting(plan.strategies[0], plan.options),
            )
            for name in plan.tiers
        ),
        scoring=plan.scoring,
        seed=plan.seed,
    )
    Balancer(config)
    return config


def _truth(servers: "Servers") -> "Truth | None":
    """What the servers tell of themselves, where they tell something that can be read."""
    from bandit_runner.errors import UsageError
    from bandit_runner.simulation.truth import read

    told = servers.truth()
    try:
        return None if told is None else read(told)
    except UsageError as error:
        note(str(error))
        return None


async def _session(
    player: "Player",
    config: "BalancerConfig",
    recorded: "Recorded",
    *,
    port: int,
    serve: bool,
    keep: bool,
    show: Callable[[Sequence[ResultRow]], None],
) -> None:
    """The balancer from start to drain, with the harness in between."""
    from bandit_runner.balancer import Balancer

    balancer = Balancer(config, on_request=recorded.observe if serve else player.observe)
    host, bound = await balancer.start("127.0.0.1", port)
    paths = ", ".join(f"POST /{tier.name}" for tier in config.tiers)
    note(f"balancer http://{host}:{bound}/  ({paths}; /healthz, /metrics)")
    try:
        if serve:
            recorded.begin(balancer)
        else:
            show(await _play(player, balancer, (host, bound)))
        if serve or keep:
            import asyncio

            note("stop it with Ctrl-C")
            await asyncio.Event().wait()
    finally:
        await balancer.close()
        if serve:
            recorded.end(balancer)


async def _play(player: "Player", balancer: "Balancer", address: tuple[str, int]) -> Sequence[ResultRow]:
    """All games, with a bar and what is to be said before and after."""
    from bandit_runner.cli.progress import progress
    from bandit_runner.harness import scheduling_error

    note(_outlook(player))
    with progress(player.left) as bar:
        now: dict[str, str] = {}

        def playing(name: str, tier: str) -> None:
            now[tier] = f"{tier} {name}"
            bar.describe(", ".join(now[tier] for tier in sorted(now)))

        rows = await player.play(balancer, address, playing=playing, advance=bar.advance)
    error = scheduling_error(player.samples)
    if not (isinstance(error.p99, str) or isinstance(error.worst, str)):
        note(f"requests left {error.p99 * 1000:.1f} ms off their time (p99; at worst {error.worst * 1000:.1f} ms)")
    return rows


def _outlook(player: "Player") -> str:
    """What will be played, and for how long if nothing is slow."""
    plan = player.plan
    minutes, seconds = divmod(round(player.seconds), 60)
    tiers = "one tier" if len(plan.tiers) == 1 else f"{len(plan.tiers)} tiers side by side"
    strategies = plan.strategies[0] if len(plan.strategies) == 1 else f"{len(plan.strategies)} strategies in turn"
    pace = f"{player.left:,} ids, {plan.rps:g} a second on each"
    return f"playing {strategies} on {tiers}: {pace}, about {f'{minutes} min ' * (minutes > 0)}{seconds} s"


def _show(rows: Sequence[ResultRow], plan: "Plan", recorded: "Recorded", *, as_json: bool) -> None:
    """The table: JSON in the order of the plan, for people tier by tier and the best first."""
    from bandit_runner.harness import to_json, to_text

    if not rows:
        return
    if as_json:
        click.echo(to_json(rows))
    else:
        click.echo(to_text(sorted(rows, key=lambda row: (str(row.tier), -row.score))), nl=False)
    note(f"seed {plan.seed}: add --seed {plan.seed} to draw the same rates, ids and order again")
    compare = f"bandit_runner compare --session {recorded.name}{recorded.there}"
    if recorded.played:
        note(f"the table has the ids that were played now; those of before as well: {compare}")
    elif len(plan.strategies) > 1 and recorded.name:
        note(f"which of them can be told apart: {compare}")
