"""bandit_runner balancer: only the balancer, in front of servers that run already."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bandit_runner.cli.options import File, address, strategy_names
from bandit_runner.cli.scoring import scoring, scoring_options
from binsafe.cli.entry import note

if TYPE_CHECKING:
    from bandit_runner.balancer import Balancer, BalancerConfig

SAVE_SECONDS = 10.0


def _grafana(context: click.Context, _: click.Parameter, wanted: bool) -> None:
    """Print the dashboard and be done, whatever else was said."""
    if wanted:
        from importlib.resources import files

        click.echo(files("bandit_runner.balancer").joinpath("grafana.json").read_text(encoding="utf-8"), nl=False)
        context.exit()


@click.command(
    "balancer",
    short_help="Balance over servers that run already, until Ctrl-C.",
    epilog="""\b
Examples:
  bandit_runner balancer --upstream 127.0.0.1:4000 --upstream 127.0.0.1:4001
  bandit_runner balancer --upstream 10.0.0.7:80 --strategy v6 --port 9000
  bandit_runner balancer --upstream 127.0.0.1:4000 --state learned.json
  bandit_runner balancer --upstream 127.0.0.1:4000 --otel
  bandit_runner balancer --grafana > grafana.json    (to import in Grafana)""",
)
@click.option(
    "--upstream", "upstreams", multiple=True, required=True, metavar="HOST:PORT", help="A server; repeatable."
)
@click.option(
    "--strategy",
    default="best",
    show_default=True,
    metavar="NAME",
    shell_complete=strategy_names,
    help="What chooses among them.",
)
@scoring_options
@click.option(
    "--port", type=click.IntRange(0, 65535), default=8000, show_default=True, help="Listen there, on loopback."
)
@click.option("--seed", type=click.IntRange(min=0), default=0, help="Of the strategy.")
@click.option("--state", type=File(dir_okay=False), help="Keep what was learnt there.")
@click.option("--otel", is_flag=True, help="Send OpenTelemetry spans to OTEL_EXPORTER_OTLP_ENDPOINT (extra otel).")
@click.option(
    "--grafana",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_grafana,
    help="Print a Grafana dashboard of /metrics, and end.",
)
def command(**given: Any) -> None:
    """Balance POST / over servers that run already, until Ctrl-C."""
    from bandit_runner.balancer import Balancer, BalancerConfig, TierConfig
    from bandit_runner.cli.launching import room_for
    from bandit_runner.cli.stopping import stoppable

    tier = TierConfig(
        name="all",
        upstreams=tuple(address(text, "--upstream") for text in given["upstreams"]),
        strategy=given["strategy"],
    )
    config = BalancerConfig(tiers=(tier,), scoring=scoring(given), seed=given["seed"])
    room_for(config.limits)
    observe = _tracer(config) if given["otel"] else None
    balancer = Balancer(config, on_request=observe.observe if observe else None)
    try:
        stoppable(lambda: _serve(balancer, given["port"], given["state"]))
    finally:
        if observe:
            observe.close()


def _tracer(config: "BalancerConfig") -> Any:
    from bandit_runner.balancer.tracing import Tracing

    return Tracing(config)


async def _serve(balancer: "Balancer", port: int, state: Path | None) -> None:
    import asyncio

    from bandit_runner.balancer.state import load, save

    if state is not None:
        if load(balancer, state):
            note(f"going on with what was learnt in {state}")
        save(balancer, state)  # a place that cannot be written is to be heard of now
    host, bound = await balancer.start("127.0.0.1", port)
    note(f"balancer http://{host}:{bound}/  (POST an id; GET /healthz, /metrics); stop it with Ctrl-C")
    complaint = ""
    try:
        while True:
            await asyncio.sleep(SAVE_SECONDS)
            if state is not None:
                complaint = _try_to_save(balancer, state, complaint)
    finally:
        await balancer.close()
        if state is not None:
            save(balancer, state)


def _try_to_save(balancer: "Balancer", state: Path, before: str) -> str:
    """Save, or say what hinders it, once: a disk that is full for a while is no reason to balance no more."""
    from bandit_runner.balancer.state import save
    from bandit_runner.errors import UsageError

    try:
        save(balancer, state)
    except UsageError as error:
        if str(error) != before:
            note(f"what was learnt cannot be kept now ({error}); it is tried again every {SAVE_SECONDS:g} s")
        return str(error)
    return ""
