"""Entitlements: both shapes of DER, XML beside it, and what a file may do to either."""

import datetime as dt
import math
import plistlib
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from binsafe.signatures import entitlements

SAMPLE: dict[str, Any] = {
    "com.apple.security.cs.allow-jit": True,
    "com.apple.security.get-task-allow": False,
    "com.apple.application-identifier": "TEAM123456.org.example",
    "keychain-access-groups": ["TEAM123456.a", "TEAM123456.b"],
    "limits": {"deep": {"count": -7, "big": 2**40}},
    "empty": [],
}
ENTITY = b'<!DOCTYPE p [<!ENTITY a "b">]><plist version="1.0"><dict><key>k</key><string>&a;</string></dict></plist>'


def tlv(tag: int, content: bytes) -> bytes:
    size = len(content)
    if size < 0x80:
        return bytes([tag, size]) + content
    octets = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(octets)]) + octets + content


def encode(value: Any, dictionary: int) -> bytes:
    match value:
        case bool():
            return tlv(0x01, b"\xff" if value else b"\0")
        case int():
            return tlv(0x02, value.to_bytes(value.bit_length() // 8 + 1, "big", signed=True))
        case str():
            return tlv(0x0C, value.encode())
        case bytes():
            return tlv(0x04, value)
        case list():
            return tlv(0x30, b"".join(encode(item, dictionary) for item in value))
    pairs = (tlv(0x30, tlv(0x0C, k.encode()) + encode(v, dictionary)) for k, v in sorted(value.items()))
    return tlv(dictionary, b"".join(pairs))


def wrapped(values: dict[str, Any]) -> bytes:
    return tlv(0x70, tlv(0x02, b"\1") + encode(values, 0xB0))


def bare(values: dict[str, Any]) -> bytes:
    return encode(values, 0x31)


def xml(values: dict[str, Any]) -> bytes:
    return plistlib.dumps(values)


def read(der: bytes | None, text: bytes | None) -> entitlements.Entitlements:
    return entitlements.read(
        None if der is None else memoryview(der),
        None if text is None else memoryview(text),
    )


@pytest.mark.parametrize("form", [wrapped, bare])
def test_both_shapes_of_der(form: Any):
    found = read(form(SAMPLE), None)
    assert (found.values, found.source, found.broken, found.notes) == (SAMPLE, "der", (), ())


def test_xml_alone_is_read():
    found = read(None, xml(SAMPLE))
    assert (found.values, found.source, found.broken, found.notes) == (SAMPLE, "xml", (), ())


def test_a_signature_may_have_no_entitlements():
    assert read(None, None) == entitlements.Entitlements()


def test_empty_dictionary_is_not_none():
    assert read(wrapped({}), None).values == {}


def test_der_and_xml_that_agree():
    assert read(wrapped(SAMPLE), xml(SAMPLE)).notes == ()


@pytest.mark.parametrize(
    ("other", "name"),
    [
        (SAMPLE | {"com.apple.security.get-task-allow": True}, "com.apple.security.get-task-allow"),
        ({k: v for k, v in SAMPLE.items() if k != "empty"}, "empty"),
        (SAMPLE | {"more": "x"}, "more"),
        (SAMPLE | {"com.apple.security.cs.allow-jit": 1}, "com.apple.security.cs.allow-jit"),
    ],
)
def test_der_and_xml_that_differ(other: dict[str, Any], name: str):
    found = read(wrapped(SAMPLE), xml(other))
    assert found.values == SAMPLE
    (note,) = found.notes
    assert note.id == "entitlements-differ"
    assert name in note.detail


@pytest.mark.parametrize(
    "text",
    [
        b"\n  " + xml(SAMPLE),  # Node 18: blanks in front of the declaration
        xml(SAMPLE).replace(b"</plist>", b"</plist></xml>"),  # azmcp: a stray end tag
        xml(SAMPLE)[:-20],
        b"",
        b"\xff\xfe",
        ENTITY,
        xml(["no", "dictionary"]),  # the point of the case
        b"<plist><dict><key>a</key></dict></plist>",
        b"<plist><dict><integer>1</integer></dict></plist>",
        b"<plist><dict><key>a</key><integer>" + b"9" * 5000 + b"</integer></dict></plist>",
        b"<plist><dict><key>a</key><integer>" + b"9" * 30 + b"</integer></dict></plist>",
        b"<plist><dict><key>a</key><real>inf</real></dict></plist>",
        b"<plist><dict><key>a</key><date>nonsense</date></dict></plist>",
        b"<plist><dict><key>a</key>" + b"<array>" * 5000 + b"</array>" * 5000 + b"</dict></plist>",
        b"<plist><dict>" + b"<!-- -->" * (entitlements.MAX_BYTES // 8),
    ],
    ids=lambda text: repr(text[:40]),
)
def test_broken_xml_beside_good_der_is_one_problem(text: bytes):
    found = read(wrapped(SAMPLE), text)
    assert (found.values, found.source, found.broken) == (SAMPLE, "der", ())
    (note,) = found.notes
    assert note.id == "entitlements-xml"
    assert "XML entitlements" in note.detail


@pytest.mark.parametrize(
    "der",
    [
        b"",
        b"\x70",
        b"\x70\x80\0\0",  # indefinite length
        b"\x70\x81\x00",  # not the shortest length
        b"\x70\x85\x01\0\0\0\0",
        b"\x7f\x81\x01\x00",  # a tag of several bytes
        wrapped(SAMPLE) + b"\0",
        wrapped(SAMPLE)[:-1],
        tlv(0x70, encode(SAMPLE, 0xB0)),  # no version
        tlv(0x70, tlv(0x02, b"\1")),
        tlv(0x31, tlv(0x30, tlv(0x0C, b"key without value"))),
        tlv(0x31, tlv(0x30, tlv(0x0C, b"a") + tlv(0x01, b"\1\1"))),
        tlv(0x31, tlv(0x30, tlv(0x0C, b"a") + tlv(0x02, b"\1" * 9))),
        tlv(0x31, tlv(0x30, tlv(0x0C, b"a") + tlv(0x02, b""))),
        tlv(0x31, tlv(0x30, tlv(0x0C, b"a") + tlv(0x09, b"\1"))),
        tlv(0x31, tlv(0x30, tlv(0x0C, b"\xff") + tlv(0x01, b"\0"))),
    ],
    ids=lambda der: der[:24].hex(),
)
def test_broken_der_is_a_problem_and_xml_is_shown(der: bytes):
    found = read(der, xml(SAMPLE))
    assert (found.values, found.source) == (SAMPLE, "xml")
    (problem,) = found.broken
    assert "DER entitlements" in problem.detail


def test_name_that_is_there_twice():
    entry = tlv(0x30, tlv(0x0C, b"a") + tlv(0x01, b"\0"))
    (problem,) = read(tlv(0x31, entry + entry), None).broken
    assert "twice" in problem.detail


def test_nesting_without_end():
    value: Any = True
    for _ in range(2000):
        value = tlv(0x30, value if isinstance(value, bytes) else encode(value, 0xB0))
    (problem,) = read(tlv(0x31, tlv(0x30, tlv(0x0C, b"a") + value)), None).broken
    assert "deeper" in problem.detail


def test_values_that_json_does_not_have():
    moment = dt.datetime(2026, 1, 2, 3, 4, 5)  # noqa: DTZ001 - property lists have no time zones
    found = read(None, xml({"data": b"\x00\xff", "moment": moment, "half": 0.5}))
    assert found.values == {"data": "AP8=", "moment": "2026-01-02T03:04:05", "half": 0.5}
    assert read(wrapped({"data": b"\x00\xff"}), xml({"data": b"\x00\xff"})).notes == ()


json_values = st.recursive(
    st.booleans() | st.integers(-(2**63) + 1, 2**63 - 1) | st.text(st.characters(codec="utf-8", min_codepoint=32)),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=150, deadline=None)
@given(st.dictionaries(st.text(max_size=8), json_values, max_size=4), st.sampled_from([wrapped, bare]))
def test_der_reads_back_what_was_written(values: dict[str, Any], form: Any):
    assert read(form(values), None).values == values


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=200), st.binary(max_size=200), st.integers(0, 60), st.binary(max_size=3))
def test_any_bytes_give_an_answer(der: bytes, text: bytes, at: int, edit: bytes):
    good = wrapped(SAMPLE)
    for one, other in ((der, text), (good[:at] + edit + good[at + len(edit) :], b"<plist>" + text)):
        found = read(one, other)
        assert (found.values is None) == (found.source is None)
        assert not math.isnan(len(msgspec.json.encode(found)))


def test_true_as_signers_of_macos_11_wrote_it():
    """Node 16 and CMake 3.20 have 01 where DER has FF, and macOS takes it."""
    assert read(tlv(0x31, tlv(0x30, tlv(0x0C, b"a") + tlv(0x01, b"\1"))), None).values == {"a": True}


def test_name_that_is_there_twice_in_xml():
    """Parsers take the first value or the last: what macOS grants would not be what is shown."""
    twice = b"<plist><dict><key>a</key><false/><key>a</key><true/></dict></plist>"
    found = read(None, memoryview(twice))
    assert (found.values, [note.id for note in found.notes]) == (None, ["malformed"])
    assert "twice" in found.notes[0].detail
