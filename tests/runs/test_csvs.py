import csv
from pathlib import Path

import pytest
from played import SESSION, many, started

from bandit_runner.errors import UsageError
from bandit_runner.model import UNKNOWN, Outcome
from bandit_runner.runs import Recorder, Store, Tally
from bandit_runner.runs.csvs import COLUMNS, read_csv, requests_of
from bandit_runner.runs.transfer import exported, import_runs

GENERATIONS = {
    10: [name for name in COLUMNS if name not in {"session_id", "config_target", "rate_limited"}],
    11: [name for name in COLUMNS if name not in {"config_target", "rate_limited"}],
    12: [name for name in COLUMNS if name != "rate_limited"],
    13: list(COLUMNS),
}


def written(path: Path, columns: list[str], *, tier: str = "T2", torn: bool = False) -> list:
    """A file as the original wrote it, and the ids in it."""
    requests = many(60, tier=tier)
    first = {"T1": 4000, "T2": 5000, "T3": 6000}[tier]
    with path.open("w", newline="") as file:
        out = csv.DictWriter(file, columns, extrasaction="ignore", lineterminator="\r\n")
        out.writeheader()
        for number, each in enumerate(requests, start=1):
            for trial in each.trials:
                last = trial is each.trials[-1]
                out.writerow(
                    {
                        "session_id": "2026-01-21_07-20-33",
                        "config_target": tier,
                        "request_number": number,
                        "attempt_number": trial.number + 1,
                        "request_id": each.id,
                        "strategy": "v4",
                        "timestamp": 1768998092.5 + trial.started,
                        "server_port": first + trial.arm,
                        "success": trial.outcome is Outcome.OK,
                        "rate_limited": trial.outcome is Outcome.RATE_LIMITED,
                        "latency_ms": trial.latency * 1000,
                        "request_complete": last,
                        "request_success": last and each.accepted,
                    }
                )
    if torn:
        path.write_bytes(path.read_bytes()[:-9])
    return requests


@pytest.mark.parametrize("generation", GENERATIONS)
def test_every_generation_is_read(tmp_path: Path, generation: int):
    path = tmp_path / "2026-01-21_07-21-31_v4_T2.csv"
    expected = written(path, GENERATIONS[generation])
    store = tmp_path / "runs.sqlite"
    assert [each.new for each in import_runs(store, [path])] == [True]
    assert [each.new for each in import_runs(store, [path])] == [False]
    with Store.open(store) as opened:
        (run,) = opened.runs()
        found = [each.request for each in opened.requests(run)]
        assert opened.sessions()[0].id == ("2026-01-21_07-20-33" if generation > 10 else path.stem)
    assert (run.start.strategy, run.start.tier, run.start.ports[0]) == ("v4", "T2", 5000)
    assert [(each.id, each.accepted, each.attempts) for each in found] == [
        (each.id, each.accepted, each.attempts) for each in expected
    ]
    limited = Tally().adding(expected).rate_limited
    assert run.tally.rate_limited == (limited if generation == 13 else UNKNOWN)


def test_what_is_exported_comes_back_the_same(tmp_path: Path):
    store, path = tmp_path / "runs.sqlite", tmp_path / "out.csv"
    with Recorder(store, SESSION) as recorder:
        recorder.begin(started("T2"))
        for each in many(80, tier="T2"):
            recorder.record(each)
        recorder.end("T2")
    with Store.open(store) as opened:
        (run,) = opened.runs()
        stored = [each.request for each in opened.requests(run)]
        path.write_text(exported(opened, run))
    back = requests_of(read_csv(path))
    assert path.read_text().partition("\n")[0].split(",") == list(COLUMNS)

    def facts(requests: list) -> list:
        return [
            [(t.arm, t.started, pytest.approx(t.latency), t.outcome in {Outcome.OK, Outcome.RATE_LIMITED} and t.outcome)
             for t in each.trials]
            for each in requests
        ]  # fmt: skip

    assert facts(back) == facts(stored)


