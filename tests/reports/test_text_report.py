import re
import subprocess
from pathlib import Path

import msgspec
import pytest
from sample_reports import ARCHIVE, LINKER_SIGNED, NOT_ANALYSED, UNIVERSAL

from binsafe.model import Capability, Evidence, Library, Member, Report, Signature, Signer
from binsafe.reports import REPORTERS, escape, text
from binsafe.reports.escape import shell_word
from binsafe.reports.style import ansi

GOLDEN = Path(__file__).parents[1] / "golden"

HOSTILE = (
    "\x1b[2J\x1b]0;owned\x07",  # ANSI escapes: clear the screen, set the title
    "\r\nVerdict: ok",  # a line of its own making
    "\x9b31m",  # the control sequence introducer of C1
    "\u202egnp.exe\u2066",  # bidirectional override and isolate
    "\u2028\u200b\ufeff\x7f\x00\u0085",  # separators, zero width, delete, nil, next line
)


@pytest.mark.parametrize("verbose", [0, 1, 2])
def test_the_text_is_the_reviewed_one(verbose: int):
    golden = GOLDEN / f"report-universal-v{verbose}.txt"
    assert REPORTERS["text"](UNIVERSAL, verbose=verbose) == golden.read_text(encoding="utf-8")


def test_what_could_not_be_analysed_is_said_without_any_ok():
    shown = REPORTERS["text"](NOT_ANALYSED)
    assert shown == (GOLDEN / "report-not-analysed.txt").read_text(encoding="utf-8")
    assert "ok" not in shown.split()


@pytest.mark.parametrize("hostile", HOSTILE)
@pytest.mark.parametrize("style", [text.plain, ansi])
def test_control_characters_of_the_file_never_reach_the_terminal(hostile: str, style: text.Style):
    shown = text.render(_replace_all_texts(UNIVERSAL, hostile), verbose=2, style=style)
    without_our_own_colours = re.sub(r"\x1b\[[0-9;]+m", "", shown) if style is ansi else shown
    assert all(character.isprintable() for line in without_our_own_colours.split("\n") for character in line)
    assert escape(hostile).split(" ")[0] in shown


def test_a_name_cannot_forge_a_line():
    forged = msgspec.structs.replace(UNIVERSAL.artifact, name="tool\n\nVerdict: ok\n")
    lines = text.render(msgspec.structs.replace(UNIVERSAL, artifact=forged)).splitlines()
    assert [line for line in lines if line.startswith("Verdict")] == ["Verdict: danger"]


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        ("plain café 名前", "plain café 名前"),
        ("\x1b[31m", "\\x1b[31m"),
        ("a\nb\tc", "a\\x0ab\\x09c"),
        ("\u202e", "\\u202e"),
        ("\U000e0041", "\\U000e0041"),
        ("\udcff", "\\udcff"),
    ],
)
def test_escape_makes_control_visible_and_leaves_text_alone(raw: str, shown: str):
    assert escape(raw) == shown


@pytest.mark.each_user
def test_a_word_for_a_shell_means_the_same_and_is_printable():
    raws = (
        "",
        "plain",
        "a b",
        "it's",
        "-n",
        "\x1b[31m",
        "100%\t'\\'",
        "a\nb",
        "end\n\n",
        "\x9bé\u202e",
        '$(id)`id`\x07"',
    )
    words = [shell_word(raw) for raw in raws]
    assert all(word.replace("\n", "").isprintable() for word in words)
    said = subprocess.run(["sh", "-c", f"printf '%s\\0' {' '.join(words)}"], capture_output=True, check=True).stdout
    assert said.decode().split("\0")[:-1] == list(raws)


@pytest.mark.parametrize("width", [60, 100, 140])
def test_lines_fit_the_width_unless_a_word_does_not(width: int):
    for line in text.render(UNIVERSAL, verbose=2, width=width).splitlines():
        assert len(line) <= width or len(line.split()[-1]) > width // 3


def test_colours_change_nothing_but_colours():
    coloured = text.render(UNIVERSAL, verbose=1, style=ansi)
    assert "\x1b[1;31mVerdict: danger\x1b[0m" in coloured
    assert re.sub(r"\x1b\[[0-9;]+m", "", coloured).replace(" \n", "\n") == text.render(UNIVERSAL, verbose=1)


def test_what_is_said_of_several_slices_alike_is_said_once():
    first = UNIVERSAL.findings[0]
    each = tuple(msgspec.structs.replace(first, slice=number) for number in (0, 1))
    report = msgspec.structs.replace(
        UNIVERSAL, findings=(*each, msgspec.structs.replace(first, detail="Else.", slice=1))
    )
    said = text.render(report)
    assert (said.count(f"[{first.id}]"), said.count("(slices 0, 1)"), said.count("(slice 1)")) == (2, 1, 1)
    assert text.render(report, verbose=1).count(f"[{first.id}]") == 3


def test_more_verbose_never_says_less():
    said = [
        set(re.findall(r"0x[0-9a-f]+|lib\w\.dylib", text.render(UNIVERSAL, verbose=verbose))) for verbose in (0, 1, 2)
    ]
    assert said[0] < said[1] <= said[2]
    assert {library.name.rpartition("/")[2] for library in LINKER_SIGNED.libraries} <= said[1]


