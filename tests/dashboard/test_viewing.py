"""The live page without a browser: what a visitor does, and the picture that follows."""

import json
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from played import SESSION, many, request, started

from bandit_runner.dashboard.charts import compared, scored
from bandit_runner.dashboard.pages.panels import CHARTS, duration, limit_rows
from bandit_runner.dashboard.pages.viewing import Picture, Viewer
from bandit_runner.dashboard.progress import Progress
from bandit_runner.dashboard.views import Board
from bandit_runner.model import UNKNOWN, Likely, LimitEstimate, Outcome, Scoring
from bandit_runner.runs import Recorder, Store, Tally
from bandit_runner.runs.transfer import import_runs
from bandit_runner.strategies import create


def play(path: Path, name: str, at: float = 0.0, **rates: float) -> None:
    """A session of 100 ids on each tier for each strategy."""
    session = msgspec.structs.replace(SESSION, id=name, started=SESSION.started + at)
    with Recorder(path, session) as recorder:
        for strategy, rate in rates.items():
            for tier in ("T1", "T2", "T3"):
                recorder.begin(started(tier, strategy, session))
                for each in many(100, seed=1, tier=tier, rate=rate):
                    recorder.record(each)
                recorder.end(tier)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    play(tmp_path / "runs.sqlite", "first", v4=0.6, v6=0.8)
    return tmp_path / "runs.sqlite"


@pytest.fixture
def viewer(path: Path) -> Iterator[Viewer]:
    board = Board(path)
    yield Viewer(board)
    board.close()


def seen(picture: Picture | None) -> Picture:
    assert picture is not None
    json.dumps(picture.charts)  # what the browser gets
    return picture


def ids(picture: Picture | None) -> str:
    return seen(picture).figures["Ids"][0]


def test_the_first_look_shows_the_latest_session_and_the_second_one_nothing_new(viewer: Viewer):
    picture = seen(viewer.look())
    assert (picture.status, picture.session.id, picture.length) == ("Done", "first", 100)
    assert set(picture.strategies) == {"v4", "v6"}
    assert picture.figures["Ids"][0] == "300"
    assert len(picture.charts) == len(CHARTS)
    assert viewer.look() is None


def test_tiers_and_strategies_are_chosen(viewer: Viewer):
    viewer.look()
    assert ids(viewer.filter("T2", on=False)) == "200"
    assert ids(viewer.filter("T2", on=True)) == "300"
    other = "v4" if viewer.choice.chosen_strategy == "v6" else "v6"
    assert seen(viewer.choose_strategy(other)).strategy == other
    assert viewer.choose_strategy(other) is None
    names = {line["name"] for line in seen(viewer.sum_up(overall=True)).charts[0]["series"]}
    assert names == {"all tiers"}
    for tier in ("T1", "T2", "T3"):
        picture = viewer.filter(tier, on=False)
    assert ids(picture) == "-"


def test_the_line_of_all_tiers_goes_as_they_were_played_side_by_side(path: Path, viewer: Viewer):
    """Here with the same ids at the same moments, so that after each third one all together stand as each does."""
    play(path, "second", at=100.0, v4=0.2)  # many are refused
    viewer.look()
    one, *_ = seen(viewer.sum_up(overall=False)).charts[0]["series"]
    (together,) = seen(viewer.sum_up(overall=True)).charts[0]["series"]
    assert together["data"][2::3] == [[3 * ids, share] for ids, share in one["data"]]


def test_a_replay_goes_from_the_beginning_to_the_end_and_stops(viewer: Viewer):
    viewer.look()
    assert ids(viewer.toggle()) == "3"
    viewer.speed = 4
    moments = []
    while viewer.playing:
        moments.append(seen(viewer.step()).moment)
    assert moments[:2] == [5, 9]
    assert moments[-1] == 100
    assert ids(viewer.move(-10)) == "270"
    assert seen(viewer.picture()).status == "Viewing history"
    assert ids(viewer.seek(-5)) == "3"
    assert ids(viewer.seek(10**9)) == "300"
    assert ids(viewer.slide(50)) == "150"
    assert viewer.slide(50) is None
    viewer.toggle()
    viewer.go_live()
    assert viewer.step() is None  # it was on its way when the replay was left
    assert seen(viewer.picture()).status == "Done"
    assert viewer.slide(100) is None
    assert viewer.toggle() is not None
    assert viewer.toggle() is None
    assert not viewer.playing


