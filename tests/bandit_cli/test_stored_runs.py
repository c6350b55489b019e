"""compare, import, export and calibrate as a person types them."""

import json
import os
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
from commands import bandit_runner as run

sys.path.insert(0, str(Path(__file__).parents[1] / "runs"))
from played import SESSION, many, request, started

from bandit_runner.harness.results import result_row
from bandit_runner.model import Outcome, Scoring
from bandit_runner.runs import Recorder


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("store") / "runs.sqlite"
    session = msgspec.structs.replace(SESSION, id="evil\x1b[31m\u202e<script>")
    with Recorder(path, session) as recorder:
        for strategy, rate in (("v4", 0.6), ("v6-fixed", 0.9)):
            for tier in ("T1", "T2"):
                recorder.begin(started(tier, strategy, session))
                for each in many(100, tier=tier, rate=rate):
                    recorder.record(each)
                recorder.end(tier)
    return path


def test_the_table_puts_the_best_first(store: Path):
    done = run("compare", "--store", store, "--tier", "T1")
    assert done.returncode == 0
    lines = done.stdout.splitlines()
    assert [line.split()[:2] for line in lines[1:]] == [["T1", "v6-fixed"], ["T1", "v4"]]


def test_json_has_the_results_schema(store: Path):
    document = json.loads(run("compare", "--store", store, "--json").stdout)
    assert document["schema"] == "binsafe.results/1"
    assert {row["tier"] for row in document["rows"]} == {"T1", "T2"}
    assert sum(row["best"] for row in document["rows"]) == 2


def test_a_session_that_is_named_twice_counts_once(store: Path):
    named = ("--session", "evil\x1b[31m\u202e<script>")
    document = json.loads(run("compare", "--store", store, *named, *named, "--json").stdout)
    assert [(row["runs"], row["requests"]) for row in document["rows"]] == [(1, 100)] * 4


def test_the_table_says_whose_latency_it_shows(store: Path):
    assert "balancer p50 ms" in run("compare", "--store", store).stdout


def test_runs_score_as_they_were_played(tmp_path: Path):
    """What start said and what compare said of one session were two scores."""
    path = tmp_path / "runs.sqlite"
    scores = {}
    for name, scoring in (("half", Scoring(penalty=0.5)), ("free", Scoring(penalty=0.0, max_attempts=6))):
        session = msgspec.structs.replace(SESSION, id=name, scoring=scoring)
        with Recorder(path, session) as recorder:
            recorder.begin(started(session=session))
            for each in (played := many(100, rate=0.3)):
                recorder.record(each)
        scores[name] = result_row(played, strategy="v4", tier="T1", scoring=scoring).score

    def said(*words: str) -> tuple[float, str]:
        done = run("compare", "--store", path, "--json", *words)
        return json.loads(done.stdout)["rows"][0]["score"], done.stderr

    assert scores["half"] < scores["free"]
    for name, score in scores.items():
        assert said("--session", name) == (score, "")
    both, note = said()
    assert both == said("--scoring", "statement")[0] < 2 * scores["half"]
    assert "several scorings" in note


def test_the_page_stands_alone(store: Path, tmp_path: Path):
    page = tmp_path / "page.html"
    assert run("compare", "--store", store, "--format", "html", "--output", page).returncode == 0
    text = page.read_text()
    assert text.count("<svg") == 8
    assert "http://" not in text
    assert "https://" not in text
    assert "<script" not in text


def test_no_name_from_the_store_steers_the_terminal(store: Path):
    done = run("compare", "--store", store, "--sessions")
    assert "\x1b" not in done.stdout
    assert "\u202e" not in done.stdout
    assert "evil" in done.stdout


def test_export_import_and_calibrate(store: Path, tmp_path: Path):
    folder = tmp_path / "out"
    assert run("export", "--store", store, "--output", folder).returncode == 0
    files = sorted(folder.iterdir())
    assert len(files) == 4
    other = tmp_path / "other.sqlite"
    assert "4 of 4 runs imported" in run("import", *files, "--store", other).stdout
    again = run("import", *files, "--store", other)
    assert "0 of 4 runs imported" in again.stdout
    assert again.stderr.count("there already") == 4
    calibrated = run("calibrate", *files)
    assert calibrated.returncode == 0
    assert "Rates" in calibrated.stdout
    assert json.loads(run("calibrate", *files, "--json").stdout)["schema"] == "binsafe.calibration/1"


def test_an_export_that_finds_no_room_leaves_no_part_of_a_file(tmp_path: Path):
    store, folder = tmp_path / "runs.sqlite", tmp_path / "out"
    with Recorder(store, SESSION) as recorder:
        recorder.begin(started())
        for each in many(1000):
            recorder.record(each)
    # -B: Python keeps what the limit leaves of a module's bytecode, for all tests after this one
    words = [sys.executable, "-B", "-m", "bandit_runner", "export", "--store", store, "--output", folder]
    limited = ["sh", "-c", 'ulimit -f 128; exec "$@"', "sh", *words]  # 64 KB, twice what reading the store takes
    done = subprocess.run(limited, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "cannot write" in done.stderr
    assert list(folder.iterdir()) == []


def test_ids_of_which_no_server_was_asked_are_said_to_be_no_part_of_an_export(tmp_path: Path):
    store = tmp_path / "runs.sqlite"
    with Recorder(store, SESSION) as recorder:
        recorder.begin(started())
        for each in (request(Outcome.OK), request(number=1), request(number=2)):
            recorder.record(each)
    done = run("export", "--store", store, "--output", tmp_path / "out")
    assert done.returncode == 0
    assert "left out: 2 ids of which no server was asked" in done.stderr


@pytest.mark.parametrize("command", ["compare", "export"])
def test_no_store_is_one_line_and_a_hint(command: str, tmp_path: Path):
    done = run(command, "--store", tmp_path / "none.sqlite")
    assert done.returncode == 2
    assert "there are no runs" in done.stderr
    assert "hint:" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("command", ["compare", "export"])
def test_a_corrupt_store_is_said_and_left_alone(command: str, tmp_path: Path):
    path = tmp_path / "runs.sqlite"
    path.write_bytes(b"SQLite format 3\0" + os.urandom(8000))
    before = path.read_bytes()
    done = run(command, "--store", path)
    assert done.returncode == 2
    assert "hint:" in done.stderr
    assert "Traceback" not in done.stderr
    assert path.read_bytes() == before


def test_a_missing_log_is_named(tmp_path: Path):
    for command in ("import", "calibrate"):
        extra = ["--store", tmp_path / "s.sqlite"] if command == "import" else []
        done = run(command, tmp_path / "no.csv", *extra)
        assert done.returncode == 2
        assert "no.csv" in done.stderr
        assert "Traceback" not in done.stderr
