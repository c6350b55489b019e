"""The store of runs: what was played, attempt by attempt, in one SQLite file that outlives a kill.

    records.py      Session, Run: what is stored beside the numbers
    tally.py        Tally: what a run came to so far, small, addable, enough for any scoring
    rows.py         structs -> rows: what writes them
    opening.py      the file: its tables, opening it, and what is wrong with one that cannot be used
    store.py        Store: reads it
    recorder.py     Recorder: takes finished ids off the request path and writes them in a thread of its own
    showing.py      rows -> text, JSON, one HTML file
    csvs.py         the original project's CSV files; transfer.py: into the store and out of it
    comparison.py   runs -> rows, paired differences, "N more runs needed"
    calibrate.py    what a log says of the servers: rates, redraws, limits, drift (calibration.py: as structs)

A session is one start of the servers (their rates are drawn anew at each); a run is one strategy on one tier of it.
"""

from bandit_runner.runs.recorder import Recorder
from bandit_runner.runs.records import Run, Session
from bandit_runner.runs.store import Store, default_path
from bandit_runner.runs.tally import Tally

__all__ = ["Recorder", "Run", "Session", "Store", "Tally", "default_path"]