def with_facts(**facts: object) -> Report:
    part = msgspec.structs.replace(UNIVERSAL.slices[0], **facts)
    return msgspec.structs.replace(UNIVERSAL, slices=(part,))


@pytest.mark.parametrize("name", ["text", "html"])
def test_a_list_is_whole_where_all_is_asked_for_and_a_name_has_an_end(name: str):
    """``-v`` is what the hint below a list promises; one name of a page would push all else out of sight."""
    names = [f"/usr/lib/library-{number}.dylib" for number in range(400)]
    libraries = tuple(Library(name=each, kind="load") for each in (*names, "x" * 10_000))
    shown = REPORTERS[name](with_facts(libraries=libraries), verbose=1)
    assert [each for each in names if each not in shown] == []
    assert max(map(len, re.findall("x+", shown))) == 2_000
    assert "(10,000 characters)" in shown


@pytest.mark.parametrize("name", ["text", "html", "markdown"])
def test_the_issuers_of_a_certificate_stand_below_it(name: str):
    signers = tuple(Signer(common_name=each, organization="Ltd") for each in ("Leaf", "Authority", "Root"))
    signature = Signature(kind="authenticode", status="valid", signers=signers, notarization="unknown")
    shown = REPORTERS[name](with_facts(signature=signature), verbose=1)
    places = [shown.index(each) for each in ("Leaf", "Authority", "Root", "libraries")]
    assert places == sorted(places)
    assert "notarization" not in shown, "Windows knows none"


def _replace_all_texts(report: Report, text_: str) -> Report:
    """The report with every free text replaced, as the most hostile file could have it."""
    fixed = {"danger", "mach-o", "high", "info", "linker", "developer-id", "valid", "invalid", "dynamic", "static"}
    fixed |= {"load", "import", "function", "listen", "connect", "yes", "unknown", "der", "apple-root", "none", "read"}
    fixed |= {"present", "absent", "partial", "not-applicable", "binsafe.report/1"}

    def changed(value: object) -> object:
        if isinstance(value, str):
            return value if value in fixed else text_
        if isinstance(value, list):
            return [changed(item) for item in value]
        return {key: changed(item) for key, item in value.items()} if isinstance(value, dict) else value

    return msgspec.convert(changed(msgspec.to_builtins(report)), Report)


def test_an_ability_without_an_address_says_how_it_was_seen():
    """An AppImage was "packed ()": what is behind a program's end has no address."""
    place = Evidence(via="layout", detail="200,004 bytes behind its end, at offset 0x8f00")
    packed = Capability(name="packed", verdict="yes", evidence=(place,), evidence_total=1)
    part = msgspec.structs.replace(UNIVERSAL.slices[0], capabilities=(packed,))
    shown = text.render(msgspec.structs.replace(UNIVERSAL, slices=(part,)))
    assert "packed (200,004 bytes behind its end" in " ".join(shown.split())


def test_a_certificate_of_apples_is_not_called_somebodys_own():
    """Microsoft signs libraries with one for the App Store."""
    signed = Signature(kind="other", status="valid", chain="apple-root", certificate_type="mac-app-distribution")
    part = msgspec.structs.replace(UNIVERSAL.slices[0], signature=signed)
    shown = text.render(msgspec.structs.replace(UNIVERSAL, slices=(part,)))
    assert "somebody's own" not in shown
    assert "App Store" in shown


def test_of_a_bundle_in_an_archive_it_is_said_what_is_wrong_inside_of_it():
    application = msgspec.structs.replace(
        UNIVERSAL, format="bundle", slices=(), findings=(), members=(ARCHIVE.members[1],)
    )
    archive = msgspec.structs.replace(ARCHIVE, members=(Member(path="Puzzle.app", report=application),))
    shown = " ".join(text.render(archive).split())
    assert f"Puzzle.app (bundle, {application.artifact.size:,} bytes): {NOT_ANALYSED.findings[0].title}" in shown


@pytest.mark.parametrize("verbose", [0, 2])
def test_a_program_in_a_bundle_in_an_archive_is_shown_with_its_facts(verbose: int):
    """That is how most programs for macOS are handed out; of several, only ``-vv`` shows all."""
    signed = Signature(kind="other", status="valid", identifier="org.example.puzzle")
    part = msgspec.structs.replace(UNIVERSAL.slices[0], signature=signed)
    program = Member(path="Contents/MacOS/Puzzle", report=msgspec.structs.replace(UNIVERSAL, slices=(part,)))
    application = msgspec.structs.replace(UNIVERSAL, format="bundle", slices=(), findings=(), members=(program,))
    outer = Member(path="Puzzle.app", report=application)
    archive = msgspec.structs.replace(ARCHIVE, members=(outer,), members_omitted=0)
    shown = text.render(archive, verbose=verbose)
    assert "\n== Puzzle.app/Contents/MacOS/Puzzle: " in shown
    assert "identifier org.example.puzzle" in shown
    several = text.render(msgspec.structs.replace(archive, members=archive.members * 2), verbose=verbose)
    assert several.count("identifier org.example.puzzle") == verbose
    assert ("-vv shows" in several) == (verbose == 0)
