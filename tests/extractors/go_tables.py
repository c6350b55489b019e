"""Go's function tables of all four versions, written as its linkers wrote them."""

import struct

from minimal_slices import DATA, TEXT, minimal

from binsafe.model import Slice

MAGICS = {"1.2": 0xFFFFFFFB, "1.16": 0xFFFFFFFA, "1.18": 0xFFFFFFF0, "1.20": 0xFFFFFFF1}
FUNCTIONS = {"runtime.main": 0x00, "main.main": 0x40, "net.(*netFD).connect": 0x80}
END = 0xC0


def table(
    version: str, *, pointer: int = 8, order: str = "<", text: int = TEXT, header_text: int | None = None
) -> bytes:
    """A table with :data:`FUNCTIONS`; ``header_text`` is what its header says of ``runtime.text``."""
    word = order + {4: "I", 8: "Q"}[pointer]
    relative = version in {"1.18", "1.20"}
    names = b"\0" + b"".join(name.encode() + b"\0" for name in FUNCTIONS)
    entry = order + "I" if relative else word
    origin = 0 if relative else text
    header_size = 8 + (1 if version == "1.2" else 8) * pointer
    table_size = (2 * len(FUNCTIONS) + 1) * struct.calcsize(entry)
    infos_at = header_size + table_size + len(names) if version == "1.2" else table_size
    rows, infos, name_at = b"", b"", 1 + (header_size + table_size if version == "1.2" else 0)
    for name, offset in FUNCTIONS.items():
        rows += struct.pack(entry, origin + offset) + struct.pack(entry, infos_at + len(infos))
        infos += struct.pack(entry, origin + offset) + struct.pack(order + "i", name_at)
        name_at += len(name) + 1
    rows += struct.pack(entry, origin + END)
    start = struct.pack(order + "IBBBB", MAGICS[version], 0, 0, 1, pointer)
    if version == "1.2":
        return start + struct.pack(word, len(FUNCTIONS)) + rows + names + infos
    places = [header_size, 0, 0, 0, header_size + len(names)]  # names, units, files, lines, functions
    said = [(text if header_text is None else header_text)] if relative else []
    words = [len(FUNCTIONS), 0, *said, *places]
    return start + b"".join(struct.pack(word, w) for w in [*words, 0][:8]) + names + rows + infos


def go_slice(data: bytes, **changes: object) -> Slice:
    """A program that maps ``data``, a table, at an address of its own."""
    return minimal(data, **changes)


def with_moduledata(data: bytes, *, text: int = TEXT) -> bytes:
    """The table, and behind it a ``moduledata`` as the runtime reads it, which is what names ``runtime.text``."""
    padded = data + b"\0" * (-len(data) % 8)
    words = [DATA, *[0] * 21, text, text + END]
    return padded + struct.pack(f"<{len(words)}Q", *words)
