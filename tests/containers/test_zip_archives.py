"""Zip archives that say one thing in their directory and another before the data, or hold more than they say."""

import io
import random
import stat
import struct
import zipfile
import zlib

import pytest
from archived import ids, paths, report_on
from packed import ELF, zipped


def test_an_encrypted_entry_is_not_analysed_and_hides_no_other():
    data = bytearray(zipped({"a": ELF, "b": ELF}))
    for magic, at in ((b"PK\x01\x02", 8), (b"PK\x03\x04", 6)):
        data[data.index(magic) + at] |= 1
    report = report_on(bytes(data))
    assert ids(report) == {"archive-encrypted"}
    assert (paths(report), report.analysed, report.verdict.level) == (["b"], False, "unknown")


def test_a_folder_that_holds_data_is_not_looked_at_and_hides_no_other():
    report = report_on(zipped({"tool/": ELF, "empty/": b"", "good": ELF}))
    assert ids(report) == {"archive-damaged"}
    assert (paths(report), report.analysed) == (["good"], False)


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_a_folder_with_packed_bytes_that_come_to_nothing_is_one_and_others_hold_data(method: int):
    """Its size is what the directory says, and some go by the bytes that are there: Java's tools pack each folder."""
    assert ids(report_on(zipped({"empty/": b"", "good": ELF}, method))) == set()
    data = bytearray(zipped({"tool/": ELF, "good": ELF}, method))
    struct.pack_into("<L", data, 22, 0)
    struct.pack_into("<L", data, data.index(b"PK\x01\x02") + 24, 0)
    report = report_on(bytes(data))
    assert ids(report) == {"archive-damaged"}
    assert (paths(report), report.analysed) == (["good"], False)


def test_a_link_that_holds_a_program_is_not_looked_at_and_hides_no_other():
    """Python and Windows make a file of it."""
    report = report_on(zipped({"tool": ELF, "good": ELF}, modes={"tool": stat.S_IFLNK | 0o777}))
    assert ids(report) == {"archive-damaged"}
    assert (paths(report), report.analysed) == (["good"], False)
    assert ids(report_on(zipped({"to": b"good", "good": ELF}, modes={"to": stat.S_IFLNK | 0o777}))) == set()


@pytest.mark.parametrize("mode", [stat.S_IFIFO, stat.S_IFCHR, stat.S_IFDIR])
def test_what_is_called_a_device_or_the_like_is_looked_at(mode: int):
    """All that unpack a zip archive make a file of it, as the format knows nothing else."""
    report = report_on(zipped({"tool": ELF}, modes={"tool": mode | 0o777}))
    assert (ids(report), paths(report), report.analysed) == ({"archive-entry"}, ["tool"], True)


def test_a_name_that_differs_before_the_data_is_damage():
    data = zipped({"tool": ELF, "good": ELF}).replace(b"tool", b"fool", 1)
    report = report_on(data)
    assert ids(report) == {"archive-damaged"}
    assert (paths(report), report.analysed) == (["good"], False)


@pytest.mark.parametrize("delta", [-1, 1])
def test_a_size_that_lies_is_damage(delta: int):
    data = zipped({"tool": ELF})
    size = struct.pack("<L", len(ELF))
    report = report_on(data.replace(size, struct.pack("<L", len(ELF) + delta)))
    assert ids(report) == {"archive-damaged"}
    assert not report.analysed


def test_a_changed_byte_is_damage():
    data = bytearray(zipped({"tool": ELF}, zipfile.ZIP_STORED))
    data[data.index(b"\x0f\x05\xc3")] ^= 1
    assert ids(report_on(bytes(data))) == {"archive-damaged"}


def test_entries_over_each_other_are_a_bomb():
    """Fifield's zip bomb: many entries of the directory share one run of bytes."""
    data = bytearray(zipped({"tool": ELF, "toop": ELF}))
    second = data.rindex(b"PK\x01\x02")
    data[second + 42 : second + 46] = bytes(4)
    data = data.replace(b"toop", b"tool")
    assert "archive-bomb" in ids(report_on(bytes(data)))


@pytest.mark.parametrize("place", ["before", "between", "behind"])
def test_an_entry_that_the_directory_does_not_list_is_a_finding(place: str):
    """Who unpacks from front to back (a pipe, Java's ZipInputStream) finds it."""
    names = {"before": ("evil", "a", "b"), "between": ("a", "evil", "b"), "behind": ("a", "b", "evil")}[place]
    data = zipped(dict.fromkeys(names, ELF))
    start = data.index(b"PK\x01\x02")
    records = [b"PK\x01\x02" + rest for rest in data[start : data.index(b"PK\x05\x06")].split(b"PK\x01\x02")[1:]]
    directory = b"".join(record for record in records if b"evil" not in record)
    end = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 2, 2, len(directory), start, 0)
    report = report_on(data[:start] + directory + end)
    assert paths(report) == ["a", "b"]
    assert (ids(report), report.analysed) == ({"archive-entry"}, False)


