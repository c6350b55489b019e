import os
import signal
import sqlite3
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest
from played import SESSION, many, started

from bandit_runner.errors import StoreUnusable, UsageError
from bandit_runner.runs import Recorder, Store, Tally

HERE = Path(__file__).parent


def test_what_was_recorded_comes_back(tmp_path: Path):
    path = tmp_path / "deep" / "runs.sqlite"
    requests = many(250)
    with Recorder(path, SESSION) as recorder:
        recorder.begin(started())
        for number, each in enumerate(requests):
            recorder.record(each)
            if number == 99:
                recorder.state("T1", {"memory": [1, 2]})
        recorder.end("T1")
        recorder.violation({"schema": "binsafe.violation/1", "time": 12.5, "object": "0.0.0.0:4010"})
    with Store.open(path) as store:
        assert store.sessions() == [SESSION]
        (run,) = store.runs(SESSION.id)
        assert run.start == started()
        assert run.status(time.time()) == "done"
        assert run.tally == Tally().adding(requests)
        assert [each.request for each in store.requests(run)] == requests
        assert [each.number for each in store.requests(run, after=200, most=10)] == list(range(201, 211))
        assert store.state(run) == (100, {"memory": [1, 2]})
        assert [each["object"] for each in store.violations(SESSION.id)] == ["0.0.0.0:4010"]


def test_three_tiers_at_once_do_not_mix(tmp_path: Path):
    path = tmp_path / "runs.sqlite"
    played = {tier: many(40, seed=n, tier=tier) for n, tier in enumerate(("T1", "T2", "T3"))}
    with Recorder(path, SESSION) as recorder:
        for tier in played:
            recorder.begin(started(tier))
        for group in zip(*played.values(), strict=True):
            for each in group:
                recorder.record(each)
    with Store.open(path) as store:
        for run in store.runs():
            assert [each.request for each in store.requests(run)] == played[run.start.tier]


@pytest.mark.each_user
def test_a_killed_process_leaves_a_store_that_can_be_read_and_continued(tmp_path: Path):
    path = tmp_path / "runs.sqlite"
    program = textwrap.dedent("""
        import sys, time
        from pathlib import Path
        sys.path.insert(0, sys.argv[2])
        from played import SESSION, many, started
        from bandit_runner.runs import Recorder
        recorder = Recorder(Path(sys.argv[1]), SESSION)
        recorder.begin(started())
        for each in many(9000):
            recorder.record(each)
            time.sleep(0.0005)
            print(each.id, flush=True)
    """)
    child = subprocess.Popen([sys.executable, "-c", program, path, HERE], stdout=subprocess.PIPE)
    child.stdout.readline()
    until = time.monotonic() + 2.0
    times = []
    while time.monotonic() < until:
        child.stdout.readline()
        times.append(time.monotonic())
    os.kill(child.pid, signal.SIGKILL)
    child.communicate()
    with Store.open(path) as store:
        (run,) = store.runs()
        assert run.ended is None
        assert run.status(time.time() + 10) == "interrupted"
        stored = store.requests(run)
    assert len(stored) >= sum(when < times[-1] - 1.0 for when in times) > 100  # at most the last second is lost
    assert len(stored) == run.tally.requests
    with Recorder(path, SESSION) as recorder:
        recorder.resume(run)
        recorder.record(many(1)[0])
        recorder.end("T1")
    with Store.open(path) as store:
        (run,) = store.runs()
        assert run.tally.requests == len(stored) + 1
        assert run.ended is not None
        with pytest.raises(UsageError):
            Recorder(path, SESSION).resume(run)


def test_a_run_that_is_gone_on_with_while_another_is_written_loses_nothing(tmp_path: Path):
    path = tmp_path / "runs.sqlite"
    with Recorder(path, SESSION) as recorder:
        recorder.begin(started())
        recorder.begin(started("T2"))
    with Store.open(path) as store:
        runs = {run.start.tier: run for run in store.runs()}
    late = [runs["T2"]]

    def clock() -> float:  # asked by the writer in the middle of a transaction
        if late:
            recorder.resume(late.pop())
        return time.time()

    with Recorder(path, SESSION, clock=clock) as recorder:
        recorder.resume(runs["T1"])
        assert recorder.flush()
        assert not late
        recorder.record(many(1, tier="T2")[0])
    with Store.open(path) as store:
        assert [run.tally.requests for run in store.runs()] == [0, 1]


def test_a_full_disk_costs_nothing_once_there_is_room_again(tmp_path: Path):
    path = tmp_path / "runs.sqlite"
    notes: list[str] = []
    recorder = Recorder(path, SESSION, note=notes.append)
    recorder.begin(started())
    recorder.flush()
    (pages,) = recorder._connection.execute("PRAGMA page_count").fetchone()
    recorder._connection.execute(f"PRAGMA max_page_count = {pages}")
    requests = many(2000)
    for each in requests:
        recorder.record(each)
    recorder.flush()
    assert "kept in memory" in notes[0]
    recorder._connection.execute("PRAGMA max_page_count = 1000000")
    recorder.close()
    assert recorder.lost == 0
    assert len(notes) == 1
    with Store.open(path) as store:
        assert store.runs()[0].tally == Tally().adding(requests)


