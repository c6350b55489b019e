"""The page that compares stored runs, in a browser."""

import os
import time
from pathlib import Path

import pytest
from browsing import Visitor, running
from played import sessions_of

from bandit_runner.model import Scoring
from bandit_runner.runs import Store
from bandit_runner.runs.comparison import compare

pytestmark = [pytest.mark.browser, pytest.mark.timeout(180)]

STRATEGIES_PLAYED = ("v1", "v2", "v3", "v4", "v5", "v6", "v7", "best")


def test_the_comparison_shows_text_as_text(visitor: Visitor, stored: Path):
    with running("dashboard", "--port", 0, "--store", stored) as (_, address), visitor.at(f"{address}compare"):
        visitor.page.wait_for_selector("table")
        text = visitor.page.locator("table").first.inner_text()
        assert "<b>v6</b>" in text
        assert "best" in text
        assert visitor.page.locator("table b").count() == 0
        visitor.page.get_by_role("button", name="by strategy").click()
        visitor.page.wait_for_selector("section[aria-label='v4']")


def test_a_comparison_of_many_strategies_hides_none(visitor: Visitor, tmp_path: Path):
    path = tmp_path / "runs.sqlite"
    sessions_of(path, sessions=1, strategies=[f"strategy-{number}" for number in range(24)])
    with running("dashboard", "--port", 0, "--store", path) as (_, address), visitor.at(f"{address}compare") as page:
        table = page.get_by_role("region", name="T1: table", exact=True)
        table.wait_for()
        assert table.locator("tbody tr").count() == 24
        assert table.evaluate("box => box.scrollHeight - box.clientHeight") == 0
        assert page.get_by_role("main").count() == 1
        page.set_viewport_size({"width": 360, "height": 800})
        assert table.locator("tbody tr").last.evaluate("row => row.offsetHeight") < 40  # one line


def test_a_comparison_of_ten_thousand_runs_opens_at_once(visitor: Visitor, tmp_path: Path):
    """420 sessions of 24 runs: the page costs a few times what it takes to read and compare them, on any machine."""
    path = tmp_path / "runs.sqlite"
    runs = sessions_of(path, sessions=420, strategies=STRATEGIES_PLAYED)
    assert runs == 10_080
    before = time.process_time()
    with Store.open(path) as store:
        assert len(compare(store.runs(), Scoring())) == 3 * len(STRATEGIES_PLAYED)
    least = time.process_time() - before
    with running("dashboard", "--port", 0, "--store", path) as (process, address), visitor.at(address + "learn"):
        visitor.page.wait_for_selector("text=Beliefs")  # everything is loaded
        before = _cpu_seconds(process.pid)
        visitor.page.goto(address + "compare")
        visitor.page.wait_for_selector("table >> text=v4")
        visitor.page.wait_for_function("document.querySelectorAll('canvas').length >= 12")
        opened = _cpu_seconds(process.pid) - before
        print(f"comparison of {runs:,} runs: {opened:.2f} s of the processor's time, {least:.2f} s to compare them")
        assert visitor.page.locator("table").first.locator("tbody tr").count() == len(STRATEGIES_PLAYED)
        assert opened < 5 * least


def _cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
