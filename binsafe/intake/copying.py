"""Copying and hashing whole files without holding up whoever runs beside it: one long call each, outside Python."""

import hashlib
import mmap
import os


def send(source: int, target: int, count: int) -> int:
    """Append the first ``count`` bytes of a file to another; returns how many there were."""
    done = 0
    while done < count and (sent := os.sendfile(target, source, done, count - done)):
        done += sent
    return done


def sha256(descriptor: int, size: int, start: int = 0) -> str:
    """The digest of ``size`` bytes of a file; ``start`` is a multiple of a page."""
    if size == 0:
        return hashlib.sha256().hexdigest()
    with mmap.mmap(descriptor, size, offset=start, access=mmap.ACCESS_READ) as view:
        return hashlib.sha256(view).hexdigest()
