"""What holds for every output, whatever the file was: no power over who shows it, and a bounded size."""

import functools
import json
from html.parser import HTMLParser

import jsonschema
import msgspec
import pytest
from any_reports import REPORTS
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from sample_reports import ARCHIVE, NOT_ANALYSED, PUZZLE, UNIVERSAL

from binsafe.limits import MAX_OUTPUT_BYTES
from binsafe.model import Evidence, Finding, Library, Member, Report, Severity
from binsafe.reports import REPORTERS, as_json, fitted, schemas, without_spoilers

MANY = settings(max_examples=30, deadline=None)
TAGS = {
    *("html", "head", "meta", "title", "style", "body", "header", "main", "footer", "section", "div", "h1", "h2", "h3"),
    *("p", "span", "small", "strong", "dl", "dt", "dd", "ul", "li", "details", "summary", "pre", "mark"),
}


@pytest.mark.parametrize("name", REPORTERS)
@MANY
@given(report=REPORTS, verbose=st.integers(0, 2))
def test_no_control_character_of_the_file_comes_out(name: str, report: Report, verbose: int):
    shown = REPORTERS[name](report, verbose=verbose)
    assert all(character.isprintable() or character == "\n" for character in shown)
    assert shown.endswith("\n")


class Markup(HTMLParser):
    """Notes every tag, whether they close in order, and what the page would load or run."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}
        if tag != "meta":
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data

    def handle_comment(self, data: str) -> None:
        raise AssertionError(data)


@MANY
@given(report=REPORTS, verbose=st.integers(0, 2))
def test_no_text_of_the_file_is_html(report: Report, verbose: int):
    page = Markup()
    page.feed(REPORTERS["html"](report, verbose=verbose))
    page.close()
    assert page.open == []
    assert page.tags <= TAGS
    assert page.attributes <= {
        *("lang", "charset", "http-equiv", "content", "name", "class", "dir", "role", "id", "aria-labelledby", "open"),
    }


@MANY
@given(report=REPORTS, verbose=st.integers(0, 2))
def test_no_text_of_the_file_is_markdown(report: Report, verbose: int):
    shown = REPORTERS["markdown"](report, verbose=verbose)
    tokens = MarkdownIt("gfm-like", {"linkify": False}).parse(shown)
    inline = [child for token in tokens for child in token.children or ()]
    assert {token.type for token in inline} <= {"text", "code_inline", "strong_open", "strong_close", "softbreak"}
    blocks = [token.content.strip() for token in tokens if token.type == "html_block"]
    assert all(block == "</details>" or block.startswith("<details>\n<summary>") for block in blocks)
    assert len([token for token in tokens if token.type == "heading_open" and token.tag == "h2"]) == 1
    assert not [token for token in tokens if token.type in {"ordered_list_open", "fence", "hr"}]


@MANY
@given(report=REPORTS, verbose=st.integers(0, 2))
def test_mentions_links_and_references_are_code_in_markdown(report: Report, verbose: int):
    shown = REPORTERS["markdown"](report, verbose=verbose)
    tokens = MarkdownIt("gfm-like", {"linkify": False}).parse(shown)
    texts = [child.content for token in tokens for child in token.children or () if child.type == "text"]
    texts = [text.replace(" -> ", "") for text in texts]  # our own, between a library's name and its place
    assert not [text for text in texts if set(text) & set("@#<>[]_*`~\\") or "www." in text or "://" in text]


@pytest.fixture(scope="module")
def huge() -> Report:
    """As large as a hostile file can make it: lists of everything, long texts, members."""
    evidence = tuple(
        Evidence(via="string", address=hex(n), symbol="s" * 90, instructions=("0: nop",)) for n in range(80)
    )
    finding = Finding(id="x", severity=Severity.LOW, title="t" * 3000, detail="<&>" * 1000, evidence=evidence)
    libraries = tuple(Library(name=f"/lib/{n}" + "n" * 200, kind="load") for n in range(4_000))
    part = msgspec.structs.replace(
        UNIVERSAL.slices[0], libraries=libraries, entitlements={"e" * 4000: ["x" * 4000] * 99}
    )
    inner = msgspec.structs.replace(UNIVERSAL, findings=(finding,) * 3)
    return msgspec.structs.replace(
        ARCHIVE,
        slices=(part,) * 3,
        findings=(finding,) * 60,
        members=tuple(Member(path=f"{n}", report=inner) for n in range(40)),
    )


@pytest.mark.parametrize("name", REPORTERS)
def test_every_output_of_every_report_has_a_bounded_size(name: str, huge: Report):
    shown = fitted(REPORTERS[name], huge)
    assert len(shown.encode()) <= MAX_OUTPUT_BYTES
    if name == "json":
        report = msgspec.json.decode(shown, type=Report)
        assert any("-v has all" in what for what in report.omitted)
        assert report.members_omitted > huge.members_omitted
        jsonschema.validate(json.loads(shown), schemas.shipped(as_json.SCHEMA_FILE))
    elif name != "sarif":
        assert "left out" in shown or len(REPORTERS[name](huge)) <= MAX_OUTPUT_BYTES


def test_what_fits_is_not_touched():
    assert fitted(REPORTERS["json"], UNIVERSAL) == REPORTERS["json"](UNIVERSAL)


def test_the_worst_members_are_the_last_to_go(huge: Report, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("binsafe.reports.fitting.MAX_OUTPUT_BYTES", 60_000)
    bad = Member(path="bad", report=NOT_ANALYSED)
    report = msgspec.structs.replace(huge, slices=(), findings=(), members=(*huge.members, bad))
    kept = msgspec.json.decode(fitted(REPORTERS["json"], report), type=Report)
    assert "bad" in [member.path for member in kept.members]
    assert len(kept.members) + kept.members_omitted == len(report.members) + report.members_omitted


@pytest.mark.parametrize("name", REPORTERS)
@pytest.mark.parametrize("report", [PUZZLE, ARCHIVE])
def test_spoiler_free_says_what_it_can_do_and_not_how_it_works(name: str, report: Report):
    shown = REPORTERS[name](without_spoilers(report), verbose=2)
    for secret in ("example.org", "ghp_", "secret_trick", "sesame", "freedesktop", "solver", "syscall\n", "0x400ffb"):
        assert secret not in shown
    facts = ["spoiler-free", report.verdict.level]
    if report is PUZZLE or name in {"text", "json"}:
        facts += ["execute", "0x401000", "execve", "keychain", "libc.so.6"]
    assert [fact for fact in facts if fact not in shown and name != "sarif"] == []


def test_a_finding_nobody_has_judged_is_shown_without_its_detail():
    (finding,) = without_spoilers(PUZZLE).findings
    assert (finding.id, finding.title) == ("odd-text", "It holds an odd text")
    assert "spoiler-free" in finding.detail
    assert finding.evidence == (Evidence(via="string", address="0x403000"),)


@pytest.mark.parametrize("report", [UNIVERSAL, NOT_ANALYSED, PUZZLE, ARCHIVE])
@pytest.mark.parametrize("name", REPORTERS)
def test_rendering_twice_gives_the_same(name: str, report: Report):
    render = functools.partial(REPORTERS[name], report, verbose=1)
    assert render() == render()
