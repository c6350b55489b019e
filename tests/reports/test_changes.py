"""A difference for people and for programs: the sentence first, one screen, a bounded size."""

import json

import msgspec
from sample_reports import UNIVERSAL

from binsafe.limits import MAX_OUTPUT_BYTES
from binsafe.model import Evidence, Severity
from binsafe.model.difference import Change, Difference
from binsafe.reports.changes import CHANGES

PLACES = tuple(Evidence(via="import", address=hex(number), symbol="open") for number in range(8))


def change(number: int, severity: Severity = Severity.LOW, item: str = "lib{}.so") -> Change:
    return Change(
        id="gained-library",
        kind="gained",
        severity=severity,
        subject="library",
        item=item.format(number),
        where="(x86_64)",
        evidence=PLACES,
    )


def made(*changes: Change, not_compared: tuple[str, ...] = ()) -> Difference:
    return Difference(
        old=UNIVERSAL.artifact,
        new=UNIVERSAL.artifact,
        same_bytes=False,
        analysed=True,
        summary="A sentence.",
        changes=changes,
        not_compared=not_compared,
    )


def test_the_sentence_comes_first():
    assert CHANGES["text"](made(change(1))).startswith("A sentence.\n")
    assert CHANGES["markdown"](made(change(1))).splitlines()[2] == "> **A sentence.**"


def test_it_fits_a_screen_unless_more_is_asked_for():
    high = [change(number, Severity.HIGH) for number in range(500)]
    low = [change(number) for number in range(1_000, 6_000)]
    difference = made(*high, *low, not_compared=tuple(f"reason {number}" for number in range(50)))
    short = CHANGES["text"](difference)
    assert len(short.splitlines()) < 45
    assert "and 488 more, none of them worse (-v)" in short
    assert "and 4994 more (-v)" in short
    whole = CHANGES["text"](difference, verbose=1)
    assert all(each.item in whole for each in difference.changes)
    assert whole.count("0x7 open") == 5_500
    assert len(CHANGES["markdown"](difference)) < 65_536
    assert "lib5999.so" in CHANGES["markdown"](difference, verbose=1)


def test_json_has_a_bounded_size_and_says_what_it_left_out():
    difference = made(*(change(number, item="x" * 200 + "{}") for number in range(3_000)))
    short = CHANGES["json"](difference)
    read = json.loads(short)
    assert MAX_OUTPUT_BYTES // 2 < len(short) <= MAX_OUTPUT_BYTES
    assert len(read["changes"]) + read["changes_omitted"] == 3_000
    assert read["changes"][0] == json.loads(msgspec.json.encode(difference.changes[0]))
    assert msgspec.json.decode(CHANGES["json"](difference, verbose=1), type=Difference) == difference
