import time
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from minimal_slices import DATA, minimal

from binsafe.extractors import strings
from binsafe.limits import MAX_STRINGS
from binsafe.model import Section, Segment


def found(data: bytes, **changes: object):
    return strings.extract(memoryview(data), (minimal(data, **changes),))


def test_links_addresses_and_paths_with_the_place_they_stand_at():
    data = b"\0\0see https://host.example.net/a?b=1.\0\0" + b"10.0.0.77:4000\0" + b"/etc/passwd\0"
    texts = found(data)
    assert [(text.value, text.offset) for text in texts.urls] == [("https://host.example.net/a?b=1", 6)]
    assert [(text.value, text.offset) for text in texts.addresses] == [("10.0.0.77:4000", data.index(b"10.0"))]
    assert [(text.value, text.offset) for text in texts.paths] == [("/etc/passwd", data.index(b"/etc"))]


@pytest.mark.parametrize(
    "text",
    [
        b"1.2.3.4", b"2.5.4.97", b"14.0.0.1", b"10.31.0.31", b"fbff::1", b"999.1.1.1", b"1.192.168.0.1.2",
        b"v10.20.30.99",
        b"std::add", b"core::fmt", b"dead::beef", b"12:34:56", b"00:1a:2b:3c:4d:5e", b"main.rs:120", b"server.go:80",
        b"fe80:", b"2001:db8", b"https://host.example.net:8443/", b"example.net:99999",
        b"a2001:db8::1", b"[::1", b"[face]",
    ],
)  # fmt: skip
def test_versions_names_with_colons_times_and_lines_are_no_addresses(text: bytes):
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


def test_a_key_inside_of_encoded_bytes_is_none():
    assert found(b"\0AAAA" + b"AIzaIQABAAAAPQQBAIjaIQABAAAAPgQBAIzaIQAB" + b"\0").secrets == ()


def test_headers_of_keys_that_programs_look_for_are_no_secrets():
    assert found(b"\0-----BEGIN RSA PRIVATE KEY-----\0-----BEGIN CERTIFICATE-----\0").secrets == ()


def test_each_text_counts_once_and_what_is_shown_is_capped():
    many = b"".join(b"https://host.example.net/%d\0" % number for number in range(300))
    texts = found(many + many)
    assert (len(texts.urls), texts.urls_total) == (MAX_STRINGS, 300)