def test_what_was_exported_is_there_already(tmp_path: Path):
    """Its file has another name than the run: it was counted twice."""
    store, path = tmp_path / "runs.sqlite", tmp_path / "00001-v4-T2.csv"
    requests = many(20, tier="T2")
    with Recorder(store, SESSION) as recorder:
        recorder.begin(started("T2"))
        for each in requests:
            recorder.record(each)
    with Store.open(store) as opened:
        path.write_text(exported(opened, opened.runs()[0]))
    assert [each.new for each in import_runs(store, [path])] == [False]


def test_runs_of_two_stores_whose_files_have_one_name_are_two(tmp_path: Path):
    paths = [tmp_path / name / "00001-v4-T2.csv" for name in ("one", "other")]
    for number, path in enumerate(paths):
        path.parent.mkdir()
        written(path, GENERATIONS[13])
        path.write_text(path.read_text().replace("2026-01-21_07-20-33", f"session {number}"))
    assert [each.new for each in import_runs(tmp_path / "both.sqlite", paths)] == [True, True]


def test_a_line_cut_off_by_a_kill_is_left_out_and_said(tmp_path: Path):
    path = tmp_path / "run.csv"
    expected = written(path, GENERATIONS[12], torn=True)
    run = read_csv(path)
    assert run.torn
    assert len(run.lines) == sum(each.attempts for each in expected) - 1


@pytest.mark.parametrize(
    ("column", "value", "says"),
    [
        ("server_port", "4010", "port 4010 is not one of tier"),
        ("server_port", "4000", "port 4000 is not one of tier 'T2'"),
        ("success", "yes", "cannot be read"),
        ("timestamp", "nan", "a time below 0, beyond all calendars, or none at all"),
        ("timestamp", "1e300", "beyond all calendars"),
        ("latency_ms", "1e308", "beyond all calendars"),
        ("strategy", "v5", "tier and strategy are"),
        ("latency_ms", "-1", "a time below 0"),
        ("request_number", "x", "cannot be read"),
    ],
)
def test_a_wrong_line_is_named(tmp_path: Path, column: str, value: str, says: str):
    path = tmp_path / "run.csv"
    written(path, GENERATIONS[12])
    lines = path.read_text().splitlines()
    fields = lines[4].split(",")
    fields[GENERATIONS[12].index(column)] = value
    lines[4] = ",".join(fields)
    path.write_text("\n".join(lines) + "\n")
    with pytest.raises(UsageError, match=says) as caught:
        read_csv(path)
    assert f"{path}:5:" in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"a,b\n1,2\n", b"\xff\xfe\x00", b'"' + b"x" * 200_000, b"\0\0\0,\n"])
def test_what_is_no_log_is_refused(tmp_path: Path, content: bytes):
    path = tmp_path / "run.csv"
    path.write_bytes(content)
    with pytest.raises(UsageError) as caught:
        read_csv(path)
    assert caught.value.hint


def test_of_a_folder_the_files_in_it_are_to_be_named(tmp_path: Path):
    """As export makes one, whatever it is called."""
    with pytest.raises(UsageError) as caught:
        read_csv(tmp_path)
    assert f"{tmp_path}/*.csv" in str(caught.value.hint)


def test_an_id_that_goes_on_after_its_success_is_refused(tmp_path: Path):
    path = tmp_path / "run.csv"
    path.write_text(
        "request_number,attempt_number,request_id,strategy,timestamp,server_port,success,latency_ms,request_complete,request_success\n"
        "1,1,a,v1,1.0,4000,True,1.0,True,True\n1,2,a,v1,1.1,4001,True,1.0,True,True\n"
    )
    with pytest.raises(UsageError, match="contradicts itself"):
        requests_of(read_csv(path))


@pytest.mark.skipif(not Path("/dev/zero").exists(), reason="there is no such device")
def test_a_file_without_end_is_not_read_to_it():
    with pytest.raises(UsageError, match="a line of 65536 bytes or more"):
        read_csv(Path("/dev/zero"))


