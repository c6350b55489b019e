"""Inspecting bytes, and putting thin Mach-O files into universal ones."""

import hashlib
import struct

from binsafe.inspection import inspect
from binsafe.model import Artifact, Report


def report_on(data: bytes, *, name: str = "artifact", syscalls: bool = False) -> Report:
    """What the inspection says of these bytes."""
    artifact = Artifact(name=name, path=f"/somewhere/{name}", size=len(data), sha256=hashlib.sha256(data).hexdigest())
    return inspect(artifact, memoryview(data), syscalls=syscalls)


def universal(*members: tuple[int, bytes]) -> bytes:
    """A universal Mach-O file of thin ones, each with its processor type (``mach-o/fat.h``), on pages of 16 KiB."""
    page = 0x4000
    content, table, offset = b"", b"", page
    for processor, member in members:
        table += struct.pack(">IIIII", processor, 0, offset, len(member), 14)
        padded = member + b"\0" * (-len(member) % page)
        content, offset = content + padded, offset + len(padded)
    return (struct.pack(">II", 0xCAFEBABE, len(members)) + table).ljust(page, b"\0") + content.rstrip(b"\0")
