"""The dashboard as a person uses it, in Debian's Chromium, during a real `bandit_runner start` and over stored runs."""

import json
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import pytest
from browsing import Visitor, running
from played import SESSION, many, started

from bandit_runner.runs import Recorder

if TYPE_CHECKING:
    from playwright import sync_api as playwright

pytestmark = [pytest.mark.browser, pytest.mark.timeout(180)]


CLICK_AND_BE_BUSY = """button => {
  button.click();
  for (const end = performance.now() + 3000; performance.now() < end;);
}"""


@pytest.mark.ports
@pytest.mark.sandbox
@pytest.mark.usefixtures("thirty_ports")
def test_figures_move_while_start_plays(visitor: Visitor, tmp_path: Path):
    words = ("start", "--port", 0, "--dashboard-port", 0, "--store", tmp_path / "runs.sqlite", "--requests", 900)
    with running(*words, "--rps", 15) as (_, address), visitor.at(address):
        visitor.page.wait_for_selector("section[aria-label='Sandbox'] table", timeout=30_000)
        visitor.page.wait_for_function("document.querySelector('.q-badge')?.innerText === 'Live'", timeout=20_000)
        before = visitor.figure("Ids")
        visitor.page.wait_for_function(
            f"document.querySelector(\"section[aria-label='Ids'] .figure\").innerText !== '{before}'", timeout=10_000
        )
        assert "full" in visitor.page.locator("section[aria-label='Sandbox']").inner_text()
        assert "None." in visitor.page.locator("section[aria-label='Violations']").inner_text()
        assert not list(tmp_path.glob(".nicegui"))


def test_filter_replay_and_export(visitor: Visitor, stored: Path):
    with running("dashboard", "--port", 0, "--store", stored) as (_, address), visitor.at(address) as page:
        page.wait_for_selector("canvas")
        paint = page.evaluate("performance.getEntriesByName('first-contentful-paint')[0].startTime")
        scripts = page.evaluate("performance.getEntriesByType('navigation')[0].domContentLoadedEventStart")
        assert visitor.status() == "Done"
        assert visitor.figure("Ids") == "300"
        page.get_by_role("checkbox", name="T2").click()
        page.wait_for_function("document.querySelector(\"section[aria-label='Ids'] .figure\").innerText === '200'")
        page.get_by_role("button", name="First").click()
        page.wait_for_function("document.querySelector(\"section[aria-label='Ids'] .figure\").innerText === '2'")
        assert visitor.status() == "Viewing history"
        page.get_by_role("button", name="Forward").click()
        page.wait_for_function("document.querySelector(\"section[aria-label='Ids'] .figure\").innerText === '4'")
        page.get_by_role("button", name="Play or pause").click()
        page.wait_for_function("Number(document.querySelector(\"section[aria-label='Ids'] .figure\").innerText) > 8")
        page.get_by_role("button", name="Go live").click()
        page.wait_for_function("document.querySelector(\"section[aria-label='Ids'] .figure\").innerText === '200'")
        with page.expect_download() as download:
            page.get_by_role("button", name="Save as PNG").click()
        assert Path(download.value.path()).read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
        with page.expect_download() as download:
            page.get_by_role("button", name="Save as JSON").click()
        assert {run["tier"] for run in json.loads(Path(download.value.path()).read_text())["runs"]} == {"T1", "T3"}
        assert paint < scripts, "there is something to see before the scripts have run, however busy the machine is"


