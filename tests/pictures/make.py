"""Make README's pictures and its terminal session from the real thing.

    python tests/pictures/make.py          (needs Debian's chromium; writes .github/images and README.md)

Nothing is staged: the servers run sandboxed, the strategies play, and what Chromium shows is saved.
"""

import re
import subprocess
import sys
import tempfile
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

ROOT = Path(__file__).parents[2]
IMAGES = ROOT / ".github" / "images"
CHROMIUM = "/usr/bin/chromium"
FLAGS = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-sync"]
WIDTH = 1400
BEGIN, END = "<!-- recorded: session -->", "<!-- end of the session -->"


def command(program: str, *words: object) -> list[str]:
    """A command of ours, as this Python runs it."""
    return [sys.executable, "-m", program, *map(str, words)]


def session() -> str:
    """What a terminal shows of the three lines; the home folder is written as ~, long outputs are cut and say so."""
    lines = []
    for shown, words, most in (
        ("binsafe inspect flakyservers", ("binsafe", "inspect", "flakyservers"), 24),
        (
            "bandit_runner start --strategy v4 --strategy best --no-dashboard",
            ("bandit_runner", "start", "--strategy", "v4", "--strategy", "best", "--no-dashboard", "--port", 0),
            40,
        ),
    ):
        done = subprocess.run(
            command(*words), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=True, timeout=300
        )
        output = done.stdout.replace(str(Path.home()), "~").rstrip().splitlines()
        cut = [*output[:most], "..."] if len(output) > most else output
        lines += [f"$ {shown}", *cut, ""]
    return "\n".join(lines).rstrip()


def write_session() -> None:
    """Put the session between its marks in README."""
    readme = ROOT / "README.md"
    before, begin, rest = readme.read_text(encoding="utf-8").partition(BEGIN)
    after = rest.partition(END)[2]
    readme.write_text(f"{before}{begin}\n```console\n{session()}\n```\n{END}{after}", encoding="utf-8")


def report(page: Page, folder: Path) -> None:
    """`binsafe inspect flakyservers --format html`, its first screen."""
    file = folder / "report.html"
    subprocess.run(command("binsafe", "inspect", "flakyservers", "--format", "html", "--output", file), check=True)
    page.goto(file.as_uri())
    page.screenshot(path=IMAGES / "report.png")


def dashboard(page: Page, folder: Path) -> None:
    """The live page near the end of a start of three strategies, and the comparison."""
    words = command(
        "bandit_runner", "start", "--dashboard-port", 0, "--port", 0, "--store", folder / "runs.sqlite", "--seed", 7
    )
    strategies = [word for name in ("v4", "v6-fixed", "best") for word in ("--strategy", name)]
    started = subprocess.Popen(
        [*words, *strategies, "--requests", "60", "--keep"],
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
    )
    try:
        assert started.stderr is not None
        address = next(found[1] for line in started.stderr if (found := re.search(r"dashboard (http://\S+)", line)))
        page.goto(address)
        ids = "document.querySelector(\"section[aria-label='Ids'] .figure\")?.innerText"
        page.wait_for_function(f"{ids} === '180'", timeout=120_000)
        page.wait_for_timeout(1_500)
        page.screenshot(path=IMAGES / "dashboard.png", full_page=True)
        page.goto(f"{address}compare")
        page.wait_for_selector("canvas")
        page.wait_for_timeout(1_000)
        page.screenshot(path=IMAGES / "compare.png")
    finally:
        started.terminate()
        started.wait(20)


def main() -> None:
    """All pictures."""
    IMAGES.mkdir(parents=True, exist_ok=True)
    write_session()
    with tempfile.TemporaryDirectory() as name, sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        page = browser.new_page(viewport={"width": WIDTH, "height": 1000})
        report(page, Path(name))
        dashboard(page, Path(name))
        browser.close()


if __name__ == "__main__":
    main()
