"""bandit_runner servers: only the sandboxed servers, or only their build."""

import time
from pathlib import Path

import click

from bandit_runner.cli.options import File, Seed
from binsafe.cli.entry import note

_LIMITS = click.Choice(["calibrated", "hard"])


@click.command(
    "servers",
    short_help="Run the thirty servers in the sandbox, until Ctrl-C.",
    epilog="""\b
Examples:
  bandit_runner servers
  bandit_runner servers --limits hard --seed 7
  bandit_runner servers --build-only --target darwin/arm64 --output for-mac""",
)
@click.option("--binary", type=File(), help="Run these servers instead of the stand-in.")
@click.option("--limits", type=_LIMITS, default="calibrated", show_default=True, help="How T2 and T3 limit the rate.")
@click.option("--seed", type=Seed(), help="Draw the same rates again.")
@click.option("--yes", is_flag=True, help="Start although the verdict is danger.")
@click.option("--build-only", is_flag=True, help="Build the stand-in, print its path, start nothing.")
@click.option("--target", metavar="SYSTEM/PROCESSOR", help="With --build-only: darwin/arm64, linux/amd64, ...")
@click.option("--output", type=File(), help="With --build-only: put a copy there.")
def command(
    *,
    binary: Path | None,
    limits: str,
    seed: int | None,
    yes: bool,
    build_only: bool,
    target: str | None,
    output: Path | None,
) -> None:
    """Start the thirty servers in the sandbox and keep them until Ctrl-C. Exit status 1: they ended by themselves."""
    if build_only:
        from bandit_runner.cli.stopping import stop_on_signals
        from bandit_runner.flakyservers.build import build

        stop_on_signals()
        click.echo(build(target, output=output, progress=note))
        return
    if target or output:
        raise click.UsageError("--target and --output go with --build-only")
    from bandit_runner.cli.launching import Options, running

    with running(Options(binary=binary, limits=limits, seed=seed, yes=yes)) as servers:
        note("stop them with Ctrl-C")
        while servers.process.wait(1) is None:
            time.sleep(0)
        servers.check_running()