def test_axes_of_ids_have_no_halves_of_them(viewer: Viewer):
    axes = [chart[axis] for chart in seen(viewer.look()).charts for axis in ("xAxis", "yAxis")]
    steps = [axis.get("minInterval") for axis in axes if axis["name"] == "ids"]
    assert len(steps) >= 4
    assert set(steps) == {1}


@pytest.mark.parametrize(("times", "most"), [(1, 2), (31, 4)])
def test_the_map_of_429s_has_the_colours_of_its_scale(viewer: Viewer, path: Path, times: int, most: int):
    """A single 429 was drawn as the worst, and few as a shade that the scale, which knows no transparency, lacked."""
    session = msgspec.structs.replace(SESSION, id="limited", started=SESSION.started + 9)
    with Recorder(path, session) as recorder:
        recorder.begin(started("T1", "v4", session))
        recorder.record(request(*[Outcome.RATE_LIMITED] * times, Outcome.OK))
    drawn = seen(viewer.look()).charts[-1]
    scale, values = drawn["visualMap"], [count for _, _, count in drawn["series"][0]["data"]]
    assert (scale["min"], scale["max"], sum(values)) == (1, most, times)
    assert all(scale["min"] <= value <= scale["max"] for value in values)
    assert all(len(colour) == len("#rrggbb") for colour in scale["inRange"]["color"])


def test_a_moment_of_a_long_run_is_counted_as_it_stood_and_from_nearby(tmp_path: Path):
    path, played = tmp_path / "runs.sqlite", many(3000)
    with Recorder(path, SESSION) as recorder:
        recorder.begin(started())
        for each in played:
            recorder.record(each)
        recorder.end("T1")
    board = Board(path)
    for moment in (1, 15, 16, 17, 1024, 1025, 2999):
        frame, tally = board.moment(1, moment)
        assert tally == Tally().adding(played[:moment])
        assert (frame.requests, frame.accepted) == (moment, sum(each.accepted for each in played[:moment]))
    board.close()
    progress = Progress(Scoring())
    with Store.open(path) as store:
        progress.add(store.requests(store.run(1)))
    assert 2999 - progress.before(2999)[0].requests < 3000 / 10


def test_a_moment_is_the_frame_that_the_run_had_then(tmp_path: Path):
    """In time, too, by which the line of all tiers is drawn: of an id that no server was asked for, it is the last."""
    path = tmp_path / "runs.sqlite"
    with Recorder(path, SESSION) as recorder:
        recorder.begin(started())
        for each in many(20):
            recorder.record(each)
        recorder.record(request(number=20))
    board = Board(path)
    frames = board.run(1).frames
    assert len(frames) == 21
    assert [board.moment(1, frame.requests)[0] for frame in frames] == list(frames)
    board.close()


def test_a_replay_of_a_log_without_429s_does_not_count_them(viewer: Viewer, path: Path, tmp_path: Path):
    old = tmp_path / "old.csv"
    head = "request_number,attempt_number,request_id,strategy,timestamp,server_port,success,latency_ms,request_complete"
    lines = [f"{n},1,{n:024},v4,{n}.0,4000,True,1.0,True,True" for n in (1, 2)]
    old.write_text("\n".join([f"{head},request_success", *lines, ""]))
    list(import_runs(path, [old]))
    viewer.choose_session("old")
    assert seen(viewer.seek(1)).figures["Ids"] == ("1", "+0 retries, 429s not recorded")


