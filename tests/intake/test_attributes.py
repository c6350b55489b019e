"""What a file system notes beside a file's bytes, and what is said of it."""

import errno
import os
import plistlib
import struct
import sys
from pathlib import Path

import pytest

from binsafe.containers.attributes import describe
from binsafe.intake import Snapshot, attributes
from binsafe.intake.finding import Found

RIGHTS = struct.pack("<5I", 0x2000001, 1 << 13, 0, 1 << 8, 0)


def nested(depth: int) -> bytes:
    """A list of two lists of two lists ...: a few bytes, and text without end where they are written out."""
    inner: list[object] = []
    for _ in range(depth):
        inner = [inner, inner]
    return plistlib.dumps(inner, fmt=plistlib.FMT_BINARY)


NESTED = nested(15)


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("user.xdg.origin.url", b"https://example.org/tool", "https://example.org/tool"),
        ("user.xdg.origin.url", b"\xff", "1 bytes"),
        ("com.apple.metadata:kMDItemWhereFroms", plistlib.dumps(["a", "b"], fmt=plistlib.FMT_BINARY), "a, b"),
        ("com.apple.metadata:kMDItemWhereFroms", b"bplist00 broken", "15 bytes"),
        ("com.apple.metadata:kMDItemWhereFroms", NESTED, f"{len(NESTED)} bytes"),
        ("security.capability", RIGHTS, "cap_net_raw, cap_checkpoint_restore"),
        ("security.capability", RIGHTS[:7], "7 bytes"),
        ("com.apple.ResourceFork", bytes(5000), "5,000 bytes"),
        ("user.xdg.referrer.url", b"x" * 9999, "x" * 1024),
    ],
)
def test_an_attribute_in_words(name: str, value: bytes, said: str):
    assert describe(name, value) == said


@pytest.mark.skipif(sys.platform != "linux", reason="attributes are set with Linux's calls")
def test_what_is_noted_beside_a_file_is_in_the_report(tmp_path: Path):
    program = tmp_path / "tool"
    program.write_bytes(b"\x7fELF")
    with Snapshot.take(Found("tool", program)) as plain:
        assert (plain.artifact.quarantine, plain.artifact.attributes) == (None, None)
    try:
        os.setxattr(program, "user.xdg.origin.url", b"https://example.org/tool")
        os.setxattr(program, "user.com.apple.quarantine", b"0083;65a1b2c3;Safari;")
        os.setxattr(program, "user.data", bytes(300))
    except OSError as error:
        if error.errno in {errno.ENOTSUP, errno.EPERM}:
            pytest.skip(f"this file system keeps no attributes: {error.strerror}")
        raise
    with Snapshot.take(Found("tool", program)) as snapshot:
        assert snapshot.artifact.attributes == {
            "user.data": "300 bytes",
            "user.xdg.origin.url": "https://example.org/tool",
        }
        assert snapshot.artifact.quarantine is not None
        assert snapshot.artifact.quarantine["agent"] == "Safari"


def test_as_whom_a_file_runs_is_in_the_report(tmp_path: Path):
    program = tmp_path / "tool"
    program.write_bytes(b"\x7fELF")
    told = []
    for mode in (0o755, 0o4755, 0o2755):
        program.chmod(mode)
        with Snapshot.take(Found("tool", program)) as snapshot:
            told.append(snapshot.artifact.set_id)
    assert told == [None, f"user {os.geteuid()}", f"group {os.getegid()}"]


def test_of_very_many_attributes_those_that_give_rights_are_told(monkeypatch: pytest.MonkeyPatch):
    """Whoever makes a file chooses what stands before them."""
    monkeypatch.setattr(os, "listxattr", lambda _: [*(f"user.{n}" for n in range(99)), "security.capability"])
    monkeypatch.setattr(os, "getxattr", lambda *_: b"")
    assert "security.capability" in (attributes.others(0) or {})


@pytest.mark.skipif(not hasattr(os, "listxattr"), reason="this system has no such call")
def test_attributes_that_cannot_be_read_are_not_none(monkeypatch: pytest.MonkeyPatch):
    def refused(_: int) -> list[str]:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(os, "listxattr", refused)
    assert attributes.others(0) == {"unknown": "Permission denied"}


@pytest.mark.skipif(sys.platform != "linux", reason="sets the attribute as Linux does")
def test_quarantine_of_the_file_itself(tmp_path: Path):
    path = tmp_path / "f"
    path.write_bytes(b"x")
    try:
        os.setxattr(path, "user.com.apple.quarantine", b"0081;65a1b2c3;Firefox;")
    except OSError:
        pytest.skip("this file system keeps no attributes of users")
    with Snapshot.take(Found("f", path)) as snapshot:
        assert snapshot.artifact.quarantine == {
            "flags": "0081",
            "time": "2024-01-12T21:44:35+00:00",
            "agent": "Firefox",
        }


@pytest.mark.skipif(sys.platform != "linux", reason="sets the attribute as Linux does")
@pytest.mark.parametrize(
    ("mark", "noted"),
    [
        (b"0081", {"flags": "0081"}),
        (b"0081;;" + b"x" * 3000 + b";", {"flags": "0081", "agent": "x" * 1018}),
        (b"", {"unknown": "the mark is empty"}),
    ],
    ids=["flags", "long", "empty"],
)
def test_a_mark_that_is_no_usual_one_is_a_mark(tmp_path: Path, mark: bytes, noted: dict[str, str]):
    path = tmp_path / "f"
    path.write_bytes(b"x")
    try:
        os.setxattr(path, "user.com.apple.quarantine", mark)
    except OSError:
        pytest.skip("this file system keeps no attributes of users")
    with path.open("rb") as file:
        assert attributes.quarantine(file.fileno()) == noted


@pytest.mark.skipif(sys.platform != "linux", reason="O_PATH is Linux's")
def test_a_mark_that_cannot_be_read_is_unknown(tmp_path: Path):
    (tmp_path / "f").write_bytes(b"x")
    (tmp_path / "g").write_bytes(b"x")
    descriptor = os.open(tmp_path / "f", os.O_PATH)  # may not be asked for attributes
    assert attributes.quarantine(descriptor) == {"unknown": os.strerror(errno.EBADF)}
    os.close(descriptor)
    with (tmp_path / "g").open("rb") as file:
        assert attributes.quarantine(file.fileno()) is None
