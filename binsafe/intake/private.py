"""Files without a name: their bytes are ours, and of those whom we hand the descriptor."""

import fcntl
import os
import sys
from pathlib import Path


def private_file(*, in_memory: bool = True) -> int:
    """The descriptor of a new one: ``in_memory``, where it can be sealed, on Linux; else on disk."""
    if in_memory and sys.platform == "linux":
        return os.memfd_create("binsafe-private", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    import tempfile  # with its compressors it would be a tenth of a launch on Linux, where it is unused

    descriptor, path = tempfile.mkstemp(prefix="binsafe-")
    Path(path).unlink()
    return descriptor


def seal(descriptor: int) -> None:
    """Let nobody change what is in memory any more, whoever holds it (Linux, fcntl(2))."""
    if sys.platform == "linux":
        seals = fcntl.F_SEAL_SEAL | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE
        fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, seals)


def write_all(descriptor: int, data: bytes) -> None:
    """Write all of it where the descriptor stands."""
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]
