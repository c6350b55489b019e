import gzip
import hashlib
import stat
import struct
import tarfile
import time
import zipfile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from packed import ELF, apple_double, ar, debian, linked, tarred, zipped

from binsafe import limits
from binsafe.archives import Watch, inspect, walking
from binsafe.containers import budget
from binsafe.model import Artifact, Report


def report_on(data: bytes, name: str = "pack", quarantine: dict[str, str] | None = None, **options: object) -> Report:
    sha256 = hashlib.sha256(data).hexdigest()
    artifact = Artifact(name=name, path=f"/x/{name}", size=len(data), sha256=sha256, quarantine=quarantine)
    return inspect(artifact, memoryview(data), syscalls=False, **options)


def paths(report: Report) -> list[str]:
    return [member.path for member in report.members]


def ids(report: Report) -> set[str]:
    return {finding.id for finding in report.findings}


@pytest.mark.parametrize(
    ("data", "expected"),
    {
        "zip": (zipped({"a/tool": ELF, "a/readme": b"text"}), ["a/tool"]),
        "stored": (zipped({"tool": ELF}, zipfile.ZIP_STORED), ["tool"]),
        "zip-bzip2": (zipped({"tool": ELF}, zipfile.ZIP_BZIP2), ["tool"]),
        "zip-lzma": (zipped({"tool": ELF}, zipfile.ZIP_LZMA), ["tool"]),
        "self-extracting": (b"#!/bin/sh\nexit\n" + zipped({"tool": ELF}), None),
        "tar": (tarred({"tool": ELF}, "w"), ["tool"]),
        "tar.gz": (tarred({"package/bin/tool": ELF, "package/cli.js": b"#!/usr/bin/env node\n"}), ["package/bin/tool"]),
        "tar.bz2": (tarred({"tool": ELF}, "w:bz2"), ["tool"]),
        "tar.xz": (tarred({"tool": ELF}, "w:xz"), ["tool"]),
        "gnu long name": (tarred({"d" * 150 + "/tool": ELF}, form=tarfile.GNU_FORMAT), ["d" * 150 + "/tool"]),
        "pax long name": (tarred({"ü" * 150 + "/tool": ELF}), ["ü" * 150 + "/tool"]),
        "old tar": (tarred({"tool": ELF}, form=tarfile.USTAR_FORMAT), ["tool"]),
        "deb": (debian({"./usr/bin/tool": ELF, "./usr/doc/changelog.gz": tarred({}, "w:gz")}), ["usr/bin/tool"]),
        "static library": (ar({"one.o/": ELF}), ["one.o"]),
        "nested": (zipped({"in.tgz": tarred({"tool": ELF})}), ["in.tgz/tool"]),
        "compressed file": (__import__("gzip").compress(ELF, mtime=0), None),
    }.values(),
)  # fmt: skip
def test_executables_are_found(data: bytes, expected: list[str] | None):
    report = report_on(data, "pack.gz")
    if expected is None and data.startswith(b"#!"):
        return
    assert paths(report) == (expected if expected is not None else ["pack"])
    assert report.analysed
    assert report.members[0].report.artifact.sha256 == hashlib.sha256(ELF).hexdigest()
    assert report.verdict.level == report.members[0].report.verdict.level


@pytest.mark.parametrize(
    "name", ["/etc/tool", "../tool", "a/../../tool", "..\\tool", "C:\\tool", "\\\\host\\tool", "to\nol", "t\u202eool"]
)
@pytest.mark.parametrize("pack", [zipped, tarred])
def test_names_that_lead_out_are_a_finding_and_hide_nothing(pack: object, name: str):
    report = report_on(pack({name: ELF, "good": ELF}))
    (finding,) = report.findings
    assert finding.id == "archive-entry"
    assert len(report.members) == 2
    assert report.verdict.level == "caution"


def test_zip_slip_through_a_link_is_a_finding():
    assert ids(report_on(linked("lib", "/etc", {"lib/passwd": ELF}))) == {"archive-entry"}
    link = zipped({"lib": b"/etc", "lib/tool": ELF}, modes={"lib": stat.S_IFLNK | 0o777})
    assert ids(report_on(link)) == {"archive-entry"}


def test_a_link_deep_inside_is_found_and_one_beside_it_is_not():
    link = {"a/b/lib": b"/etc", "a/b/lib/c/tool": ELF, "a/b/library/tool": ELF, "b/lib/tool": ELF}
    report = report_on(zipped(link, modes={"a/b/lib": stat.S_IFLNK | 0o777}))
    (finding,) = report.findings
    assert finding.detail == "'a/b/lib/c/tool' would be written through a link."