def test_a_browser_that_is_slow_is_sent_no_more_pictures_than_it_draws(visitor: Visitor, stored: Path):
    """All moments of a replay that it had not drawn yet waited before the next click. Here it never says it has."""
    pictures: list[object] = []

    def between(page: "playwright.WebSocketRoute") -> None:
        server = page.connect_to_server()

        def sent(message: str | bytes) -> None:
            if "javascript_response" not in str(message):
                server.send(message)

        def received(message: str | bytes) -> None:
            if '"update"' in str(message):
                pictures.append(message)
            page.send(message)

        page.on_message(sent)
        server.on_message(received)

    visitor.page.route_web_socket("**", between)
    with running("dashboard", "--port", 0, "--store", stored) as (_, address), visitor.at(address) as page:
        page.wait_for_function("document.querySelector(\"section[aria-label='Ids'] .figure\")?.innerText === '300'")
        page.get_by_role("button", name="Play or pause").click()
        page.wait_for_function("Number(document.querySelector(\"section[aria-label='Ids'] .figure\").innerText) < 100")
        pictures.clear()
        page.wait_for_timeout(4000)  # 16 moments
        assert len(pictures) < 4


@pytest.mark.parametrize("width", [360, 1920])
@pytest.mark.parametrize("path", ["", "compare", "learn"])
def test_no_page_is_wider_than_the_window(browser: "playwright.Browser", stored: Path, path: str, width: int):
    with running("dashboard", "--port", 0, "--store", stored) as (_, address):
        page = browser.new_context(viewport={"width": width, "height": 800}).new_page()
        page.goto(address + path)
        page.wait_for_selector("canvas")
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert page.evaluate("document.querySelector('header').offsetHeight") < 60  # one row
        page.context.close()


def test_keys_alone_drive_the_page(visitor: Visitor, stored: Path):
    ids = "document.querySelector(\"section[aria-label='Ids'] .figure\").innerText"
    with running("dashboard", "--port", 0, "--store", stored) as (_, address), visitor.at(address) as page:
        page.wait_for_function(f"{ids} === '300'")
        page.keyboard.press("ArrowLeft")
        page.wait_for_function(f"{ids} === '297'")
        page.keyboard.press("l")
        page.wait_for_function(f"{ids} === '300'")
        page.get_by_role("checkbox", name="T1").focus()
        page.keyboard.press("Space")  # the checkbox's own: nothing is played
        page.wait_for_function(f"{ids} === '200'")
        time.sleep(0.6)
        assert page.evaluate(ids) == "200"
        assert visitor.status() == "Done"
        nameless = page.evaluate(
            "[...document.querySelectorAll('button, [tabindex=\"0\"], input')].filter(e => e.offsetParent"
            " && !(e.innerText || '').trim() && !e.closest('[aria-label], label') && !e.labels?.length).length"
        )
        assert nameless == 0


def test_light_and_dark_are_the_systems_until_chosen_and_remembered_then(browser: "playwright.Browser", stored: Path):
    is_dark = "document.body.classList.contains('body--dark')"
    with running("dashboard", "--port", 0, "--store", stored) as (_, address):
        context = browser.new_context(color_scheme="dark")
        page = context.new_page()
        page.goto(address)
        page.wait_for_function(is_dark)
        page.goto(address + "learn")
        page.wait_for_selector("canvas")
        failure = page.get_by_role("button", name="+ failure").first
        assert failure.evaluate("button => getComputedStyle(button).color") == "rgb(255, 123, 114)"
        page.get_by_role("button", name="Light or dark").evaluate(CLICK_AND_BE_BUSY)
        page.wait_for_function(f"!{is_dark}")
        page.wait_for_function("document.cookie.includes('bandit_runner_dark=0')")
        page.goto(address + "learn")
        page.wait_for_selector("canvas")
        assert not page.evaluate(is_dark)
        context.close()


def test_learning_moves_the_curves(visitor: Visitor, stored: Path):
    with running("dashboard", "--port", 0, "--store", stored) as (_, address), visitor.at(f"{address}learn") as page:
        page.get_by_role("button", name="+ success").first.click()
        page.wait_for_selector("text=1 of 1")
        page.get_by_role("button", name="Play one round").click()
        page.wait_for_selector("text=Round 1:")
        page.get_by_role("switch", name="autoplay").click()
        page.wait_for_selector(r"text=/Round ([4-9]|\d\d+):/")  # a click may take longer than a round
        page.get_by_role("button", name="Reset").click()


