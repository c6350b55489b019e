import gzip
import hashlib
import io
import plistlib
import stat
import tarfile
import time
import tracemalloc
import warnings
import zipfile

import pytest
from archived import ids, paths, report_on
from hypothesis import given, settings
from hypothesis import strategies as st
from packed import ELF, apple_double, ar, debian, linked, tarred, zipped

from binsafe import limits
from binsafe.archives import Watch, is_archive, walking
from binsafe.containers import budget
from binsafe.containers.attributes import describe
from binsafe.reports import REPORTERS
from binsafe.scan.walking import is_worth_opening


@pytest.mark.parametrize(
    ("data", "expected"),
    {
        "zip": (zipped({"a/tool": ELF, "a/readme": b"text"}), ["a/tool"]),
        "stored": (zipped({"tool": ELF}, zipfile.ZIP_STORED), ["tool"]),
        "zip-bzip2": (zipped({"tool": ELF}, zipfile.ZIP_BZIP2), ["tool"]),
        "zip-lzma": (zipped({"tool": ELF}, zipfile.ZIP_LZMA), ["tool"]),
        "tar": (tarred({"tool": ELF}, "w"), ["tool"]),
        "tar.gz": (tarred({"package/bin/tool": ELF, "package/cli.js": b"#!/usr/bin/env node\n"}), ["package/bin/tool"]),
        "tar.bz2": (tarred({"tool": ELF}, "w:bz2"), ["tool"]),
        "tar.xz": (tarred({"tool": ELF}, "w:xz"), ["tool"]),
        "gnu long name": (tarred({"d" * 150 + "/tool": ELF}, form=tarfile.GNU_FORMAT), ["d" * 150 + "/tool"]),
        "pax long name": (tarred({"ü" * 150 + "/tool": ELF}), ["ü" * 150 + "/tool"]),
        "old tar": (tarred({"tool": ELF}, form=tarfile.USTAR_FORMAT), ["tool"]),
        "deb": (debian({"./usr/bin/tool": ELF, "./usr/doc/changelog.gz": tarred({}, "w:gz")}), ["usr/bin/tool"]),
        "static library": (ar({"one.o/": ELF}), ["one.o"]),
        "two of one name": (ar({"one.o/": ELF, "one.o": ELF}), ["one.o", "one.o (2)"]),
        "Microsoft's": (ar({"/": b"", "//": b"a_long_name.obj\0b\0", "/0": ELF, "/16": ELF}), ["a_long_name.obj", "b"]),
        "nested": (zipped({"in.tgz": tarred({"tool": ELF})}), ["in.tgz/tool"]),
        "compressed file": (gzip.compress(ELF, mtime=0), ["pack"]),
    }.values(),
)  # fmt: skip
def test_executables_are_found(data: bytes, expected: list[str]):
    report = report_on(data, "pack.gz")
    assert paths(report) == expected
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


def test_a_pipe_in_an_archive_is_a_finding():
    report = report_on(zipped({"pipe": b"", "tool": ELF}, modes={"pipe": stat.S_IFIFO | 0o600}))
    assert (ids(report), paths(report)) == ({"archive-entry"}, ["tool"])


def test_zip_slip_through_a_link_is_a_finding():
    assert ids(report_on(linked("lib", "/etc", {"lib/passwd": ELF}))) == {"archive-entry"}
    link = zipped({"lib": b"/etc", "lib/tool": ELF}, modes={"lib": stat.S_IFLNK | 0o777})
    assert ids(report_on(link)) == {"archive-entry"}


@pytest.mark.parametrize(("link", "name"), [("lib", "LIB/passwd"), ("lib", "LIB"), ("l\xed", "li\u0301/passwd")])
def test_zip_slip_through_a_link_in_other_letters(link: str, name: str):
    """On a Mac's disk both names are one."""
    assert ids(report_on(linked(link, "../etc", {name: ELF}))) == {"archive-entry"}
    assert ids(report_on(linked(link, "share", {name: ELF}))) == set()  # as Linux's packages have it


@pytest.mark.parametrize("layout", ["contents", "Resources", "Wrapper/My.app"])
def test_an_application_of_no_known_layout_is_told(layout: str):
    """macOS starts some of them: its disk does not tell letters' cases apart."""
    macho = b"\xcf\xfa\xed\xfe" + bytes(600)
    report = report_on(zipped({f"My.app/{layout}/Info.plist": b"<plist/>", f"My.app/{layout}/tool": macho}))
    assert "archive-entry" in ids(report)


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


def test_the_folders_of_long_names_count_for_what_they_take(monkeypatch: pytest.MonkeyPatch):
    """Each name has a folder for every second letter of it, which a bundle has by their whole names."""
    monkeypatch.setattr(walking, "MAX_BUNDLE_BYTES", 32 << 20)
    names = {f"A.app/{number}/" + "d/" * 2_000 + "x": b"" for number in range(5)}
    report = report_on(tarred({"A.app/Contents/Info.plist": b"<plist/>", **names}))
    assert ("member-too-large" in ids(report), report.analysed) == (True, False)