def test_a_store_in_which_nothing_was_played_yet_holds_no_runs(tmp_path: Path):
    path = tmp_path / "runs.sqlite"
    board = Board(path)
    with Recorder(path, SESSION) as recorder:
        assert board.state().kind == "none"
        recorder.begin(started())
        recorder.flush()
        assert board.state().kind == "ok"
    board.close()


def test_a_new_session_is_news_only_to_who_looks_at_another(viewer: Viewer, path: Path):
    viewer.look()
    play(path, "second", 10.0, v4=0.5)
    assert seen(viewer.look()).session.id == "second"
    assert not viewer.has_news
    assert seen(viewer.choose_session("first")).session.id == "first"
    play(path, "third", 20.0, v4=0.5)
    assert seen(viewer.look()).session.id == "first"
    assert viewer.has_news
    assert seen(viewer.go_live()).session.id == "third"
    assert not viewer.has_news
    assert next(iter(seen(viewer.picture()).sessions)) == "third"


def test_a_store_that_breaks_is_trouble_and_one_that_is_back_is_none(viewer: Viewer, path: Path):
    viewer.look()
    whole = path.read_bytes()
    viewer.choice.board.close()
    path.write_bytes(b"SQLite format 3\0" + b"\xff" * 9000)
    assert viewer.look() is None
    assert viewer.trouble is not None
    assert viewer.trouble.hint
    viewer.choice.board.close()
    path.write_bytes(whole)
    for name in ("-wal", "-shm"):
        path.with_name(path.name + name).unlink(missing_ok=True)
    seen(viewer.look())
    assert viewer.trouble is None


def test_what_a_strategy_believes_of_limits_is_shown_for_it_alone(tmp_path: Path):
    path = tmp_path / "runs.sqlite"
    best = create("best", arms=10)
    for number in range(60):
        arm = best.select(now=number / 10, attempt=0, tried=(), available=range(10))
        if isinstance(arm, int):
            best.update(
                arm=arm,
                outcome=Outcome.RATE_LIMITED if arm == 3 else Outcome.OK,
                now=number / 10,
                attempt=0,
                latency=0.001,
            )
            best.finish(accepted=arm != 3, attempts=1, now=number / 10)
    with Recorder(path, SESSION) as recorder:
        for strategy in ("v4", "best"):
            recorder.begin(started("T1", strategy, SESSION))
            for each in many(10, tier="T1"):
                recorder.record(each)
            if strategy == "best":
                recorder.state("T1", best.snapshot())
            recorder.end("T1")
    viewer = Viewer(Board(path))
    viewer.look()
    viewer.choose_strategy("best")
    rows = seen(viewer.picture()).limits
    assert len(rows) == 10
    assert rows[0][0].startswith("T1 ")
    assert all(0 <= int(cell.rstrip("%")) <= 100 for row in rows for cell in row[2:4])
    assert seen(viewer.choose_strategy("v4")).limits == ()
    viewer.choice.board.close()


def test_a_state_of_another_version_shows_no_beliefs(tmp_path: Path):
    with Recorder(tmp_path / "runs.sqlite", SESSION) as recorder:
        recorder.begin(started("T1", "best", SESSION))
        recorder.record(many(1, tier="T1")[0])
        recorder.state("T1", {"strategy": "best", "memory": {"from": "the future"}})
        recorder.end("T1")
    board = Board(tmp_path / "runs.sqlite")
    assert board.limits(1) == ()
    board.close()


def test_the_list_of_sessions_reads_those_that_nobody_writes_to_once(path: Path, monkeypatch: pytest.MonkeyPatch):
    """It is made twice a second for each page while something is played, and a store may hold ten thousand runs."""
    read: list[str | None] = []
    runs = Store.runs
    monkeypatch.setattr(Store, "runs", lambda store, name=None: read.append(name) or runs(store, name))
    play(path, "second", at=60, v4=0.5)
    board = Board(path)
    assert [line.id for line in board.sessions()] == ["second", "first"]
    play(path, "third", at=120, v4=0.5)
    lines = board.sessions()
    assert [(line.id, line.requests) for line in lines] == [("third", 300), ("second", 300), ("first", 600)]
    assert read == ["second", "first", "third"]
    with Recorder(path, msgspec.structs.replace(SESSION, id="first")) as recorder:
        recorder.begin(started("T1", "v1", msgspec.structs.replace(SESSION, id="first")))
    assert [line.runs for line in board.sessions()] == [3, 3, 7]
    board.close()


