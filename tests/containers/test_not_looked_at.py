"""What of an archive is not looked at, and that it is said: disk images, other kinds, byte code, two kinds in one."""

import bz2
import tarfile
import zipfile

import pytest
from archived import ids, paths, report_on
from packed import ELF, ar, tarred, zipped

from binsafe.archives import is_archive
from binsafe.containers import UNREAD
from binsafe.scan.walking import is_worth_opening


@pytest.mark.parametrize(
    "content", [b"\x78\xda packed", bz2.compress(ELF), tarred({"tool": ELF}), b"#!/bin/sh\n"], ids=range(4)
)
def test_a_disk_image_is_named_as_what_it_is_whatever_it_begins_with(content: bytes):
    image = content + b"koly\0\0\0\4\0\0\2\0".ljust(512, b"\0")
    assert is_archive(memoryview(image)) == (content[:2] != b"#!"), "who reads the first line runs that"
    report = report_on(image, "tool.dmg")
    assert (report.format, report.analysed, report.verdict.level) == ("archive", False, "unknown")
    assert report.findings[0].detail == "Apple disk images are not read here"
    assert is_worth_opening(image[:4096], image[-512:])


@pytest.mark.parametrize(("magic", "kind"), [*UNREAD.items(), (b"Rar!\x1a\x07\1\0", "RAR archives")])
def test_an_archive_of_a_kind_that_is_not_read_is_named(magic: bytes, kind: str):
    whole = magic.ljust(512, b"\0")
    report = report_on(whole)
    assert (report.analysed, report.findings[0].detail) == (False, f"{kind} are not read here")
    inside = report_on(zipped({"tool": ELF, "more": whole}))
    assert (ids(inside), paths(inside), inside.analysed) == ({"archive"}, ["tool"], False)


@pytest.mark.parametrize("name", ["more.DMG", "more.iso", "more.vhdx", "more.msi", "data.tar.lzma", "a.LZH"])
def test_a_disk_image_or_an_archive_without_a_mark_inside_is_said_not_to_be_looked_at(name: str):
    report = report_on(zipped({"tool": ELF, name: b"packed".ljust(5000) + b"\0"}))
    assert (ids(report), paths(report), report.analysed) == ({"archive"}, ["tool"], False)


@pytest.mark.parametrize(
    ("name", "data"),
    [("notes.iso", b"An image\n" * 900), ("of.msi", b""), ("t.txt", b"\x1f\x9d is how compress begins\n")],
)
def test_a_text_is_no_archive_by_its_name_or_two_bytes(name: str, data: bytes):
    report = report_on(zipped({"tool": ELF, name: data}))
    assert (ids(report), report.analysed) == (set(), True)


def test_byte_code_beside_programs_is_said_not_to_be_looked_at():
    others = {"Main.class": b"\xca\xfe\xba\xbe\0\0\0\x41", "classes.dex": b"dex\n035\0", "m.wasm": b"\0asm\1\0\0\0"}
    report = report_on(zipped({"tool": ELF, "text": b"hello", **others}))
    assert (ids(report), paths(report), report.analysed) == ({"scripts"}, ["tool"], True)
    assert report.findings[0].detail == "3: Main.class; classes.dex; m.wasm"


def test_an_archive_of_two_kinds_is_not_called_looked_at():
    """pip and unzip look for a zip archive's end, whatever stands before it; tar for a checksum in the first block."""
    hidden = zipped({"hidden": ELF}, zipfile.ZIP_STORED)
    inside = bytearray(hidden)
    inside[-2:] = (1000).to_bytes(2, "little")  # a comment: the rest of the file
    plain, packed = tarred({"tool": ELF}, mode="w"), tarred({"tool": ELF})
    extra = (
        packed[:3] + bytes([packed[3] | 4]) + packed[4:10] + len(inside).to_bytes(2, "little") + inside + packed[10:]
    )
    for data, name in ((packed + hidden, "x.whl"), (extra, "x.tgz"), (ar({"x": b"yy"}) + hidden, "x.whl")):
        assert "archive-entry" in ids(report_on(data, name))
        assert not report_on(data, name).analysed
    named = tarred({"tool": ELF, "data": b"before" + hidden}, mode="w")
    assert ids(report_on(named, "x.whl")) == ids(report_on(named, "x.tar")) == {"archive-entry"}
    for start in ("PK\x03\x04", "!<arch>\n"):
        both = tarred({start: b"", "tool": ELF}, mode="w", form=tarfile.USTAR_FORMAT)
        assert (ids(report_on(both)), report_on(both).analysed) == ({"archive"}, False)
    assert ids(report_on(plain, "x.whl")) == set()


def test_a_zip_archive_that_is_the_last_file_of_a_package_makes_it_no_archive_of_two_kinds():
    """Packages of Java's libraries end so where their data is not packed, or by zstd, which stores what is."""
    hidden = zipped({"hidden": ELF}, zipfile.ZIP_STORED)
    report = report_on(ar({"debian-binary": b"2.0\n", "data.tar": tarred({"x.jar": hidden}, "w")}), "x.deb")
    assert (ids(report), paths(report), report.analysed) == (set(), ["x.jar/hidden"], True)
    stored = b"\x28\xb5\x2f\xfd\0\0" + (len(hidden) << 3 | 1).to_bytes(3, "little") + hidden  # RFC 8878: one block
    assert "archive-entry" not in ids(report_on(stored, "x.zst"))
    assert "archive-entry" in ids(report_on(stored, "x.jar"))
    assert not report_on(ar({"x": b"yy"}) + hidden, "x.deb").analysed


def test_a_zip_archive_inside_that_begins_with_something_else_is_said_not_to_be_looked_at():
    """Java and pip look for its end."""
    hidden = b"before" + zipped({"hidden": ELF})
    for name in ("x.jar", "x.WHL"):
        report = report_on(zipped({"tool": ELF, name: hidden}))
        assert (ids(report), paths(report), report.analysed) == ({"archive"}, ["tool"], False)
    assert ids(report_on(zipped({"tool": ELF, "x.zip": b"version of a pointer", "x.bin": hidden}))) == set()