def test_sizes_that_differ_before_the_data_are_damage():
    """Who unpacks from front to back goes by what stands before the data, and reads the rest as further entries."""
    data = bytearray(zipped({"tool": ELF}, zipfile.ZIP_STORED))
    struct.pack_into("<LL", data, 18, 100, 100)
    assert ids(report_on(bytes(data))) == {"archive-damaged"}
    struct.pack_into("<LLL", data, 14, 0, 0, 0)
    for magic, at in ((b"PK\x01\x02", 8), (b"PK\x03\x04", 6)):  # they stand behind the data
        data[data.index(magic) + at] |= 8
    assert paths(report_on(bytes(data))) == ["tool"]


@pytest.mark.parametrize(("at", "bit"), [(6, 1), (8, zipfile.ZIP_DEFLATED)], ids=["encryption", "method"])
def test_a_way_to_pack_that_differs_before_the_data_is_damage(at: int, bit: int):
    data = bytearray(zipped({"tool": ELF}, zipfile.ZIP_STORED))
    data[at] ^= bit
    assert ids(report_on(bytes(data))) == {"archive-damaged"}


def test_a_method_that_is_not_known_is_damage_and_hides_no_other():
    data = bytearray(zipped({"a": ELF, "b": ELF}))
    for magic, at in ((b"PK\x01\x02", 10), (b"PK\x03\x04", 8)):
        data[data.index(magic) + at] = 98  # PPMd
    report = report_on(bytes(data))
    assert ids(report) == {"archive-damaged"}
    assert (paths(report), report.analysed) == (["b"], False)


def test_a_name_that_unix_wrote_is_as_unix_has_it():
    name = "t\u00fcl".encode()
    data = zipped({"x" * len(name): ELF}).replace(b"x" * len(name), name)
    assert paths(report_on(data)) == ["t\u00fcl"]


@pytest.mark.parametrize(
    ("first", "second", "fine"),
    [
        (b"t\x81l", "t\u00fcl", True),  # zip where names are in a code page
        (b"t#U00fcl", "t\u00fcl", True),  # and where they are ASCII
        (b"tool", "evil", False),
        (b"t\x81l", "../t\u00fcl", False),
    ],
)
def test_a_second_name_is_the_first_in_other_letters_or_damage(first: bytes, second: str, fine: bool):
    """Info-ZIP's Unicode path (APPNOTE 4.6.9), which unzip and 7-Zip go by and others do not."""
    extra = b"\1" + zlib.crc32(first).to_bytes(4, "little") + second.encode()
    info = zipfile.ZipInfo("x" * len(first))
    info.extra = struct.pack("<2H", 0x7075, len(extra)) + extra
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr(info, ELF)
    report = report_on(packed.getvalue().replace(b"x" * len(first), first))
    assert paths(report) == ([second] if fine else [])
    assert ids(report) == (set() if fine else {"archive-damaged"})


@pytest.mark.parametrize("later", [True, False])
def test_an_entry_inside_the_data_of_another_is_damage(later: bool):
    """Who unpacks from front to back (Java's ZipInputStream) goes on where the packed stream ends."""
    hidden = zipped({"evil": ELF})[: zipped({"evil": ELF}).index(b"PK\x01\x02")]
    data = bytearray(zipped({"tool": ELF}))
    start = data.index(b"PK\x01\x02")
    packed = struct.unpack_from("<L", data, start + 20)[0] + len(hidden)
    struct.pack_into("<L", data, start + 20, packed)
    struct.pack_into("<L", data, 18, packed)
    if later:
        struct.pack_into("<LLL", data, 14, 0, 0, 0)
        data[start + 8] |= 8
        data[6] |= 8
    end = data.index(b"PK\x05\x06")
    struct.pack_into("<L", data, end + 16, start + len(hidden))
    data[start:start] = hidden
    report = report_on(bytes(data))
    assert (ids(report), report.analysed) == ({"archive-damaged"}, False)
    assert "further entry" in report.findings[0].detail


def test_an_archive_that_is_packed_once_more_is_looked_at():
    """Deflate stores what it cannot make smaller: the headers of the inner archive stand in the packed bytes."""
    inner = zipped({"tool": ELF, "noise": random.Random(1).randbytes(100_000)})
    data = zipped({"more.zip": inner})
    assert data.index(b"PK\x01\x02") > data.rindex(b"PK\x03\x04") > 0
    report = report_on(data)
    assert (ids(report), paths(report), report.analysed) == (set(), ["more.zip/tool"], True)