def test_a_file_that_is_too_large_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    written(tmp_path / "run.csv", GENERATIONS[13])
    monkeypatch.setattr("bandit_runner.runs.csvs.MAX_BYTES", 1000)
    with pytest.raises(UsageError, match="larger than 1000 bytes"):
        read_csv(tmp_path / "run.csv")


HEAD = ",".join(GENERATIONS[10]) + "\n"


def test_a_spreadsheet_s_mark_hides_no_column(tmp_path: Path):
    path = tmp_path / "run.csv"
    written(path, GENERATIONS[13])
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert read_csv(path).session_id == "2026-01-21_07-20-33"


def test_lines_end_where_a_file_s_do_and_not_at_what_unicode_calls_an_end(tmp_path: Path):
    path = tmp_path / "run.csv"
    path.write_text(HEAD + '1,1,a,"v\u20281\n",1.0,4000,True,1.0,True,True\n1,2,a,v1,1.0,4000,yes,1.0,True,True\n')
    with pytest.raises(UsageError, match=r"run\.csv:4: 'yes' cannot be read"):
        read_csv(path)


@pytest.mark.parametrize(
    ("lines", "says"),
    [
        ("1,1,a,v1,1.0,4000,True,1.0,True,True\n2,1,b,v1,1.1,5001,True,1.0,True,True\n", "run.csv:3: .*'T2'"),
        ("1,1,a,v1,1.0,4000,False,1.0,False,False\n1,3,a,v1,1.0,4000,True,1.0,True,True\n", "contradicts itself"),
        ("1,1,a,v1,1.0,4000,False,1.0,False,False\n1,1,a,v1,1.0,4000,True,1.0,True,True\n", "contradicts itself"),
    ],
)
def test_what_is_not_one_run_is_refused(tmp_path: Path, lines: str, says: str):
    """Two tiers in one file were stored as one, with servers that it does not have."""
    path = tmp_path / "run.csv"
    path.write_text(HEAD + lines)
    with pytest.raises(UsageError, match=says):
        requests_of(read_csv(path))


def test_a_column_that_is_there_twice_is_refused(tmp_path: Path):
    path = tmp_path / "run.csv"
    path.write_text(HEAD.replace("\n", ",success\n") + "1,1,a,v1,1.0,4000,True,1.0,True,True,False\n")
    with pytest.raises(UsageError, match="two columns 'success'"):
        read_csv(path)


def test_a_column_that_is_missing_is_named(tmp_path: Path):
    path = tmp_path / "run.csv"
    path.write_text(HEAD.replace("success", "successes") + "1,1,a,v1,1.0,4000,True,1.0,True,True\n")
    with pytest.raises(UsageError, match=r"run\.csv:1: no column 'success'"):
        read_csv(path)


def test_an_attempt_is_not_both_accepted_and_limited(tmp_path: Path):
    path = tmp_path / "run.csv"
    path.write_text(HEAD.replace("\n", ",rate_limited\n") + "1,1,a,v1,1.0,4000,True,1.0,True,True,True\n")
    with pytest.raises(UsageError, match="not both"):
        read_csv(path)


def test_an_id_that_was_under_way_has_not_failed(tmp_path: Path):
    path, store = tmp_path / "run.csv", tmp_path / "runs.sqlite"
    path.write_text(HEAD + "1,1,a,v1,1.0,4000,True,1.0,True,True\n2,1,b,v1,1.1,4001,False,1.0,False,False\n")
    (imported,) = import_runs(store, [path])
    assert imported.unfinished
    with Store.open(store) as opened:
        assert [run.tally.requests for run in opened.runs()] == [1]
    path.write_text(HEAD + "2,1,b,v1,1.1,4001,False,1.0,False,False\n")
    with pytest.raises(UsageError, match="no id that was done with"):
        list(import_runs(tmp_path / "other.sqlite", [path]))