def test_the_export_holds_what_is_shown(viewer: Viewer):
    viewer.look()
    viewer.filter("T1", on=False)
    document = json.loads(viewer.export() or b"")
    assert document["session"]["id"] == "first"
    assert [(run["tier"], len(run["frames"])) for run in document["runs"]] == [("T2", 100), ("T3", 100)]


@pytest.mark.parametrize(("ms", "text"), [(0.126, "0.13 ms"), (999.0, "999.00 ms"), (1234.5, "1.23 s"), (UNKNOWN, "-")])
def test_durations_have_the_unit_that_people_read(ms: float, text: str):
    assert duration(ms) == text


def test_a_limit_that_nobody_meets_is_not_written_out():
    estimate = LimitEstimate(kind="fixed-window", share=0.3, admits=1, burst=Likely(mean=4e6, low=4e6, high=4e6))
    ((_, kind, *_, burst, seconds),) = limit_rows("T1", (4000,), (estimate,))
    assert (kind, burst, seconds) == ("fixed window", "more than 1,000", "-")


def test_a_comparison_is_made_anew_only_after_somebody_has_written(path: Path):
    board = Board(path)
    first = board.comparison(Scoring())
    assert board.comparison(Scoring()) is first
    assert board.comparison(Scoring(penalty=0.5)) is not first
    play(path, "second", at=100.0, v8=0.7)
    assert {row.strategy for row in board.comparison(Scoring())} == {"v4", "v6", "v8"}
    board.close()


def test_bars_on_a_logarithmic_axis_stand_on_a_power_of_ten_below_all():
    options = compared(("a", "b"), {"p50": (0.37, 5.0), "p99": (None, 630.0)}, unit="ms", logarithmic=True)
    assert options["yAxis"]["min"] == options["yAxis"]["startValue"] == pytest.approx(0.1)
    assert compared(("a",), {"p50": (1.0,)}, unit="ms", logarithmic=True)["yAxis"]["min"] == pytest.approx(0.1)
    assert compared(("a",), {"p50": (None,)}, unit="ms", logarithmic=True)["yAxis"]["type"] == "value"


@pytest.mark.parametrize(("low", "axis"), [(60.0, None), (-90.0, None), (-243.1, -100)])
def test_an_interval_that_is_wider_than_all_scores_leaves_bars_half_of_the_axis(low: float, axis: int | None):
    options = scored(("a", "b", "c"), [(97.0, 94.0, 99.0), (55.5, low, 100.0), (40.0, None, None)])
    assert options["yAxis"].get("min") == axis
    assert options["series"][1]["data"][1] == [1, low, 100.0]
    assert options["series"][1]["clip"]


def test_a_long_name_leaves_the_bars_their_room():
    label = compared(["x" * 500], {"score": [1.0]}, unit="")["xAxis"]["axisLabel"]
    assert label["overflow"] == "truncate"
    assert label["width"] <= 130


def test_another_store_in_the_place_of_one_is_shown_and_nothing_of_the_one_before(
    path: Path, viewer: Viewer, tmp_path: Path
):
    before = seen(viewer.look())
    play(tmp_path / "other.sqlite", "second", v4=0.9)
    (tmp_path / "other.sqlite").replace(path)
    after = seen(viewer.look())
    assert (before.session.id, after.session.id) == ("first", "second")
    with Store.open(path) as store:
        (run, *_) = store.runs()
    frames = viewer.choice.board.run(run.number).frames
    assert frames[-1].attempts == run.tally.attempts