@pytest.mark.parametrize("decoy", [b"1.2.3.4\0", b"::a:b:c ", b"http://example.com/\0", b"1.2.3.99\0"])
def test_a_file_full_of_what_looks_like_texts_costs_seconds_at_most(decoy: bytes):
    data = b"8.8.8.8:53\0" + decoy * (8 * 1024**2 // len(decoy))
    started = time.process_time()
    texts = found(data)
    assert time.process_time() - started < 4
    assert "8.8.8.8:53" in [text.value for text in texts.addresses]


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


@pytest.mark.parametrize(
    "address",
    [
        b"2001:db8::1",
        b"fd00:ec2::254",
        b"fc00::254",
        b"10.31.0.32",
        b"10.2.0.3:53",
        b"fe80::1",
        b"2606:4700:4700::1111/64",
        b"[::1]:8080",
        b"[2001:db8:0:0:0:0:0:7]:443",
        b"api.example.net:8443",
        b"localhost:4000",
    ],
)
def test_ipv6_addresses_and_hosts_with_ports_are_addresses(address: bytes):
    data = b"\0 " + address + b" \0"
    assert [(text.value, text.offset) for text in found(data).addresses] == [(address.decode(), 2)]
    assert [(text.value, text.offset) for text in found(data[2:]).addresses] == [(address.decode(), 0)]


def test_a_certificates_link_ends_where_the_certificate_says():
    link = b"http://crl.example.net/root.crl"
    certificate = b"\x30\x23\x86" + bytes([len(link)]) + link + b"0\x0d"
    assert [text.value for text in found(certificate).urls] == [link.decode()]


def joined(texts: tuple[bytes, ...], point: Callable[[int], bytes], **changes: object) -> list[str]:
    """The texts of a Go program whose texts stand side by side; ``point`` makes what names an address."""
    table = b"".join(texts)
    starts = [DATA + len(b"".join(texts[:number])) for number in range(len(texts))]
    table += b"\0" * (-len(table) % 8)
    data = table + b"".join(point(start) for start in starts)
    section = Section(name=".rodata", address=DATA, size=len(data), offset=0)
    slice_ = minimal(data, sections=(section,), **changes)
    shown = strings.extract(memoryview(data), (slice_,), ["go"])
    return [text.value for text in (*shown.urls, *shown.paths)]


_SIDE_BY_SIDE = (b"https://host.example.net/a", b"scavenger: ", b"/etc/passwd", b"unknown")


def test_joined_texts_end_where_the_next_one_begins():
    expected = ["https://host.example.net/a", "/etc/passwd"]
    assert joined(_SIDE_BY_SIDE, lambda at: at.to_bytes(8, "little")) == expected


def test_what_the_next_text_made_an_address_or_a_secret_is_none():
    texts = (b" host.example", b".net:8080 ", b"npm_", b"a1B2" * 9, b" 10.0.0.77", b":4000")
    data = b"".join(texts)
    starts = [DATA + len(b"".join(texts[:number])) for number in range(len(texts))]
    whole = data.ljust(96, b"\0") + b"".join(at.to_bytes(8, "little") for at in starts)
    section = Section(name=".rodata", address=DATA, size=len(whole), offset=0)
    shown = strings.extract(memoryview(whole), (minimal(whole, sections=(section,)),), ["go"])
    assert [text.value for text in shown.addresses] == ["10.0.0.77"]
    assert shown.secrets == ()


def test_joined_texts_end_where_a_chained_pointer_says():
    base = 0x40_1000
    chained = joined(
        _SIDE_BY_SIDE, lambda at: (at - base | 2 << 51).to_bytes(8, "little"), format="mach-o", segments=_segments(base)
    )
    assert chained == ["https://host.example.net/a", "/etc/passwd"]


def test_numbers_are_no_pointers_where_a_program_begins_at_zero():
    text = (b"https://host.example.net/a", b"bc")
    whole = joined(text, lambda at: (at - DATA).to_bytes(8, "little"), segments=_segments(0, DATA))
    assert whole == ["https://host.example.net/abc"]


@pytest.mark.parametrize("base", [0x50_0000, 0xFFFF_FFFF_8150_0000], ids=["program", "kernel"])
@pytest.mark.parametrize(
    ("arch", "code"),
    [
        ("x86_64", b"\x90\x48\x8d\x05" + (0x1A + 0x1000 - 8).to_bytes(4, "little") + b"\x90" * 8),
        ("arm64", (0xB000_0001).to_bytes(4, "little") + (0x9100_0021 | 0x1A << 10).to_bytes(4, "little")),
    ],
)
def test_joined_texts_end_where_code_names_the_next_one(arch: str, code: bytes, base: int):
    text = b"https://host.example.net/a" + b"scavenger"
    data = text + code
    segments = tuple(
        Segment(
            name="", address=address, memory_size=size, offset=offset, file_size=size,
            readable=True, writable=False, executable=executable,
        )
        for address, size, offset, executable in [
            (base + 0x1000, len(text), 0, False),
            (base, len(code), len(text), True),
        ]
    )  # fmt: skip
    section = Section(name=".rodata", address=base + 0x1000, size=len(text), offset=0)
    slice_ = minimal(data, arch=arch, segments=segments, sections=(section,))
    shown = strings.extract(memoryview(data), (slice_,), ["rust"])
    assert [url.value for url in shown.urls] == ["https://host.example.net/a"]


def test_what_go_holds_in_every_program_is_left_out():
    data = b"\0https://go.dev/issue/66821\0/proc/self/auxv\0/etc/passwd\0"
    shown = strings.extract(memoryview(data), (minimal(data),), ["go"])
    assert (shown.urls, [text.value for text in shown.paths]) == ((), ["/etc/passwd"])
    assert strings.extract(memoryview(data), (minimal(data),), ["c"]).urls_total == 1


def test_many_texts_in_many_sections_take_no_more_time_than_few():
    data = b"".join(b"https://host%05d.example.net\0" % number for number in range(20_000))
    section = Section(name=".rodata", address=DATA, size=8, offset=len(data) - 8)
    last = Section(name=".rodata", address=DATA, size=len(data), offset=0)
    slice_ = minimal(data, sections=(*([section] * 60_000), last))
    before = time.process_time()
    assert strings.extract(memoryview(data), (slice_,), ["go"]).urls_total == 20_000
    assert time.process_time() - before < 10


def _segments(*addresses: int) -> tuple[Segment, ...]:
    """The file at :data:`DATA`; at the other addresses, the lowest of which counts, nothing."""
    return tuple(
        Segment(
            name="", address=address, memory_size=0x1000, offset=0 if address == DATA else 0x8000, file_size=0x1000,
            readable=True, writable=False, executable=False,
        )
        for address in {*addresses, DATA}
    )  # fmt: skip


@given(st.binary(max_size=400))
def test_any_bytes_give_texts_without_control_characters(data: bytes):
    texts = found(data)
    for text in (*texts.urls, *texts.addresses, *texts.paths, *texts.secrets):
        assert text.value.isprintable()
