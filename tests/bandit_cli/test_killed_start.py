"""`bandit_runner start`, killed again and again at moments that nobody chose: nothing is lost, doubled or damaged.

pytest -m endurance tests/bandit_cli
"""

import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from bandit_runner.errors import StoreUnusable
from bandit_runner.runs import Run, Store

pytestmark = [
    pytest.mark.endurance,
    pytest.mark.ports,
    pytest.mark.sandbox,
    pytest.mark.usefixtures("thirty_ports"),
    pytest.mark.skipif(sys.platform != "linux", reason="the Linux sandbox needs Linux"),
]

KILLS = 10
IDS = 80
PLAN = ("--tier", "T1", "--strategy", "v6", "--strategy", "best", "--requests", str(IDS), "--rps", "25")


def command(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "bandit_runner", *map(str, arguments)]


def runs(path: Path) -> list[Run]:
    try:
        with Store.open(path) as store:
            return store.runs()
    except StoreUnusable:
        return []


def stored(path: Path) -> int:
    return sum(run.tally.requests for run in runs(path))


def killed(path: Path, arguments: tuple[str, ...], moment: float) -> None:
    """Start it, wait until it has stored something, and kill it ``moment`` seconds later."""
    before = stored(path)
    words = command("start", "--store", path, "--no-dashboard", "--port", 0, *arguments)
    with subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        deadline = time.monotonic() + 60
        while stored(path) == before and time.monotonic() < deadline:
            time.sleep(0.02)
        time.sleep(moment)
        process.send_signal(signal.SIGKILL)


@pytest.mark.parametrize("seed", range(4))
def test_killed_at_any_moment(seed: int, tmp_path: Path):
    path = tmp_path / "runs.sqlite"
    draw = random.Random(seed)
    seen: set[str] = set()
    for kill in range(KILLS):
        killed(path, PLAN if kill == 0 else ("--continue",), draw.uniform(0, 0.9))
        assert stored(path) >= len(seen), "what was stored stays"
        with Store.open(path) as store:
            ids = [each.request.id for run in store.runs() for each in store.requests(run)]
        assert len(ids) == len(set(ids)), "no id is stored twice"
        assert seen <= set(ids)
        seen = set(ids)
        compared = subprocess.run(command("compare", "--store", path), capture_output=True, text=True, check=False)
        assert compared.returncode == 0, compared.stderr
        if len(seen) == 2 * IDS:
            break
    done = subprocess.run(
        command("start", "--store", path, "--no-dashboard", "--port", 0, "--continue"),
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    over = len(seen) == 2 * IDS and all(run.ended for run in runs(path))
    assert done.returncode == (2 if over else 0), done.stderr
    with Store.open(path) as store:
        assert [(run.start.strategy, run.tally.requests) for run in store.runs()] in (
            [("v6", IDS), ("best", IDS)],
            [("best", IDS), ("v6", IDS)],
        )
        for run in store.runs():
            assert run.ended is not None
            requests = store.requests(run)
            assert [each.number for each in requests] == list(range(1, IDS + 1))
            assert sum(each.request.accepted for each in requests) == sum(run.tally.accepted)
            seen -= {each.request.id for each in requests}
    assert seen == set(), "what was stored before the kills is there at the end"
