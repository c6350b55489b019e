"""Tar archives in which one program finds other entries than the next."""

import bz2
import gzip
import lzma
import struct
import tarfile
import time
from collections.abc import Callable

import pytest
from archived import ids, paths, report_on
from packed import ELF, zipped


def header(name: str, size: int, kind: bytes = tarfile.REGTYPE) -> bytes:
    info = tarfile.TarInfo(name)
    info.size, info.type = size, kind
    return info.tobuf(tarfile.USTAR_FORMAT)


def blocks(data: bytes) -> bytes:
    return data + bytes(-len(data) % tarfile.BLOCKSIZE)


def pax(kind: bytes, key: str, value: str) -> bytes:
    record = f" {key}={value}\n"
    record = f"{len(record) + 2}{record}"  # the lengths here have two digits
    return header("pax", len(record), kind) + blocks(record.encode())


MEMBER = header("tool", len(ELF)) + blocks(ELF)


@pytest.mark.parametrize(
    "data",
    {
        "folder": header("d/", len(MEMBER), tarfile.DIRTYPE) + MEMBER,
        "old folder": header("d/", len(MEMBER)) + MEMBER,
        "hard link": header("l", len(MEMBER), tarfile.LNKTYPE) + MEMBER,
        "symbolic link": header("l", len(MEMBER), tarfile.SYMTYPE) + MEMBER,
        "pipe": header("p", len(MEMBER), tarfile.FIFOTYPE) + MEMBER,
        "name for all": pax(b"g", "path", "other") + MEMBER,
        "size for all": pax(b"g", "size", "100000") + MEMBER,
    }.values(),
)
def test_a_tar_in_which_tools_find_other_entries_is_not_analysed(data: bytes):
    """GNU tar unpacks what stands in the "content" of a folder or hard link, Python in that of others, too."""
    report = report_on(data + bytes(1024))
    assert ids(report) == {"archive-damaged"}
    assert (report.analysed, report.verdict.level) == (False, "unknown")


@pytest.mark.parametrize(
    ("kind", "target", "found"),
    [
        (tarfile.LNKTYPE, "../../etc/passwd", {"archive-entry"}),
        (tarfile.LNKTYPE, "/etc/passwd", {"archive-entry"}),
        (tarfile.LNKTYPE, "tool", set()),
        (tarfile.SYMTYPE, "../../etc/passwd", set()),  # usual; what is written through it is found
    ],
)
def test_a_hard_link_is_the_file_that_it_leads_to(kind: bytes, target: str, found: set[str]):
    link = tarfile.TarInfo("link")
    link.type, link.linkname = kind, target
    report = report_on(MEMBER + link.tobuf(tarfile.USTAR_FORMAT) + bytes(1024))
    assert (ids(report), report.analysed) == (found, True)


def test_a_size_that_is_no_number_is_damage():
    block = bytearray(header("tool", len(ELF)))
    block[124:136] = b"00000000009\0"  # in octal
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    report = report_on(bytes(block) + blocks(ELF) + bytes(1024))
    assert (ids(report), report.analysed) == ({"archive-damaged"}, False)
    assert "no number" in report.findings[0].detail


def test_the_size_of_an_entry_is_not_that_of_the_long_name_before_it():
    """POSIX: what a pax header says is about the file behind it; tar and Python read the name by its own size."""
    data = pax(b"x", "size", str(len(ELF))) + header("@", 4, b"L") + blocks(b"long") + header("tool", 0) + blocks(ELF)
    assert paths(report_on(data + bytes(1024))) == ["long"]


def test_an_entry_of_a_kind_that_is_not_known_is_a_file():
    """POSIX wants it to be taken for one, and tar and Python do."""
    assert paths(report_on(header("tool", len(ELF), b"Z") + blocks(ELF) + bytes(1024))) == ["tool"]
    assert paths(report_on(pax(b"X", "path", "named") + MEMBER + bytes(1024))) == ["named"]  # Solaris
    assert report_on(pax(b"g", "comment", "0123456789") + MEMBER + bytes(1024)).analysed  # git archive


END = bytes(1024)


@pytest.mark.parametrize("behind", [MEMBER + END, b"payload", END + b"payload"])
@pytest.mark.parametrize("packed", [bytes, gzip.compress])
def test_what_follows_the_end_is_a_finding(behind: bytes, packed: Callable[[bytes], bytes]):
    """``tar --ignore-zeros`` unpacks archives that were joined: the entries of all of them."""
    report = report_on(packed(MEMBER + END + behind))
    assert (ids(report), paths(report), report.analysed) == ({"appended-data"}, ["tool"], False)


