"""Anonymous files: only this process, and those it passes the descriptor to, can reach their bytes."""

import fcntl
import os
import sys
from pathlib import Path


def private_file(*, in_memory: bool = True) -> int:
    """The descriptor of a new one: ``in_memory`` on Linux, where it can be sealed; else on disk."""
    if in_memory and sys.platform == "linux":
        return os.memfd_create("binsafe-private", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    import tempfile  # with its compressors it would be a tenth of a launch on Linux, where it is unused

    descriptor, path = tempfile.mkstemp(prefix="binsafe-")
    Path(path).unlink()
    return descriptor


def seal(descriptor: int) -> None:
    """Seal a file in memory against any change, by whoever holds a descriptor (Linux, fcntl(2))."""
    if sys.platform == "linux":
        seals = fcntl.F_SEAL_SEAL | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE
        fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, seals)


def write_all(descriptor: int, data: bytes) -> None:
    """Write all of the data at the descriptor's position."""
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]