def test_names_that_no_path_can_have_cost_nothing_and_hide_no_other():
    names = {f"{number}/" + "a/" * 30_000 + "tool": ELF for number in range(50)}
    link = zipped({"link": b"/etc", **names, "tool": ELF}, modes={"link": stat.S_IFLNK | 0o777})
    started = time.process_time()
    report = report_on(link)
    assert time.process_time() - started < 2
    assert (ids(report), paths(report), report.analysed) == ({"archive-entry"}, ["tool"], False)
    assert report.findings[0].detail.endswith("; and 30 more.")


def test_the_same_name_twice_is_a_finding():
    data = zipped({"tool": ELF, "toop": ELF}).replace(b"toop", b"tool")
    report = report_on(data)
    assert ids(report) == {"archive-entry"}
    assert paths(report) == ["tool", "tool"]


def test_an_encrypted_entry_is_not_analysed_and_hides_no_other():
    data = bytearray(zipped({"a": ELF, "b": ELF}))
    for magic, at in ((b"PK\x01\x02", 8), (b"PK\x03\x04", 6)):
        data[data.index(magic) + at] |= 1
    report = report_on(bytes(data))
    assert ids(report) == {"archive-encrypted"}
    assert (paths(report), report.analysed, report.verdict.level) == (["b"], False, "unknown")


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


