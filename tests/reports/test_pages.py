"""Markdown and HTML as reviewed, and the page's promises: nothing loaded, nothing run, everything reachable."""

import base64
import hashlib
import re
from pathlib import Path

import msgspec
import pytest
from sample_reports import ARCHIVE, PUZZLE, UNIVERSAL

from binsafe.model import Member, Report, Signature
from binsafe.reports import REPORTERS
from binsafe.reports.page import STYLE

GOLDEN = Path(__file__).parents[1] / "golden"


@pytest.mark.parametrize(("name", "report"), [("universal", UNIVERSAL), ("puzzle", PUZZLE), ("archive", ARCHIVE)])
def test_markdown_is_the_reviewed_one(name: str, report: Report):
    assert REPORTERS["markdown"](report, verbose=1) == (GOLDEN / f"report-{name}.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(("name", "report"), [("puzzle", PUZZLE), ("archive", ARCHIVE)])
def test_text_of_what_it_can_do_is_the_reviewed_one(name: str, report: Report):
    shown = REPORTERS["text"](report) + "#" * 20 + "\n" + REPORTERS["text"](report, verbose=2)
    assert shown == (GOLDEN / f"report-{name}.txt").read_text(encoding="utf-8")


@pytest.mark.parametrize(("name", "report"), [("universal", UNIVERSAL), ("puzzle", PUZZLE), ("archive", ARCHIVE)])
def test_the_page_is_the_reviewed_one(name: str, report: Report):
    page = REPORTERS["html"](report, verbose=2)
    body = page[page.index("<body>") :]
    assert body == (GOLDEN / f"report-{name}.html").read_text(encoding="utf-8")


def test_pages_have_the_facts_of_a_program_in_a_bundle_in_an_archive():
    signed = Signature(kind="other", status="valid", identifier="org.example.puzzle")
    part = msgspec.structs.replace(UNIVERSAL.slices[0], signature=signed)
    program = Member(path="Contents/MacOS/Puzzle", report=msgspec.structs.replace(UNIVERSAL, slices=(part,)))
    application = msgspec.structs.replace(UNIVERSAL, format="bundle", slices=(), findings=(), members=(program,))
    archive = msgspec.structs.replace(ARCHIVE, members=(Member(path="Puzzle.app", report=application),))
    archive = msgspec.structs.replace(archive, members_omitted=0)
    assert "identifier org.example.puzzle" in REPORTERS["html"](archive)
    assert "identifier `org.example.puzzle`" in REPORTERS["markdown"](archive)


def test_the_policy_of_the_page_allows_its_own_style_and_nothing_else():
    page = REPORTERS["html"](UNIVERSAL)
    (policy,) = re.findall(r'http-equiv="Content-Security-Policy" content="([^"]+)"', page)
    (style,) = re.findall(r"<style>(.*)</style>", page, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert policy == f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    assert not re.search(r"https?://|url\(|@import|<script|<link|<img|style=| on\w+=", page)


def test_the_page_says_the_verdict_before_anything_else():
    page = REPORTERS["html"](UNIVERSAL)
    assert (
        page.index('class="verdict danger"') < page.index('id="findings"') < page.index("<h2", page.index("The file"))
    )


def luminance(colour: str) -> float:
    """Relative luminance (WCAG 2.2)."""
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    bright, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (bright + 0.05) / (dark + 0.05)


def test_text_can_be_read_on_its_background_in_light_and_dark():
    """At least 4.5 to 1 (WCAG 2.2, 1.4.3)."""
    light, dark = (dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", block)) for block in STYLE.split("@media")[:2])
    for colours in (light, dark):
        for name in ("ink", "soft", "ok", "caution", "danger", "unknown", "info"):
            assert contrast(colours[name], colours["card"]) >= 4.5, name
            assert contrast(colours[name], colours["paper"]) >= 4.5, name
        for name in ("ok", "caution", "danger", "unknown", "info"):
            assert contrast(colours[name], colours[f"{name}-wash"]) >= 4.5, name