@pytest.mark.parametrize(("behind", "stated", "wrong"), [(b"", 0, False), (b"note", 4, False), (b"note", 0, True)])
def test_what_follows_the_end_is_a_comment_or_a_finding(behind: bytes, stated: int, wrong: bool):
    data = zipped({"tool": ELF})
    report = report_on(data[:-2] + struct.pack("<H", stated) + behind)
    assert (ids(report), paths(report), report.analysed) == ({"appended-data"} if wrong else set(), ["tool"], True)


@pytest.mark.parametrize("count", [1, 3])
def test_a_central_directory_that_lists_more_or_less_than_it_says_is_damaged(count: int):
    whole = bytearray(zipped({"tool": ELF, "more": ELF}))
    struct.pack_into("<HH", whole, len(whole) - 14, count, count)
    report = report_on(bytes(whole))
    assert (ids(report), paths(report), report.analysed) == ({"archive-damaged"}, [], False)


def parts(data: bytes) -> tuple[bytes, bytearray, bytearray]:
    """Entries, central directory and end of an archive."""
    directory, end = data.index(b"PK\x01\x02"), data.rindex(b"PK\x05\x06")
    return data[:directory], bytearray(data[directory:end]), bytearray(data[end:])


def record64(size: int, offset: int, at: int) -> bytes:
    """A zip64 record about a directory of one entry, which stands ``at`` there, and its locator."""
    return struct.pack("<4sQ2H2L4Q", b"PK\x06\x06", 44, 45, 45, 0, 0, 1, 1, size, offset) + struct.pack(
        "<4sLQL", b"PK\x06\x07", 0, at, 1
    )


def test_two_directories_are_not_called_looked_at():
    """Python believes a zip64 record that stands there, others only where the first record sends them to it."""
    entries, directory, end = parts(zipped({"tool": ELF}))
    start = len(entries) + len(directory)
    inner, listing, _ = parts(zipped({"hidden": ELF}))
    struct.pack_into("<L", listing, 42, start)
    size, offset = len(listing), start + len(inner)
    comment = inner + listing + record64(size, offset, offset + size)
    struct.pack_into("<H", directory, 32, len(comment))
    struct.pack_into("<L", end, 12, len(directory) + len(comment))
    both = entries + directory + comment + end
    assert zipfile.ZipFile(io.BytesIO(both)).namelist() == ["hidden"]
    report = report_on(both)
    assert (ids(report), paths(report), report.analysed) == ({"archive-damaged"}, [], False)


def test_two_zip64_records_are_not_called_looked_at():
    """Python takes the one before its locator, others the one that the locator names."""
    entries, directory, end = parts(zipped({"tool": ELF}))
    at, size = len(entries), len(directory)
    one = entries + directory + record64(size, at, at + size) + end
    assert report_on(one).analysed
    both = entries + directory + record64(size, at, 0)[:56] + record64(size, at, at + size) + end
    assert (ids(report_on(both)), report_on(both).analysed) == ({"archive-damaged"}, False)


@pytest.mark.parametrize("of", ["entry", "archive"])
def test_an_entry_in_a_comment_is_not_called_looked_at(of: str):
    """What unpacks from front to back, or by another end, finds it there."""
    entries, directory, end = parts(zipped({"tool": ELF}))
    hidden, _, _ = parts(zipped({"hidden": ELF}))
    if of == "entry":
        struct.pack_into("<H", directory, 32, len(hidden))
        struct.pack_into("<L", end, 12, len(directory) + len(hidden))
        file = entries + directory + hidden + end
    else:
        struct.pack_into("<H", end, 20, len(hidden))
        file = entries + directory + end + hidden
    report = report_on(file)
    assert (ids(report), paths(report), report.analysed) == ({"archive-entry"}, ["tool"], False)


def test_a_second_end_counts_where_the_last_one_is_not_the_end():
    """Java takes the record whose comment ends with the file, others the last one."""
    whole = zipped({"tool": ELF})
    assert report_on(whole + b"junk").analysed
    entries, directory, end = parts(whole)
    first = bytearray(end)
    struct.pack_into("<H", first, 20, len(directory) + len(end) + len(b"junk"))
    struct.pack_into("<L", end, 16, len(entries) + len(directory) + len(first))
    report = report_on(entries + directory + first + directory + end + b"junk")
    assert (ids(report), paths(report), report.analysed) == ({"appended-data"}, ["tool"], False)


@pytest.mark.parametrize("system", [0, 3, 5, 19])
def test_a_link_is_one_whatever_system_packed_it(system: int):
    """Go's ``archive/zip`` knows those of macOS, Info-ZIP those of Atari, and yauzl's users ask nobody."""
    entries, directory, end = parts(zipped({"out": b"/etc", "out/tool": ELF}, modes={"out": stat.S_IFLNK | 0o777}))
    directory[5] = system
    report = report_on(entries + directory + end)
    assert (ids(report), paths(report)) == ({"archive-entry"}, ["out/tool"])
    assert "written through a link" in report.findings[0].detail
