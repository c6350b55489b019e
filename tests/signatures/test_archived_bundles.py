"""A signed application in an archive, below a folder that is called as one or below none."""

import hashlib
import io
import stat
import tarfile
import zipfile
from collections.abc import Callable, Mapping

import pytest
from built_bundle import RESOURCE, Content, Link
from inspected_bundle import APP, SEAL
from signed_macho import RESOURCES, Recipe

from binsafe.archives import inspect
from binsafe.model import Artifact, Report

ELSEWHERE = Recipe(outside={RESOURCES: b"x"}, code_size=4096).build()
"""A program that seals resources."""


def zipped(contents: Mapping[str, Content]) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, one in contents.items():
            info = zipfile.ZipInfo(name)
            info.external_attr = (stat.S_IFLNK | 0o777 if isinstance(one, Link) else stat.S_IFREG | 0o644) << 16
            archive.writestr(info, one.target if isinstance(one, Link) else one)
    return packed.getvalue()


def tarred(contents: Mapping[str, Content]) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for name, one in contents.items():
            info = tarfile.TarInfo(f"./{name}")
            if isinstance(one, Link):
                info.type, info.linkname = tarfile.SYMTYPE, one.target
                archive.addfile(info)
            else:
                info.size = len(one)
                archive.addfile(info, io.BytesIO(one))
    return packed.getvalue()


def report_on(data: bytes) -> Report:
    artifact = Artifact(name="pack", path="/x/pack", size=len(data), sha256=hashlib.sha256(data).hexdigest())
    return inspect(artifact, memoryview(data), syscalls=False)


def below(folder: str, contents: Mapping[str, Content]) -> dict[str, Content]:
    return {folder + path: one for path, one in contents.items()}


@pytest.mark.parametrize("pack", [zipped, tarred])
@pytest.mark.parametrize(
    ("folder", "member"), [("", "Contents"), ("My.app/", "My.app"), ("My/", "My"), ("a/My.jdk/", "a/My.jdk")]
)
def test_the_seal_of_an_archived_application(pack: Callable[[Mapping[str, Content]], bytes], folder: str, member: str):
    report = report_on(pack(below(folder, APP)))
    assert [(one.path, one.report.format) for one in report.members] == [(member, "bundle")]
    [main, *_] = report.members[0].report.members
    assert (main.report.artifact.path, report.verdict.level) == (f"/x/pack/{folder}Contents/MacOS/App", "ok")
    assert report_on(pack(below(folder, APP | {RESOURCE: b"other"}))).verdict.level == "danger"
    unsealed = {path: one for path, one in APP.items() if path != SEAL}
    assert report_on(pack(below(folder, unsealed))).verdict.level == "danger"


def test_contents_of_an_archive_inside_another_one():
    report = report_on(zipped({"in.zip": zipped(APP), "tool": ELSEWHERE}))
    assert {one.path: one.report.format for one in report.members} == {"in.zip": "bundle", "tool": "mach-o"}


def test_what_lies_beside_contents_is_looked_at_by_itself():
    report = report_on(zipped(APP | {"tool": ELSEWHERE, "My.app/x": b""}))
    assert {one.path for one in report.members} == {"Contents", "tool"}


def test_any_other_contents_are_looked_at_one_by_one():
    files = {"tool": ELSEWHERE, "in.zip": zipped({"more": ELSEWHERE}), "Resources/Info.plist": b"<plist/>"}
    report = report_on(zipped(below("Contents/", files)))
    assert [one.path for one in report.members] == ["Contents/tool", "Contents/in.zip/more"]
    assert report.findings == ()


def test_a_program_whose_bundle_is_not_known_is_never_good():
    """What its signature vouches for may have been changed or taken away."""
    [member] = report_on(zipped({"tool": ELSEWHERE})).members
    [part] = member.report.slices
    assert (part.signature.status, member.report.verdict.level) == ("unknown", "caution")