def test_an_id_of_a_tier_without_a_run_is_no_harm(tmp_path: Path):
    path, (early, late) = tmp_path / "runs.sqlite", many(2)
    with Recorder(path, SESSION) as recorder:
        recorder.record(early)
        assert recorder.flush()
        recorder.begin(started())
        recorder.record(late)
    with Store.open(path) as store:
        assert store.runs()[0].tally == Tally().adding([late])


def test_what_had_to_be_given_up_is_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("bandit_runner.runs.recorder.MAX_WAITING", 100)
    path = tmp_path / "runs.sqlite"
    notes: list[str] = []
    recorder = Recorder(path, SESSION, note=notes.append)
    recorder._connection.execute("PRAGMA query_only = 1")
    recorder.begin(started())
    for each in many(500):
        recorder.record(each)
    recorder.close()
    assert recorder.lost == 500
    assert "500 requests could not be stored" in notes[-1]


@pytest.mark.parametrize("replaced", [False, True])
def test_a_store_that_is_deleted_meanwhile_is_told_and_what_it_held_counted(tmp_path: Path, replaced: bool):
    path = tmp_path / "runs.sqlite"
    notes: list[str] = []
    recorder = Recorder(path, SESSION, note=notes.append)
    recorder.begin(started())
    for half in range(2):
        for each in many(50):
            recorder.record(each)
        recorder.flush()
        if not half:
            path.unlink()
            if replaced:
                path.touch()
    assert len(notes) == 1
    assert "was deleted or replaced" in notes[0]
    recorder.close()
    assert recorder.lost == 100
    assert "100 requests could not be stored" in notes[1]


def test_readers_do_not_wait_for_the_writer(tmp_path: Path):
    path = tmp_path / "runs.sqlite"
    with Recorder(path, SESSION) as recorder:
        recorder.begin(started())
        recorder.flush()
        recorder._connection.execute("BEGIN IMMEDIATE")
        with Store.open(path) as store:  # who waited would be told that it is locked
            assert len(store.runs()) == 1
        recorder._connection.execute("COMMIT")


@pytest.mark.parametrize("content", [b"", b"not a database at all" * 100, b"SQLite format 3\0" + b"\xff" * 5000])
def test_what_is_no_store_is_said_in_one_line(tmp_path: Path, content: bytes):
    path = tmp_path / "runs.sqlite"
    path.write_bytes(content)
    with pytest.raises(StoreUnusable) as caught:
        Store.open(path)
    assert caught.value.hint
    assert ("there are no runs" in str(caught.value)) == (not content), "a store that is being made has none yet"
    if content:
        with pytest.raises(StoreUnusable):
            Recorder(path, SESSION)
        assert path.read_bytes() == content


def test_a_damaged_row_is_said_and_not_raised_as_something_else(tmp_path: Path):
    path = tmp_path / "runs.sqlite"
    with Recorder(path, SESSION) as recorder:
        recorder.begin(started())
    with sqlite3.connect(path) as connection:
        connection.execute('UPDATE runs SET tally = \'{"accepted": "many"}\'')
    connection.close()
    with Store.open(path) as store, pytest.raises(StoreUnusable, match="damaged"):
        store.runs()


def test_a_clock_that_was_set_back_makes_no_run_run(tmp_path: Path):
    with Recorder(tmp_path / "runs.sqlite", SESSION) as recorder:
        recorder.begin(started())
    with Store.open(tmp_path / "runs.sqlite") as store:
        (run,) = store.runs()
    assert [run.status(run.heard + by) for by in (-3600, 0, 3600)] == ["interrupted", "running", "interrupted"]


def test_another_programs_database_is_left_alone(tmp_path: Path):
    path = tmp_path / "other.sqlite"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE things (name)")
    connection.close()
    before = path.read_bytes()
    for use in (lambda: Store.open(path), lambda: Recorder(path, SESSION)):
        with pytest.raises(StoreUnusable, match="not a store"):
            use()
    assert path.read_bytes() == before


def test_a_store_that_is_held_hints_at_who_holds_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = tmp_path / "runs.sqlite"
    Recorder(path, SESSION).close()
    monkeypatch.setattr("bandit_runner.runs.opening.BUSY_MS", 10)
    holder = sqlite3.connect(path, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreUnusable) as caught:
        Recorder(path, SESSION)
    holder.close()
    assert "wait for the program that holds it" in caught.value.hint


def test_no_store_hints_at_what_makes_one(tmp_path: Path):
    with pytest.raises(StoreUnusable) as caught:
        Store.open(tmp_path / "runs.sqlite")
    assert "bandit_runner start" in caught.value.hint


def test_a_session_or_run_that_is_not_there_hints_at_what_lists_them(tmp_path: Path):
    path = tmp_path / "runs.sqlite"
    Recorder(path, SESSION).close()
    with Store.open(path) as store:
        for look in (lambda: store.session(SESSION.id), lambda: store.run(1)):
            with pytest.raises(UsageError, match="there is no") as raised:
                look()
            assert "bandit_runner compare" in raised.value.hint
