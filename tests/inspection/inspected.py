"""Inspecting bytes, and putting thin Mach-O files into universal ones."""

import hashlib
import struct

from binsafe.inspection import inspect
from binsafe.model import Artifact, Report


def report_on(data: bytes, *, name: str = "artifact", syscalls: bool = False) -> Report:
    """What the inspection says of these bytes."""
    artifact = Artifact(name=name, path=f"/somewhere/{name}", size=len(data), sha256=hashlib.sha256(data).hexdigest())
    return inspect(artifact, memoryview(data), syscalls=syscalls)


def universal(*members: bytes) -> bytes:
    """A universal Mach-O file of thin ones (``mach-o/fat.h``), on pages of 16 KiB."""
    page = 0x4000
    table, content = b"", b""
    for member in members:
        content += b"\0" * (-len(content) % page)
        processor = struct.unpack_from("<II", member, 4)
        table += struct.pack(">IIIII", *processor, page + len(content), len(member), 14)
        content += member
    return (struct.pack(">II", 0xCAFEBABE, len(members)) + table).ljust(page, b"\0") + content
