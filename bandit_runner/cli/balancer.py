"""bandit_runner balancer: only the balancer, in front of servers that run already."""

import asyncio
from typing import TYPE_CHECKING

import click

from bandit_runner.model import SCORINGS
from binsafe.cli.entry import note

if TYPE_CHECKING:
    from bandit_runner.balancer import BalancerConfig


@click.command(
    "balancer",
    epilog="""\b
Examples:
  bandit_runner balancer --upstream 127.0.0.1:4000 --upstream 127.0.0.1:4001
  bandit_runner balancer --upstream 127.0.0.1:4000 --strategy v6-fixed --port 9000""",
)
@click.option("--upstream", "upstreams", multiple=True, required=True, metavar="HOST:PORT")
@click.option("--strategy", default="best", show_default=True, metavar="NAME")
@click.option("--scoring", type=click.Choice(sorted(SCORINGS)), default="statement", show_default=True)
@click.option("--port", type=click.IntRange(0, 65535), default=8000, show_default=True)
def command(*, upstreams: tuple[str, ...], strategy: str, scoring: str, port: int) -> None:
    """Balance POST / over servers that run already, until Ctrl-C."""
    from bandit_runner.balancer import BalancerConfig, TierConfig
    from bandit_runner.cli.support import stoppable

    tier = TierConfig(name="all", upstreams=tuple(_address(text) for text in upstreams), strategy=strategy)
    stoppable(_serve(BalancerConfig(tiers=(tier,), scoring=SCORINGS[scoring]), port))


async def _serve(config: "BalancerConfig", port: int) -> None:
    from bandit_runner.balancer import Balancer

    balancer = Balancer(config)
    host, bound = await balancer.start("127.0.0.1", port)
    note(f"balancer http://{host}:{bound}/  (POST an id; GET /healthz, /metrics); stop it with Ctrl-C")
    try:
        await asyncio.Event().wait()
    finally:
        await balancer.close()


def _address(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    if not host or not port.isdigit():
        raise click.BadParameter(f"{text!r} is not HOST:PORT", param_hint="--upstream")
    return host.strip("[]"), int(port)
