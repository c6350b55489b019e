"""ELF files that are nothing but headers and a dynamic section: all that a loader reads to find libraries."""

import struct
from pathlib import Path

MACHINES = {"x86_64": 62, "arm64": 183}
NEEDED, STRTAB, SYMTAB, STRSZ, SONAME, RPATH, RUNPATH, FLAGS_1 = 1, 5, 6, 10, 14, 15, 29, 0x6FFFFFFB
NO_SYMBOL = bytes(24)  # the first entry of each table of symbols (elf(5))


def shared_object(
    *needed: str,
    soname: str | None = None,
    rpath: str | None = None,
    runpath: str | None = None,
    interpreter: str | None = None,
    arch: str = "x86_64",
    flags_1: int = 0,
) -> bytes:
    strings = bytearray(b"\0")

    def named(text: str) -> int:
        strings.extend(text.encode() + b"\0")
        return len(strings) - len(text) - 1

    entries = [(NEEDED, named(name)) for name in needed]
    entries += [(tag, named(t)) for tag, t in ((SONAME, soname), (RPATH, rpath), (RUNPATH, runpath)) if t is not None]
    loader = named(interpreter) if interpreter is not None else 0
    size = 16 * (len(entries) + 5)
    strings_at = 64 + 56 * 3 + size
    symbols_at = strings_at + len(strings)
    entries += [(STRTAB, strings_at), (STRSZ, len(strings)), (SYMTAB, symbols_at), (FLAGS_1, flags_1), (0, 0)]
    end = symbols_at + len(NO_SYMBOL)
    headers = [(1, 5, 0, end), (2, 6, 64 + 56 * 3, size), (0, 0, 0, 0)]
    if interpreter is not None:
        headers[2] = (3, 4, strings_at + loader, len(interpreter) + 1)
    head = struct.pack("<16sHHIQQQIHHHHHH", b"\x7fELF\2\1\1", 3, MACHINES[arch], 1, 0, 64, 0, 0, 64, 56, 3, 64, 0, 0)
    table = b"".join(struct.pack("<IIQQQQQQ", t, f, at, at, at, n, n, 1) for t, f, at, n in headers)
    return head + table + b"".join(struct.pack("<QQ", *e) for e in entries) + bytes(strings) + NO_SYMBOL


def install(root: Path, path: str, data: bytes) -> None:
    target = root / path.lstrip("/")
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(data)