@pytest.mark.parametrize(
    "pack", [zipped, tarred, lambda files: tarred(files, "w:xz"), lambda files: tarred(files, "w:bz2")]
)
def test_a_bomb_ends_at_the_budget(pack: object, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(budget, "MIN_UNPACKED_BYTES", 1 << 20)
    report = report_on(pack({"good": ELF, "zeros": ELF + bytes(64 << 20)}))
    assert "archive-bomb" in ids(report)
    assert (paths(report), report.analysed) == (["good"], False)


def test_bombs_inside_of_bombs_share_the_budget(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(budget, "MIN_UNPACKED_BYTES", 1 << 20)
    inner = tarred({"zeros": bytes(700_000)})
    assert "archive-bomb" in ids(report_on(zipped({"good": ELF, "a.tgz": inner, "b.tgz": inner})))


def test_archives_inside_of_archives_have_an_end():
    data = zipped({"tool": ELF})
    for _ in range(5):
        data = zipped({"in.zip": data})
    report = report_on(data)
    assert ids(report) == {"archive-depth"}
    assert not report.analysed


def test_a_file_too_large_is_not_analysed(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(walking, "MAX_MEMBER_BYTES", 4200)
    report = report_on(tarred({"large": ELF + bytes(200), "good": ELF}))
    assert ids(report) == {"member-too-large"}
    assert paths(report) == ["good"]


def test_an_archive_without_executables_is_never_ok():
    for data in (zipped({"a": b"text"}), zipped({}), tarred({"cli.js": b"#!/usr/bin/node\n"})):
        report = report_on(data)
        assert (report.analysed, report.verdict.level) == (False, "unknown")
        assert report.findings


def test_of_too_many_members_the_worst_are_shown(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(walking, "MAX_MEMBERS", 3)
    files = {f"good{n}": ELF for n in range(5)} | {"bad": b"\x7fELF broken"}
    report = report_on(zipped(files))
    assert "bad" in paths(report)
    assert (len(report.members), report.members_omitted, report.analysed) == (3, 3, False)


def test_time_that_is_up_and_parsers_that_broke_are_said():
    report = report_on(zipped({"a": ELF, "b": ELF}), watch=Watch(broken=frozenset({0})))
    assert [member.report.analysed for member in report.members] == [False, True]
    assert not report.analysed
    late = report_on(zipped({"a": ELF}), watch=Watch(expired=lambda: True))
    assert ids(late) == {"members-omitted"}
    assert not late.analysed


def test_quarantine_comes_from_the_file_beside_the_file():
    note = apple_double(b"0083;65a1b2c3;Safari;1B2C")
    files = {"dir/tool": ELF, "__MACOSX/dir/._tool": note, "dir/other": ELF, "cut": ELF, "__MACOSX/._cut": note[:110]}
    report = report_on(zipped(files))
    found = {member.path: member.report.artifact.quarantine for member in report.members}
    assert found == {
        "dir/tool": {"flags": "0083", "time": "2024-01-12T21:44:35+00:00", "agent": "Safari", "id": "1B2C"},
        "dir/other": None,
        "cut": {"unknown": "the file that holds it is damaged"},
    }


def test_an_application_inside_is_one_bundle():
    plist = b'<plist version="1.0"><dict><key>CFBundleExecutable</key><string>tool</string></dict></plist>'
    report = report_on(zipped({"My.app/Contents/Info.plist": plist, "My.app/Contents/MacOS/tool": ELF, "other": ELF}))
    assert {member.path: member.report.format for member in report.members} == {"My.app": "bundle", "other": "elf"}


@pytest.mark.parametrize("name", ["tool.gz", "tool", ".gz"])
def test_what_was_compressed_has_a_name_of_its_own_whatever_the_file_is_called(name: str):
    report = report_on(gzip.compress(ELF), name)
    assert (paths(report), report.findings) == ([{".gz": ".gz"}.get(name, "tool")], ())


def test_every_kind_of_bundle_is_one_and_a_folder_of_that_name_is_none():
    plist = b'<plist version="1.0"><dict><key>CFBundleExecutable</key><string>tool</string></dict></plist>'
    files = {"A.Saver/Contents/Info.plist": plist, "A.Saver/Contents/MacOS/tool": ELF, "web.service/bin/tool": ELF}
    report = report_on(zipped(files | {"web.service/more.zip": zipped({"b.plugin/tool": ELF})}))
    assert {member.path: member.report.format for member in report.members} == {
        "A.Saver": "bundle",
        "web.service/bin/tool": "elf",
        "web.service/more.zip/b.plugin/tool": "elf",
    }
    assert report.analysed


def test_a_mark_that_cannot_be_read_is_a_finding():
    files = {"tool": ELF, "__MACOSX/._tool": apple_double(b"")}
    (member,) = report_on(zipped(files)).members
    (told,) = (finding for finding in member.report.findings if finding.id == "quarantine-unknown")
    assert (told.severity, "the mark is empty" in told.detail) == ("low", True)
    assert "quarantine-unknown" in ids(report_on(zipped(files), quarantine={"unknown": "Permission denied"}))


@pytest.mark.parametrize(
    "data", [zipped({"d/tool": ELF}), tarred({"tool": ELF}), tarred({"tool": ELF}, "w"), debian({"tool": ELF})]
)
def test_cut_off_anywhere_it_is_never_ok(data: bytes):
    for end in [*range(40, len(data) - 1, max(len(data) // 60, 1))]:
        report = report_on(data[:end])
        assert report.verdict.level == "unknown" or paths(report)
        assert report.findings or report.members


@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from(
        [zipped({"d/tool": ELF}), tarred({"tool": ELF}, "w"), debian({"t": ELF}), zipped({"a.tar": tarred({"t": ELF})})]
    ),
    st.data(),
)
def test_no_bytes_raise(data: bytes, draw: st.DataObject):
    changed = bytearray(data)
    for _ in range(draw.draw(st.integers(1, 8))):
        changed[draw.draw(st.integers(0, len(data) - 1))] = draw.draw(st.integers(0, 255))
    report = report_on(bytes(changed))
    assert report.format in {"archive", "unknown"}
    assert report.members or report.verdict.level == "unknown"


def test_the_caps_are_in_order():
    assert limits.MAX_BUNDLE_BYTES + limits.MAX_MEMBER_BYTES < limits.WORKER_BYTES
    assert limits.ARCHIVE_SECONDS < limits.WORKER_SECONDS


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


def test_the_size_of_an_entry_is_not_that_of_the_long_name_before_it():
    """POSIX: what a pax header says is about the file behind it; tar and Python read the name by its own size."""
    data = pax(b"x", "size", str(len(ELF))) + header("@", 4, b"L") + blocks(b"long") + header("tool", 0) + blocks(ELF)
    assert paths(report_on(data + bytes(1024))) == ["long"]


def test_an_entry_of_a_kind_that_is_not_known_is_a_file():
    """POSIX wants it to be taken for one, and tar and Python do."""
    assert paths(report_on(header("tool", len(ELF), b"Z") + blocks(ELF) + bytes(1024))) == ["tool"]
    assert paths(report_on(pax(b"X", "path", "named") + MEMBER + bytes(1024))) == ["named"]  # Solaris
    assert report_on(pax(b"g", "comment", "0123456789") + MEMBER + bytes(1024)).analysed  # git archive


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


def test_an_entry_inside_the_data_of_another_is_damage():
    """Where the size stands behind the data, who unpacks from front to back goes on where the packed stream ends."""
    hidden = zipped({"evil": ELF})[: zipped({"evil": ELF}).index(b"PK\x01\x02")]
    data = bytearray(zipped({"tool": ELF}))
    start = data.index(b"PK\x01\x02")
    packed = struct.unpack_from("<L", data, start + 20)[0] + len(hidden)
    struct.pack_into("<L", data, start + 20, packed)
    struct.pack_into("<LLL", data, 14, 0, 0, 0)
    data[start + 8] |= 8
    data[6] |= 8
    end = data.index(b"PK\x05\x06")
    struct.pack_into("<L", data, end + 16, start + len(hidden))
    data[start:start] = hidden
    report = report_on(bytes(data))
    assert (ids(report), report.analysed) == ({"archive-damaged"}, False)
    assert "further entry" in report.findings[0].detail
