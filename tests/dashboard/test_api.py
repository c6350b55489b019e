"""The API over a real socket: snapshot, runs, events that are taken up again, stores that are not as they should be."""

import contextlib
import http.client
import json
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import msgspec
import pytest
import uvicorn
from played import SESSION, many, started

from bandit_runner.dashboard.api import parse_cursor
from bandit_runner.dashboard.app import application
from bandit_runner.runs import Recorder

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:websockets")


@contextlib.contextmanager
def served(store: Path) -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        server = uvicorn.Server(
            uvicorn.Config(application(store, port=port), log_level="error", timeout_graceful_shutdown=1)
        )
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            yield port
        finally:
            server.should_exit = True
            thread.join(10)


def get(port: int, path: str, **headers: str) -> tuple[int, Any]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request("GET", path, headers=headers)
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    return answer.status, json.loads(body) if body else None


class Events:
    """A client of /events."""

    def __init__(self, port: int, last: str = "") -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        self._connection.request("GET", "/events", headers={"Last-Event-ID": last} if last else {})
        self._answer = self._connection.getresponse()
        assert self._answer.status == 200

    def next(self) -> tuple[str, str, Any]:
        """(kind, id, data) of the next event."""
        fields: dict[str, str] = {}
        while line := self._answer.readline().decode().rstrip("\n"):
            name, _, value = line.partition(": ")
            fields[name] = value
        return fields["event"], fields.get("id", ""), json.loads(fields["data"])

    def metrics(self) -> tuple[str, Any]:
        while True:
            kind, number, data = self.next()
            if kind == "metrics":
                return number, data

    def close(self) -> None:
        self._answer.close()
        self._connection.close()


@pytest.fixture
def recorder(tmp_path: Path) -> Iterator[Recorder]:
    with Recorder(tmp_path / "runs.sqlite", SESSION) as recorder:
        recorder.begin(started())
        for each in many(30):
            recorder.record(each)
        recorder.flush()
        yield recorder


def test_a_snapshot_says_what_the_store_holds(recorder: Recorder):
    with served(recorder.path) as port:
        status, snapshot = get(port, "/api/snapshot")
        assert status == 200
        (run,) = snapshot["runs"]
        assert run["latest"]["requests"] == 30
        assert run["status"] == "running"
        assert get(port, "/api/sessions")[1][0]["requests"] == 30
        assert len(get(port, f"/api/runs/{run['number']}")[1]["frames"]) == 30
        some = get(port, f"/api/runs/{run['number']}/requests?after=20&most=5")[1]
        assert [each["number"] for each in some] == [21, 22, 23, 24, 25]
        assert get(port, "/api/comparison")[1]["rows"][0]["requests"] == 30
        twice = f"/api/comparison?session={SESSION.id}&session={SESSION.id}"
        assert get(port, twice)[1]["rows"][0]["requests"] == 30
        assert get(port, f"/api/sessions/{SESSION.id}")[1]["seed"] == 7
        assert get(port, f"/api/sessions/{SESSION.id}/violations")[1] == []
        document = get(port, "/openapi.json")[1]
        assert "/events" in document["paths"]


def test_events_bring_what_is_new_and_a_lost_client_misses_nothing(recorder: Recorder):
    more = many(60)[30:]
    with served(recorder.path) as port:
        events = Events(port)
        assert events.next()[0] == "connected"
        last, first = events.metrics()
        assert first["requests"] == []
        for each in more[:10]:
            recorder.record(each)
        recorder.flush()
        last, data = events.metrics()
        assert [each["id"] for each in data["requests"]] == [each.id for each in more[:10]]
        events.close()
        for each in more[10:]:
            recorder.record(each)
        recorder.flush()
        again = Events(port, last)
        assert again.next()[2] == {"resumed": True}
        _, data = again.metrics()
        assert [each["id"] for each in data["requests"]] == [each.id for each in more[10:]]
        again.close()


def test_a_flood_comes_in_pieces_and_none_is_left_out(recorder: Recorder):
    flood = [each for _ in range(50) for each in many(50)]  # made before NiceGUI starts, which looks at all tuples
    with served(recorder.path) as port:
        for each in flood:
            recorder.record(each)
        recorder.flush()
        events = Events(port, "1:30")
        numbers: list[int] = []
        while len(numbers) < 2500:
            numbers += [each["number"] for each in events.metrics()[1]["requests"]]
        assert numbers == list(range(31, 2531))
        events.close()


@pytest.mark.parametrize("text", ["", "x", "1:2,", "1:2;3:4", "1:-2", "9" * 400 + ":1", "1:2\n", "٣:1"])
def test_what_is_no_cursor_is_none(text: str):
    assert parse_cursor(text) == {}


def test_no_runs_a_corrupt_store_and_a_wrong_number_are_said(tmp_path: Path):
    path = tmp_path / "runs.sqlite"
    with served(path) as port:
        assert get(port, "/api/status")[1]["kind"] == "none"
        status, body = get(port, "/api/snapshot")
        assert status == 503
        assert body["hint"]
        path.write_bytes(b"no database" * 1000)
        assert get(port, "/api/status")[1]["kind"] == "unusable"
        assert get(port, "/api/sessions")[0] == 503
        path.unlink()
        with Recorder(path, SESSION) as recorder:
            recorder.begin(started())
        assert get(port, "/api/status")[1]["kind"] == "ok"
        assert [run["latest"] for run in get(port, "/api/snapshot")[1]["runs"]] == [None]
        assert get(port, "/api/runs/77")[0] == 404
        assert get(port, "/api/snapshot?session=nobody")[0] == 404
        assert get(port, "/api/runs/1/requests?most=100000")[0] == 422
        for path in (f"/api/runs/{10**30}", f"/api/runs/{10**30}/limits", f"/api/runs/1/requests?after={10**30}"):
            assert get(port, path)[0] == 422, "larger than SQLite's integers"


def test_many_who_look_at_a_run_at_once_see_each_id_once(recorder: Recorder):
    """Routes in threads of their own added the same ids to one run's frames: of 5,000 there were 42,080."""
    for request in many(5000):
        recorder.record(request)
    recorder.flush()
    with served(recorder.path) as port, ThreadPoolExecutor(12) as pool:
        answers = list(pool.map(lambda _: get(port, "/api/runs/1"), range(12)))
    assert {status for status, _ in answers} == {200}
    assert {run["frames"][-1]["requests"] for _, run in answers} == {5024}


def test_strangers_stay_out_of_the_whole_application(recorder: Recorder):
    with served(recorder.path) as port:
        for path in ("/api/snapshot", "/events", "/openapi.json", "/"):
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
            connection.request("GET", path, headers={"Host": "evil.example"})
            assert connection.getresponse().status == 421
            connection.close()


def test_frames_stay_few_however_long_a_run_is():
    from bandit_runner.dashboard.progress import MAX_FRAMES, Progress
    from bandit_runner.model import Scoring
    from bandit_runner.runs.records import StoredRequest

    progress = Progress(Scoring())
    batch = many(100)
    for begin in range(0, 5000, 100):
        progress.add([StoredRequest(number=begin + n + 1, request=each) for n, each in enumerate(batch)])
    assert MAX_FRAMES / 4 < len(progress.frames) <= MAX_FRAMES
    steps = {b.requests - a.requests for a, b in zip(progress.frames, progress.frames[1:], strict=False)}
    assert len(steps) == 1
    assert progress.seen == 5000
    assert msgspec.json.encode(progress.frames)
