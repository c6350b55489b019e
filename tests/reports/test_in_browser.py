"""Pages that are files open in Debian's Chromium without any network, ask for nothing and complain of nothing."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.browser, pytest.mark.timeout(180)]
playwright = pytest.importorskip("playwright.sync_api", reason="playwright is in the extra heavy")

CHROMIUM = os.environ.get("CHROMIUM", "/usr/bin/chromium")
ROOT = Path(__file__).parents[2]


def made(output: Path, *words: object) -> Path:
    command = [sys.executable, "-m", *map(str, words), "--format", "html", "--output", str(output)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return output


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("pages")
    sys.path.insert(0, str(ROOT / "tests" / "runs"))
    from played import sessions_of

    sessions_of(folder / "runs.sqlite", sessions=2, strategies=("v4", "best"))
    (folder / "tree").mkdir()
    (folder / "tree" / "<img src=x onerror=alert(1)>").write_bytes(Path("/bin/true").read_bytes())
    return {
        "report": made(folder / "report.html", "binsafe", "inspect", "/bin/true"),
        "scan": made(folder / "scan.html", "binsafe", "scan", folder / "tree"),
        "comparison": made(folder / "compare.html", "bandit_runner", "compare", "--store", folder / "runs.sqlite"),
    }


@pytest.mark.parametrize("name", ["report", "scan", "comparison"])
@pytest.mark.parametrize("width", [360, 1400])
def test_it_opens_without_a_network(files: dict[str, Path], name: str, width: int):
    wrong: list[str] = []
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        context = browser.new_context(offline=True, viewport={"width": width, "height": 900})
        page = context.new_page()
        page.on("request", lambda each: wrong.append(each.url) if not each.url.startswith(("file:", "data:")) else None)
        page.on("console", lambda each: wrong.append(each.text) if each.type in {"error", "warning"} else None)
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("dialog", lambda dialog: wrong.append(dialog.message))
        page.goto(files[name].as_uri())
        assert page.locator("h1").first.inner_text().strip()
        assert page.locator("table").count() >= 1 or name == "report"
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        browser.close()
    assert wrong == []
