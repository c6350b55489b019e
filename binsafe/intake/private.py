"""Anonymous files: only this process, and those it passes the descriptor to, can reach their bytes."""

import errno
import fcntl
import os
import sys
import time
from pathlib import Path
from typing import Final

_WAITS: Final = (0.05, 0.2, 0.8)
"""Seconds between tries to seal a file whose pages the kernel holds."""


def private_file(*, in_memory: bool = True) -> int:
    """The descriptor of a new one: ``in_memory`` on Linux, where it can be sealed; else on disk."""
    if in_memory and sys.platform == "linux":
        return os.memfd_create("binsafe-private", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    import tempfile  # with its compressors it would be a tenth of a launch on Linux, where it is unused

    descriptor, path = tempfile.mkstemp(prefix="binsafe-")
    Path(path).unlink()
    return descriptor


def seal(descriptor: int) -> None:
    """Seal a file in memory against any change, by whoever holds a descriptor (Linux, fcntl(2)).

    On a busy machine the kernel itself may hold a page for a moment, which looks to it like somebody's who writes.

    Raises:
        OSError: EBUSY if somebody can write it still.
    """
    if sys.platform != "linux":
        return
    seals = fcntl.F_SEAL_SEAL | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE
    for seconds in (*_WAITS, None):
        try:
            fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, seals)
        except OSError as error:
            if error.errno != errno.EBUSY or seconds is None:
                raise
            time.sleep(seconds)
        else:
            return


def write_all(descriptor: int, data: bytes) -> None:
    """Write all of the data at the descriptor's position."""
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]
