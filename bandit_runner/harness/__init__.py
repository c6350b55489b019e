"""Load on a balancer, and what came of it.

    load.py      play: an open-loop load -> samples
    samples.py   what a sample is; how punctual the load was
    check.py     samples + the balancer's records -> a row of results, and every contradiction between the two
    results.py   requests -> row; rows -> table, JSON
    playing.py   Plan, Player: every strategy on every tier, through one balancer
    recording.py Recording: what happens, on its way into the store of runs

    records = []                                       # filled by Balancer(..., on_request=records.append)
    samples = await play(address, "T1", requests=100, rps=10, seed=1)
    wrong = cross_check(samples, records)
    print(to_text([row(samples, records, strategy="v4", tier="T1", scoring=Scoring())]))

Only `play` needs the extra ``bandit``: without it, asking for it raises MissingExtra.
"""

from typing import TYPE_CHECKING

from bandit_runner.harness.check import PLAYED, Discrepancy, Fault, cross_check, row, row_of_samples
from bandit_runner.harness.playing import Plan, Player
from bandit_runner.harness.recording import Recording
from bandit_runner.harness.results import to_json, to_text
from bandit_runner.harness.samples import Sample, SchedulingError, scheduling_error
from binsafe.lazy import lazily

if TYPE_CHECKING:
    from bandit_runner.harness.load import play

__all__ = [
    "PLAYED",
    "Discrepancy",
    "Fault",
    "Plan",
    "Player",
    "Recording",
    "Sample",
    "SchedulingError",
    "cross_check",
    "play",
    "row",
    "row_of_samples",
    "scheduling_error",
    "to_json",
    "to_text",
]

__getattr__ = lazily(__name__, {"play": "load"})
"""What needs the extra is loaded when it is asked for."""
