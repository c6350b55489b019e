"""A person at a browser: fixtures for the tests that look at pages in Debian's Chromium."""

import contextlib
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import pytest
from played import SESSION, many, started

from bandit_runner.runs import Recorder

if TYPE_CHECKING:
    from playwright import sync_api as playwright


CHROMIUM = os.environ.get("CHROMIUM", "/usr/bin/chromium")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


class Visitor:
    """A page, and all that went wrong on it."""

    def __init__(self, page: "playwright.Page") -> None:
        self.page = page
        self.wrong: list[str] = []
        page.on("console", self._said)
        page.on("pageerror", lambda error: self.wrong.append(str(error)))
        page.on("request", self._asked)

    @contextlib.contextmanager
    def at(self, address: str) -> Iterator["playwright.Page"]:
        """On a page, which is left before the dashboard ends."""
        self.page.goto(address)
        yield self.page
        self.page.close()

    def _said(self, message: "playwright.ConsoleMessage") -> None:
        if message.type == "error":
            self.wrong.append(message.text)

    def _asked(self, request: "playwright.Request") -> None:
        if not re.match(r"(http|ws)://127\.0\.0\.1[:/]|data:|blob:", request.url):
            self.wrong.append(f"asked {request.url}")

    def figure(self, name: str) -> str:
        return self.page.locator(f"section[aria-label='{name}'] .figure").inner_text()

    def status(self) -> str:
        return self.page.locator(".q-badge").first.inner_text()


@pytest.fixture(scope="module")
def browser() -> Iterator["playwright.Browser"]:
    if not Path(CHROMIUM).exists():
        pytest.fail(f"{CHROMIUM} is not there: apt-get install chromium, or name one in CHROMIUM")
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is in the extra heavy")
    with playwright.sync_playwright() as driver:
        found = driver.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield found
        found.close()


@pytest.fixture
def visitor(browser: "playwright.Browser") -> Iterator[Visitor]:
    context = browser.new_context(viewport={"width": 1400, "height": 1000}, accept_downloads=True)
    visiting = Visitor(context.new_page())
    yield visiting
    context.close()
    assert visiting.wrong == []


@contextlib.contextmanager
def running(*words: object) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A command of ours that says where its dashboard is."""
    command = [sys.executable, "-m", "bandit_runner", *map(str, words)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
        try:
            for line in process.stderr:
                if found := re.search(r"dashboard (http://\S+)", line):
                    break
            else:
                raise AssertionError("no dashboard")
            yield process, found[1]
        finally:
            process.send_signal(signal.SIGINT)
            process.communicate(timeout=30)


@pytest.fixture
def stored(tmp_path: Path) -> Path:
    path = tmp_path / "runs.sqlite"
    for number, session in enumerate(("first", "second")):
        stamped = msgspec.structs.replace(SESSION, id=session, started=SESSION.started + number)
        with Recorder(path, stamped) as recorder:
            for strategy, rate in (("v4", 0.6), ("<b>v6</b>", 0.8)):
                for tier in ("T1", "T2", "T3"):
                    recorder.begin(started(tier, strategy, stamped))
                    for each in many(100, seed=number, tier=tier, rate=rate):
                        recorder.record(each)
                    recorder.end(tier)
    return path