@pytest.mark.parametrize("page", ["", "compare", "learn"])
def test_no_runs_is_said(visitor: Visitor, tmp_path: Path, page: str):
    with running("dashboard", "--port", 0, "--store", tmp_path / "none") as (_, address), visitor.at(address + page):
        visitor.page.wait_for_selector("text=bandit_runner start plays some" if page != "learn" else "text=Beliefs")


def test_a_store_that_becomes_corrupt_is_said(visitor: Visitor, tmp_path: Path):
    path = tmp_path / "runs.sqlite"
    with running("dashboard", "--port", 0, "--store", path) as (_, address):
        path.write_bytes(b"SQLite format 3\0" + b"\xff" * 9000)  # earlier it would be refused
        with visitor.at(address):
            visitor.page.wait_for_selector("text=move it away to begin anew")


def test_a_page_comes_back_after_the_dashboard_was_restarted(browser: "playwright.Browser", stored: Path):
    with running("dashboard", "--port", 0, "--store", stored) as (_, address):
        page = browser.new_context().new_page()
        page.goto(address)
        page.wait_for_selector("canvas")
        page.evaluate("window.before = true")
        port = address.rstrip("/").rpartition(":")[2]
    with running("dashboard", "--port", port, "--store", stored):
        page.wait_for_function(
            "!window.before && document.querySelector('.q-badge')?.innerText === 'Done'", timeout=60_000
        )
        page.get_by_role("checkbox", name="T1").click()
        page.wait_for_function(
            "document.querySelector(\"section[aria-label='Ids'] .figure\")?.innerText === '200'", timeout=30_000
        )
    page.context.close()


def test_an_hour_of_events_keeps_the_page_small(visitor: Visitor, tmp_path: Path):
    """36,000 ids: an hour at ten a second, as fast as they can be stored."""
    path = tmp_path / "runs.sqlite"
    batch = many(500)
    with Recorder(path, SESSION) as recorder:
        recorder.begin(msgspec.structs.replace(started(), planned=36_000))
        recorder.flush()
        with running("dashboard", "--port", 0, "--store", path) as (process, address), visitor.at(address):
            visitor.page.wait_for_selector("canvas")
            early = _resident(process.pid)
            for _ in range(72):
                for each in batch:
                    recorder.record(each)
                recorder.flush()
                time.sleep(0.1)
            visitor.page.wait_for_function(
                "document.querySelector(\"section[aria-label='Ids'] .figure\").innerText === '36,000'", timeout=60_000
            )
            heap = visitor.page.evaluate("performance.memory.usedJSHeapSize")
            assert heap < 150e6
            assert _resident(process.pid) - early < 80e6


def _resident(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


EVIL = (
    '<img src=x onerror="window.evil = 1">',
    "{{ $root.constructor.constructor('window.evil = 2')() }}",
    'v4" onclick="window.evil = 3" onmouseover="window.evil = 4',
)
"""Names as a log that is imported may hold them."""


def test_no_name_of_a_strategy_or_a_tier_is_markup_code_or_a_property(visitor: Visitor, tmp_path: Path):
    path = tmp_path / "runs.sqlite"
    with Recorder(path, SESSION) as recorder:
        for strategy, tier in zip(EVIL, reversed(EVIL), strict=True):
            recorder.begin(msgspec.structs.replace(started("T1", strategy), tier=tier))
            for each in many(30, tier=tier):
                recorder.record(each)
            recorder.end(tier)
    with running("dashboard", "--port", 0, "--store", path) as (_, address), visitor.at(f"{address}compare") as page:
        for turn in ("by tier", "by strategy"):
            page.get_by_role("button", name=turn).click()
            for name in EVIL:
                heading = page.locator("h2").get_by_text(name, exact=True)
                heading.wait_for()
                heading.click()
                assert heading.locator("xpath=ancestor::section").get_attribute("aria-label") == name
        assert page.locator("section img").count() == 0
        page.goto(address)
        page.wait_for_selector("canvas")
        assert page.evaluate("window.evil") is None
    assert visitor.wrong == []
