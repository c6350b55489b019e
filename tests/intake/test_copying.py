"""Copying and hashing side by side: the digest is that of what lies there, however it came there."""

import hashlib
import mmap
import os
from pathlib import Path

import pytest

from binsafe.intake import copying

PAGE = mmap.ALLOCATIONGRANULARITY

pytestmark = pytest.mark.skipif(not hasattr(os, "memfd_create"), reason="memory files are Linux's")


@pytest.mark.parametrize("size", [0, 1, PAGE - 1, PAGE, PAGE + 1, 5 * PAGE, 5 * PAGE + 7])
def test_several_files_one_behind_the_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int):
    monkeypatch.setattr(copying, "PIECE", PAGE)
    contents = [os.urandom(size) for _ in range(5)]  # more than there are processors, here at least
    starts = range(0, 40 * PAGE, 8 * PAGE)
    monkeypatch.setattr(copying.os, "cpu_count", lambda: 2)
    target = os.memfd_create("target", 0)
    copied = []
    with copying.Hashing() as hashing:
        for start, content in zip(starts, contents, strict=True):
            (tmp_path / "file").write_bytes(content)
            os.lseek(target, start, os.SEEK_SET)
            with open(tmp_path / "file", "rb") as source:
                copied.append(hashing.copy(source.fileno(), target, 1 << 40 if start else size, start))
    for start, content, (count, digest) in zip(starts, contents, copied, strict=True):
        assert (count, digest.digest()) == (size, hashlib.sha256(content).digest())
        assert os.pread(target, size, start) == content
    os.close(target)


def test_it_is_the_copy_that_is_hashed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Between reading and hashing, somebody writes into the file; and what is there beyond the limit is left out."""
    (tmp_path / "file").write_bytes(bytes(3 * PAGE))
    send = os.sendfile

    def send_and_change(target: int, source: int, offset: int, count: int) -> int:
        sent = send(target, source, offset, count)
        (tmp_path / "file").write_bytes(b"x" * 3 * PAGE)
        return sent

    monkeypatch.setattr(copying.os, "sendfile", send_and_change)
    target = os.memfd_create("target", 0)
    with open(tmp_path / "file", "rb") as source, copying.Hashing() as hashing:
        copied, digest = hashing.copy(source.fileno(), target, 2 * PAGE)
    assert (copied, digest.digest()) == (2 * PAGE, hashlib.sha256(bytes(2 * PAGE)).digest())
    os.close(target)


def test_an_error_of_any_thread_is_raised(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The second file is hashed by another thread than the first; no mapping has that start."""
    (tmp_path / "file").write_bytes(b"x")
    monkeypatch.setattr(copying.os, "cpu_count", lambda: 2)
    target = os.memfd_create("target", 0)

    def copy_two() -> None:
        with open(tmp_path / "file", "rb") as source, copying.Hashing() as hashing:
            hashing.copy(source.fileno(), target, 1)
            source.seek(0)
            hashing.copy(source.fileno(), target, 1, start=40 * PAGE)

    with pytest.raises((OSError, ValueError)):
        copy_two()
    os.close(target)


def test_what_cannot_be_hashed_is_an_error_and_not_a_digest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def refuse(*_: object, **__: object) -> None:
        raise OSError("no room for a mapping")

    (tmp_path / "file").write_bytes(b"x")
    monkeypatch.setattr(copying.mmap, "mmap", refuse)
    target = os.memfd_create("target", 0)
    source = (tmp_path / "file").open("rb")
    with pytest.raises(OSError, match="no room"), source, copying.Hashing() as hashing:
        hashing.copy(source.fileno(), target, 1)
    os.close(target)