def test_long_names_of_a_library_that_lie_over_each_other_take_no_more_time_than_others():
    members = {"//": b"x" * 600_000, **{f"/{number}": b"" for number in range(10_000)}}
    started = time.process_time()
    assert ids(report_on(ar(members))) == {"archive-entry"}
    assert time.process_time() - started < 5


def test_the_same_name_twice_is_a_finding():
    data = zipped({"tool": ELF, "toop": ELF}).replace(b"toop", b"tool")
    report = report_on(data)
    assert ids(report) == {"archive-entry"}
    assert paths(report) == ["tool", "tool"]


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
    for content in (ELF, b"text", zipped({"b": b""})):  # to look at what is no program takes time, too
        late = report_on(tarred({"a": content}), watch=Watch(expired=lambda: True))
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


def test_an_attribute_that_repeats_one_long_text_takes_no_more_than_is_shown():
    """Its binary form has the text once: 60 KB would become 450 MB."""
    value = plistlib.dumps(["x" * 30_000] * 15_000, fmt=plistlib.FMT_BINARY)
    tracemalloc.start()
    told = describe("com.apple.metadata:kMDItemWhereFroms", value)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (told, peak < 4 << 20) == ("x" * 1024, True)


def test_other_attributes_come_from_the_file_beside_the_file():
    where = plistlib.dumps(["https://example.org/x"], fmt=plistlib.FMT_BINARY)
    files = {"tool": ELF, "._tool": apple_double(where, b"com.apple.metadata:kMDItemWhereFroms")}
    files |= {"b": ELF, "._b": apple_double(b"x", b"com.apple.provenance")}
    found = {member.path: member.report.artifact for member in report_on(tarred(files)).members}
    name = "com.apple.metadata:kMDItemWhereFroms"
    assert found["tool"].attributes == {name: "https://example.org/x"}
    assert (found["tool"].quarantine, found["b"].attributes) == (None, None)


@pytest.mark.parametrize(
    ("data", "who"),
    [
        (zipped({"tool": ELF}, modes={"tool": stat.S_IFREG | 0o4755}), "its owner"),
        (zipped({"tool": ELF}, modes={"tool": stat.S_IFREG | 0o2644}), None),
        (tarred({"tool": ELF}, permissions=0o6755), "user 0 and group 0"),
        (tarred({"tool": ELF}, permissions=0o4755, uname="x" * 9999), f"user {'x' * 64}"),
        (tarred({"tool": ELF}, permissions=0o755), None),
    ],
)
def test_a_program_that_runs_as_its_owner_is_told(data: bytes, who: str | None):
    report = report_on(data)
    (member,) = report.members
    assert member.report.artifact.set_id == who
    assert ("bytes, runs as " in REPORTERS["text"](report)) == bool(who)
    told = [finding.detail for finding in member.report.findings if finding.id == "extra-rights"]
    assert told == [f"Outside a sandbox it runs as {who}, whoever starts it: a fault in it gives that away."] * bool(
        who
    )


def test_an_application_inside_is_one_bundle():
    plist = b'<plist version="1.0"><dict><key>CFBundleExecutable</key><string>tool</string></dict></plist>'
    report = report_on(zipped({"My.app/Contents/Info.plist": plist, "My.app/Contents/MacOS/tool": ELF, "other": ELF}))
    assert {member.path: member.report.format for member in report.members} == {"My.app": "bundle", "other": "elf"}


@pytest.mark.parametrize("name", ["tool.gz", "tool", ".gz"])
def test_what_was_compressed_has_a_name_of_its_own_whatever_the_file_is_called(name: str):
    report = report_on(gzip.compress(ELF), name)
    assert (paths(report), report.findings) == ([{".gz": ".gz"}.get(name, "tool")], ())


def test_a_second_file_of_a_name_in_a_bundle_is_not_passed_over():
    """The seal holds over one of the two, and who unpacks may take the other."""
    plist = plistlib.dumps({"CFBundleExecutable": "tool"})
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as file, warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        for name, content in (("Info.plist", plist), ("MacOS/tool", ELF + b"other"), ("MacOS/tool", ELF)):
            file.writestr(f"My.app/Contents/{name}", content)
    report = report_on(packed.getvalue())
    assert (report.analysed, report.verdict.level) == (False, "unknown")
    assert any("second file of that name" in finding.detail for finding in report.findings)


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


def test_a_tar_archive_from_before_ustar_is_opened():
    plain = bytearray(tarred({"tool": ELF}))
    plain[257:265] = bytes(8)  # the mark
    plain[148:156] = b" " * 8
    plain[148:156] = b"%06o\0 " % sum(plain[:512])
    old = bytes(plain)
    assert is_archive(memoryview(old))
    assert is_worth_opening(old[:4096])
    assert paths(report_on(old)) == ["tool"]
    assert paths(report_on(zipped({"more": old}))) == ["more/tool"]
