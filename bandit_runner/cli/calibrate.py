"""bandit_runner calibrate: what logs say of the servers."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from bandit_runner.cli.options import File
from bandit_runner.cli.storing import safe
from bandit_runner.tables import counted

if TYPE_CHECKING:
    from bandit_runner.runs.calibration import Calibration, Gap, Series


@click.command(
    "calibrate",
    short_help="Say what such CSV files tell of the servers.",
    epilog="""\b
Examples:
  bandit_runner calibrate runs/*.csv
  bandit_runner calibrate runs/*_T2.csv --json""",
)
@click.argument("files", nargs=-1, required=True, metavar="CSV...", type=File())
@click.option("--json", "as_json", is_flag=True, help="Print binsafe.calibration/1.")
def command(*, files: tuple[Path, ...], as_json: bool) -> None:
    """Ask logs in the original project's format what the servers did.

    Whether success rates were redrawn between runs, each server's rate, whether hurried hits are refused (a rate
    limit), and whether outcomes come and go with time. Each answer has the probability that chance alone looks so.
    """
    import msgspec

    from bandit_runner.runs.calibrate import calibrate
    from bandit_runner.runs.csvs import read_csv
    from binsafe.cli.entry import note

    runs = [read_csv(path) for path in files]
    for run in runs:
        if run.torn:
            note(f"{run.name}: the last line was cut off and is left out")
    found = calibrate(runs)
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(found)).decode())
    else:
        click.echo(safe(_text(found)))


def _text(found: "Calibration") -> str:
    limited = "not recorded" if found.rate_limited is None else f"{found.rate_limited:,}"
    lines = [f"{counted(found.runs, 'run')}, {counted(found.attempts, 'attempt')}, 429s {limited}", "", "Rates"]
    for series in found.series:
        lines += _series(series)
    lines += ["", "Limits"]
    for gap in found.gaps:
        if gap.attempts:
            lines.append(_gap(gap))
    for limit in found.limits:
        free = "" if limit.free_ms is None else f", none from {limit.free_ms:g} ms on"
        lines.append(f"  {limit.tier}: a hit within {limit.refused_ms:g} ms of the last is refused{free}")
    if not found.limits:
        lines.append("  no limit shows")
    lines += ["", "Drift"]
    if not found.periods:
        lines.append("  no server was asked often enough to tell")
    else:
        least = min(found.periods, key=lambda each: each.p)
        what = f"{least.tier} {least.port} every {least.seconds:.2f} s, p={least.p:.3f}"
        shows = "outcomes come and go with time" if found.periodic else "no period shows"
        lines.append(f"  {shows} (strongest of {counted(len(found.periods), 'server')}: {what})")
    return "\n".join(lines)


def _series(series: "Series") -> list[str]:
    count = "1 run," if len(series.runs) == 1 else f"{len(series.runs)} runs from"
    name = f"  {series.tier}, {count} {series.runs[0]}"
    if series.redrawn_p is None:
        lines = [f"{name}: nothing to compare with"]
    elif series.redrawn:
        lines = [f"{name}: redrawn between runs (p={series.redrawn_p:.4f})"]
    else:
        lines = [f"{name}: the same servers throughout (p={series.redrawn_p:.2f})"]
    for start in series.starts:
        rates = (f"{rate.port} {rate.ok}/{rate.attempts} [{rate.low:.2f},{rate.high:.2f}]" for rate in start.rates)
        lines.append("    " + "  ".join(rates))
    return lines


def _gap(gap: "Gap") -> str:
    span = "ms or more" if gap.below is None else f"to {gap.below * 1000:g} ms"
    return (
        f"  {gap.tier}: {gap.above * 1000:g} {span} after the last hit: {gap.accepted} of {gap.attempts} accepted,"
        f" {gap.expected:.1f} expected (p={gap.p:.4f})"
    )
