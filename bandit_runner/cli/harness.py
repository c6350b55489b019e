"""bandit_runner harness: only the load, on a balancer that runs already."""

import random
from collections import Counter
from typing import TYPE_CHECKING, Any

import click

from bandit_runner.cli.options import Rate, address
from bandit_runner.cli.scoring import scoring, scoring_options
from binsafe.cli.entry import note

if TYPE_CHECKING:
    from bandit_runner.harness import Sample

_SATURATED = 503


@click.command(
    "harness",
    short_help="Send ids to a balancer at a steady rate.",
    epilog="""\b
Examples:
  bandit_runner harness
  bandit_runner harness --tier T2 --requests 1000 --rps 50
  bandit_runner harness --balancer 127.0.0.1:9000
  bandit_runner harness --json > row.json""",
)
@click.option("--balancer", default="127.0.0.1:8000", show_default=True, metavar="HOST:PORT", help="Whom to ask.")
@click.option("--tier", metavar="TIER", help="Ask POST /TIER; without it POST /.")
@click.option("--requests", type=click.IntRange(min=1), default=100, show_default=True, help="How many ids to send.")
@click.option("--rps", type=Rate(), default=10.0, show_default=True, help="Requests a second.")
@click.option(
    "--timeout",
    type=click.FloatRange(min=0, min_open=True),
    default=15.0,
    show_default=True,
    help="Give a request up after so many seconds.",
)
@click.option("--seed", type=click.IntRange(min=1), help="Of the ids.")
@scoring_options
@click.option("--json", "as_json", is_flag=True, help="Print binsafe.results/1.")
def command(**given: Any) -> int:
    """Send ids to a balancer at a steady rate, whatever became of those before, and print what it made of them.

    Latency counts from the moment a request was due, so that neither a slow balancer nor a late client looks good.
    Stopped with Ctrl-C, it prints what has been answered so far.
    If the first request finds no balancer, or not that tier, it ends at once.
    Exit status: 0 done; 1 no balancer, a request got no whole answer, or one that says that its id was not played; 2
    usage, or no such tier.
    """
    from bandit_runner import harness
    from bandit_runner.cli.progress import progress
    from bandit_runner.cli.stopping import stoppable

    target = address(given["balancer"], "--balancer")
    samples: list[harness.Sample] = []
    try:
        with progress(given["requests"]) as bar:

            def answered(sample: harness.Sample) -> None:
                samples.append(sample)
                bar.advance()

            stoppable(
                lambda: harness.play(
                    target,
                    given["tier"],
                    requests=given["requests"],
                    rps=given["rps"],
                    seed=given["seed"] or random.SystemRandom().randrange(1, 2**31),
                    timeout=given["timeout"],
                    on_answer=answered,
                )
            )
    except KeyboardInterrupt:
        if samples:
            _tell(samples, given)
        note(f"stopped after {len(samples)} of {given['requests']} answers")
        raise
    return _tell(samples, given)


def _tell(samples: "list[Sample]", given: dict[str, Any]) -> int:
    """Print what became of the requests; the exit status that they deserve."""
    from bandit_runner import harness
    from bandit_runner.tables import counted

    row = harness.row_of_samples(samples, strategy="-", tier=given["tier"] or "-", scoring=scoring(given))
    click.echo(harness.to_json([row]) if given["as_json"] else harness.to_text([row]), nl=given["as_json"])
    error = harness.scheduling_error(samples)
    if not isinstance(error.p99, str):
        note(f"requests left {error.p99 * 1000:.2f} ms off their time (p99)")
    lost = Counter(sample.reason for sample in samples if sample.status is None)
    for reason, count in lost.most_common(5):
        note(f"{counted(count, 'request')} got no whole answer: {reason}")
    odd = Counter(sample.status for sample in samples if sample.status not in (None, *harness.PLAYED))
    for status, count in odd.most_common(5):
        note(f"{counted(count, 'request')} got {status} for an answer, and nothing was played")
    if len(samples) == lost.total():
        note("  hint: is this the balancer's address? Start one with: bandit_runner balancer --upstream HOST:PORT")
    elif odd[_SATURATED]:
        note("  hint: it has too many ids under way; ask it less often, with --rps")
    return 1 if lost or odd else 0
