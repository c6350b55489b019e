"""Archives made here, whole and broken, with a small program inside."""

import io
import stat
import struct
import tarfile
import zipfile
from collections.abc import Mapping

ELF = (
    b"\x7fELF\x02\x01\x01" + bytes(9) + struct.pack("<HHIQQQIHHHHHH", 2, 62, 1, 0x401000, 64, 0, 0, 64, 56, 1, 0, 0, 0)
    + struct.pack("<IIQQQQQQ", 1, 5, 0, 0x400000, 0x400000, 0x1003, 0x1003, 0x1000)
).ljust(0x1000, b"\0") + b"\x0f\x05\xc3"  # fmt: skip
"""A static program for Linux: one system call."""


def zipped(files: Mapping[str, bytes], method: int = zipfile.ZIP_DEFLATED, modes: Mapping[str, int] = {}) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", method) as archive:
        for name, data in files.items():
            info = zipfile.ZipInfo(name)
            info.compress_type = method
            info.external_attr = modes.get(name, stat.S_IFREG | 0o644) << 16
            archive.writestr(info, data)
    return packed.getvalue()


def tarred(
    files: Mapping[str, bytes],
    mode: str = "w:gz",
    form: int = tarfile.PAX_FORMAT,
    permissions: int = 0o644,
    uname: str = "",
) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode=mode, format=form) as archive:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size, info.mode, info.uname = len(data), permissions, uname
            archive.addfile(info, io.BytesIO(data))
    return packed.getvalue()


def linked(name: str, target: str, then: Mapping[str, bytes], kind: bytes = tarfile.SYMTYPE) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        info = tarfile.TarInfo(name)
        info.type, info.linkname = kind, target
        archive.addfile(info)
        for path, data in then.items():
            info = tarfile.TarInfo(path)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return packed.getvalue()


def ar(files: Mapping[str, bytes]) -> bytes:
    parts = [b"!<arch>\n"]
    for name, data in files.items():
        parts += [
            f"{name:<16}{0:<12}{0:<6}{0:<6}{'100644':<8}{len(data):<10}`\n".encode(),
            data,
            b"\n" * (len(data) % 2),
        ]
    return b"".join(parts)


def debian(files: Mapping[str, bytes]) -> bytes:
    control = tarred({"./control": b"Package: x\n"})
    return ar({"debian-binary": b"2.0\n", "control.tar.gz": control, "data.tar.xz": tarred(files, "w:xz")})


def apple_double(value: bytes, attribute: bytes = b"com.apple.quarantine") -> bytes:
    """The file that macOS puts beside one with an attribute."""
    name = attribute + b"\0"
    at = 120 + (11 + len(name) + 3 & ~3)
    entry = struct.pack(">LLHB", at, len(value), 0, len(name)) + name
    attributes = struct.pack(">4sLLLL12xHH", b"ATTR", 0, at + len(value), at, len(value), 0, 1) + entry
    head = struct.pack(">LL16xHLLLLLL", 0x00051607, 0x00020000, 2, 9, 50, at - 50 + len(value), 2, 0, 0)
    return (head + bytes(34) + attributes).ljust(at, b"\0") + value
