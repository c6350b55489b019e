"""Files in memory that nobody can change any more."""

import errno
import fcntl
import mmap
import os
import sys
import threading

import pytest

from binsafe.intake import private

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="files in memory are sealed on Linux")


def test_a_file_is_sealed_once_nobody_can_write_it_any_more():
    descriptor = private.private_file()
    os.ftruncate(descriptor, mmap.PAGESIZE)
    writable = mmap.mmap(descriptor, mmap.PAGESIZE)
    threading.Timer(0.02, writable.close).start()
    private.seal(descriptor)
    assert fcntl.fcntl(descriptor, fcntl.F_GET_SEALS) & fcntl.F_SEAL_WRITE
    os.close(descriptor)


def test_a_file_that_stays_writable_is_not_called_sealed(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(private, "_WAITS", (0.01,))
    descriptor = private.private_file()
    os.ftruncate(descriptor, mmap.PAGESIZE)
    with mmap.mmap(descriptor, mmap.PAGESIZE), pytest.raises(OSError, match="busy") as refused:
        private.seal(descriptor)
    assert refused.value.errno == errno.EBUSY
    os.close(descriptor)
