import pytest
from hypothesis import given
from hypothesis import strategies as st
from minimal_slices import DATA, minimal

from binsafe.extractors import strings
from binsafe.limits import MAX_STRINGS
from binsafe.model import Section


def found(data: bytes, **changes: object):
    return strings.extract(memoryview(data), (minimal(data, **changes),))


def test_links_addresses_and_paths_with_the_place_they_stand_at():
    data = b"\0\0see https://host.example.net/a?b=1.\0\0" + b"10.0.0.77:4000\0" + b"/etc/passwd\0"
    texts = found(data)
    assert [(text.value, text.offset) for text in texts.urls] == [("https://host.example.net/a?b=1", 6)]
    assert [(text.value, text.offset) for text in texts.addresses] == [("10.0.0.77:4000", data.index(b"10.0"))]
    assert [(text.value, text.offset) for text in texts.paths] == [("/etc/passwd", data.index(b"/etc"))]


@pytest.mark.parametrize("text", [b"1.2.3.4", b"14.0.0.1", b"999.1.1.1", b"1.192.168.0.1.2", b"v10.20.30.99"])
def test_versions_are_no_addresses(text: bytes):
    assert found(b"\0" + text + b"\0").addresses == ()


@pytest.mark.parametrize(
    "secret",
    [
        b"ghp_" + b"a1B2" * 9,
        b"AKIA" + b"ABCD" * 4,
        b"glpat-" + b"x" * 20,
        b"-----BEGIN RSA PRIVATE KEY-----\n" + b"MIIE" * 20,
        b"https://user:hunter22@host.example.net/",
    ],
)
def test_secrets_are_shown_in_part_only(secret: bytes):
    texts = found(b"\0" + secret + b"\0")
    assert texts.secrets_total == 1
    [text] = texts.secrets
    assert text.value.startswith(secret[:6].decode())
    assert secret[8:].decode() not in text.value
    assert texts.urls == ()


def test_headers_of_keys_that_programs_look_for_are_no_secrets():
    assert found(b"\0-----BEGIN RSA PRIVATE KEY-----\0-----BEGIN CERTIFICATE-----\0").secrets == ()


def test_each_text_counts_once_and_what_is_shown_is_capped():
    many = b"".join(b"https://host.example.net/%d\0" % number for number in range(300))
    texts = found(many + many)
    assert (len(texts.urls), texts.urls_total) == (MAX_STRINGS, 300)


def test_links_that_documents_hold_for_their_form_come_last():
    texts = found(b"\0http://www.w3.org/2000/svg\0https://evil.example.net/x\0")
    assert [text.value for text in texts.urls] == ["https://evil.example.net/x", "http://www.w3.org/2000/svg"]


def test_code_is_not_looked_at_and_what_stands_behind_the_sections_is():
    data = b"https://in.code.example.net/\0" + b"https://behind.example.net/\0"
    section = Section(name=".text", address=DATA, size=29, offset=0, executable=True)
    assert [text.value for text in found(data, sections=(section,)).urls] == ["https://behind.example.net/"]


@pytest.mark.parametrize("start", range(strings._CHUNK - 30, strings._CHUNK + 3))
def test_no_text_is_cut_or_counted_twice_where_pieces_meet(start: int):
    url = b"https://host.example.net/path"
    texts = found(b"\0" * start + url + b"\0" * 64)
    assert [(text.value, text.offset) for text in texts.urls] == [(url.decode(), start)]


@given(st.binary(max_size=400))
def test_any_bytes_give_texts_without_control_characters(data: bytes):
    texts = found(data)
    for text in (*texts.urls, *texts.addresses, *texts.paths, *texts.secrets):
        assert text.value.isprintable()