ZIP = zipped({"other": ELF})


@pytest.mark.parametrize(
    "entry",
    [
        b"read me\n" + ZIP,
        b"read me\n".ljust(512) + ZIP,
        b"read me\n".ljust(512) + header("x", len(ZIP)) + ZIP,
        b"PK\3\4 is no entry\n" + ZIP,
    ],
)
def test_an_entry_that_some_unpack_instead_is_a_finding(entry: bytes):
    """As pip does: Python looks for a zip archive's end in the last 64 KB, and for its beginning where that says."""
    report = report_on(MEMBER + header("README", len(entry)) + blocks(entry) + END)
    assert ("archive-entry" in ids(report), report.analysed) == (True, False)
    assert any("ends as a zip archive" in one.detail for one in report.findings)


def test_an_archive_that_begins_in_another_entry_than_it_ends_in_is_a_finding():
    first = MEMBER + header("first", len(ZIP)) + blocks(ZIP)
    between = len(first) - len(MEMBER)  # it begins where the first one does
    second = bytearray(b"read me\n" + ZIP)
    struct.pack_into("<L", second, len(second) - 6, ZIP.index(b"PK\1\2") + between + len(b"read me\n"))
    report = report_on(first + header("second", len(second)) + blocks(bytes(second)) + END)
    assert ("archive-entry" in ids(report), report.analysed) == (True, False)


@pytest.mark.parametrize("entry", [ZIP, b"PK\1\2 and PK\5\6 are what zip archives have".ljust(99)])
def test_a_zip_archive_that_is_the_last_entry_is_looked_at(entry: bytes):
    report = report_on(MEMBER + header("last", len(entry)) + blocks(entry) + END)
    assert (ids(report), report.analysed) == (set(), True)


def test_padding_behind_the_end_is_nothing():
    assert report_on(MEMBER + bytes(20 * 512)).findings == ()
    assert report_on(lzma.compress(MEMBER + END) + bytes(64)).findings == ()


@pytest.mark.parametrize("inside", [ELF, MEMBER + END])
@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress])
@pytest.mark.parametrize("behind", [b"payload", bytes(100_000) + b"payload"])
def test_what_follows_compressed_data_is_a_finding(inside: bytes, pack: Callable[[bytes], bytes], behind: bytes):
    """Programs that unpack leave it out, and some say so; what reads its own file finds it there."""
    assert report_on(pack(inside) + bytes(512)).findings == ()
    report = report_on(pack(inside) + behind, "tool.gz")
    assert (ids(report), paths(report), report.analysed) == ({"appended-data"}, ["tool"], True)
    assert (report.verdict.level, f"{len(behind):,} bytes" in report.findings[0].detail) == ("caution", True)


def test_what_follows_padding_between_compressed_files_is_unpacked_too():
    """Python's ``gzip`` and ``lzma`` skip zeros; gzip(1) ends at them."""
    for pack in (gzip.compress, lzma.compress):
        for zeros in (4, 100_000):
            report = report_on(pack(MEMBER[:512]) + bytes(zeros) + pack(MEMBER[512:] + END))
            assert (ids(report), paths(report)) == (set(), ["tool"])


def test_an_entry_with_two_names_is_not_called_looked_at():
    """GNU's tar takes the name that pax gives, Python's the one that stands first."""
    long = header("././@LongLink", 9, b"L") + blocks(b"../../up\0")
    assert paths(report_on(long + MEMBER + END)) == ["../../up"]
    for both in (long + pax(b"x", "path", "named"), pax(b"x", "path", "named") + long):
        report = report_on(both + MEMBER + END)
        assert (ids(report), paths(report), report.analysed) == ({"archive-damaged"}, [], False)
    assert paths(report_on(pax(b"x", "path", "named") * 2 + MEMBER + END)) == ["named"]


def test_a_pax_header_of_many_records_takes_no_more_time_than_others():
    """It may have a mebibyte of them, which a few KB unpack to."""
    records = b"5 a=\n" * 200_000
    before = time.process_time()
    report = report_on(header("pax", len(records), b"x") + blocks(records) + MEMBER + END)
    assert (paths(report), report.analysed) == (["tool"], True)
    assert time.process_time() - before < 5
