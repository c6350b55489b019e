"""Small executables assembled by hand, so that each field of them can be bent by a test.

They are what a linker would make of a program that calls two functions: valid in all that inspection looks at.
"""

import struct

ELF_BASE_SIZE = 0x216F
ELF_PLT, ELF_GOT, ELF_DYNAMIC, ELF_SECTIONS = 0x700, 0x1800, 0x1000, 0x2000
ELF_IMPORTS = ("socket", "connect")
MACHO_TEXT, MACHO_STUBS, MACHO_GOT = 0x1_0000_0800, 0x1_0000_0900, 0x1_0000_4000
MACHO_IMPORTS = ("_socket", "_connect")
PE_BASE, PE_IDATA = 0x1_4000_0000, 0x2000


def put(target: bytearray, offset: int, layout: str, *values: object) -> None:
    struct.pack_into(layout, target, offset, *values)


def universal(*slices: bytes, wide: bool = False, align: int = 14) -> bytes:
    """A universal Mach-O of thin ones, as lipo lays them out."""
    entry = ">iiQQII" if wide else ">iiIII"
    header = bytearray(struct.pack(">II", 0xCAFEBABF if wide else 0xCAFEBABE, len(slices)))
    placed, end = [], len(header) + len(slices) * struct.calcsize(entry)
    for data in slices:
        start = -(-end // (1 << align)) << align
        cpu, subtype = struct.unpack("<ii", data[4:12])
        header += struct.pack(entry, cpu, subtype, start, len(data), align, *([0] if wide else []))
        placed.append((start, data))
        end = start + len(data)
    whole = bytearray(end)
    whole[: len(header)] = header
    for start, data in placed:
        whole[start : start + len(data)] = data
    return bytes(whole)


def elf() -> bytearray:
    """A dynamic x86-64 ELF program with CET stubs and full RELRO; address and offset are the same number."""
    out = bytearray(ELF_BASE_SIZE)
    strings = b"\0libc.so.6\0socket\0connect\0$ORIGIN/lib:/opt/lib\0audit.so\0"
    at = strings.index
    interpreter = b"/lib64/ld-linux-x86-64.so.2\0"
    note = struct.pack("<III4s4s", 4, 4, 3, b"GNU\0", bytes.fromhex("c0ffee01"))
    out[0x200:0x21C], out[0x220 : 0x220 + len(note)] = interpreter, note
    out[0x240 : 0x240 + len(strings)] = strings
    put(out, 0, "<16s", b"\x7fELF\x02\x01\x01")
    put(out, 16, "<HHIQQQIHHHHHH", 3, 62, 1, 0x720, 64, ELF_SECTIONS, 0, 64, 56, 7, 64, 5, 4)
    headers = (
        (1, 5, 0, 0x1000, 0x1000),
        (1, 6, 0x1000, 0x1000, 0x1800),
        (2, 6, ELF_DYNAMIC, 0x200, 0x200),
        (3, 4, 0x200, len(interpreter), len(interpreter)),
        (0x6474E551, 6, 0, 0, 0),
        (0x6474E552, 4, 0x1000, 0x1000, 0x1000),
        (4, 4, 0x220, len(note), len(note)),
    )
    for number, (kind, flags, offset, stored, memory) in enumerate(headers):
        put(out, 64 + 56 * number, "<IIQQQQQQ", kind, flags, offset, offset, offset, stored, memory, 0x1000)
    for number, name in enumerate(ELF_IMPORTS, 1):
        put(out, 0x400 + 24 * number, "<IBBHQQ", at(name.encode()), 0x12, 0, 0, 0, 0)
        slot, stub = ELF_GOT + 8 * number, ELF_PLT + 16 * (number - 1)
        put(out, 0x600 + 24 * (number - 1), "<QQq", slot, number << 32 | 7, 0)
        put(out, stub, "<4s3si", b"\xf3\x0f\x1e\xfa", b"\xf2\xff\x25", slot - (stub + 11))
    put(out, 0x500, "<5I", 1, 3, 1, 2, 0)
    origin = at(b"$ORIGIN")
    dynamic = [(1, at(b"libc")), (29, origin), (4, 0x500), (5, 0x240), (10, len(strings)), (6, 0x400), (11, 24)]
    dynamic += [(23, 0x600), (2, 48), (20, 7), (3, ELF_GOT), (0x6FFFFFFB, 0x0800_0001), (0, 0)]
    for number, entry in enumerate(dynamic):
        put(out, ELF_DYNAMIC + 16 * number, "<QQ", *entry)
    names = b"\0.plt.sec\0.data\0.bss\0.shstrtab\0"
    out[0x2150 : 0x2150 + len(names)] = names
    sections = (
        (names.index(b".plt.sec"), 1, 6, ELF_PLT, ELF_PLT, 32),
        (names.index(b".data"), 1, 3, ELF_GOT, ELF_GOT, 64),
        (names.index(b".bss"), 8, 3, 0x2000, 0x2000, 0x800),
        (names.index(b".shstrtab"), 3, 0, 0, 0x2150, len(names)),
    )
    for number, (name, kind, flags, address, offset, size) in enumerate(sections, 1):
        put(out, ELF_SECTIONS + 64 * number, "<IIQQQQ", name, kind, flags, address, offset, size)
    return out


def macho(*, file_type: int = 2, extra: bytes = b"", extra_count: int = 0) -> bytearray:
    """A dynamic arm64 Mach-O program with chained fixups, stubs and a linker-made layout."""
    out = bytearray(0x8400)
    names = b"\0_main\0" + b"".join(name.encode() + b"\0" for name in MACHO_IMPORTS)
    # Link-edit data: symbols, their names, indirect symbols (stubs, then pointers), fixups.
    put(out, 0x8000, "<IBBHQ", 1, 0x0F, 1, 0, MACHO_TEXT)
    for number, name in enumerate(MACHO_IMPORTS, 1):
        put(out, 0x8000 + 16 * number, "<IBBHQ", names.index(name.encode()), 1, 0, 0x100, 0)
    out[0x8040 : 0x8040 + len(names)] = names
    put(out, 0x8080, "<4I", 1, 2, 1, 2)
    put(out, 0x8100, "<7I", 0, 32, 0x60, 0x68, 2, 1, 0)
    put(out, 0x8120, "<5I", 4, 0, 0, 24, 0)
    put(out, 0x8138, "<IHHQIHH", 24, 0x4000, 6, 0x4000, 0, 1, 0)
    for number in range(len(MACHO_IMPORTS)):
        put(out, 0x8160 + 4 * number, "<I", 1 | (1 + sum(len(n) + 1 for n in MACHO_IMPORTS[:number])) << 9)
        put(out, 0x4000 + 8 * number, "<Q", 1 << 63 | (2 << 51 if number == 0 else 0) | number)
        stub = 0x900 + 12 * number
        put(out, stub, "<III", 0x9000_0030, 0xF940_0210 | number << 10, 0xD61F_0200)
    out[0x8168 : 0x8168 + len(names)] = b"\0" + b"".join(name.encode() + b"\0" for name in MACHO_IMPORTS) + bytes(6)
    commands = [
        _segment(b"__PAGEZERO", 0, 1 << 32, 0, 0, 0),
        _segment(
            b"__TEXT",
            1 << 32,
            0x4000,
            0,
            0x4000,
            5,
            (b"__text", MACHO_TEXT, 16, 0x800, 0x8000_0400, 0, 0),
            (b"__stubs", MACHO_STUBS, 24, 0x900, 0x8000_0408, 0, 12),
        ),
        _segment(b"__DATA_CONST", MACHO_GOT, 0x4000, 0x4000, 0x4000, 3, (b"__got", MACHO_GOT, 16, 0x4000, 6, 2, 0)),
        _segment(b"__LINKEDIT", 0x1_0000_8000, 0x4000, 0x8000, 0x400, 1),
        struct.pack("<4I", 0x8000_0034, 16, 0x8100, 0x100),
        struct.pack("<6I", 2, 24, 0x8000, 3, 0x8040, len(names)),
        struct.pack("<20I", 0xB, 80, *([0] * 12), 0x8080, 4, *([0] * 4)),
        _named(0xE, b"/usr/lib/dyld", 12),
        _named(0xC, b"/usr/lib/libSystem.B.dylib", 24),
        _named(0x8000_0018, b"@rpath/weak.dylib", 24),
        _named(0x8000_001C, b"@executable_path/lib", 12),
        struct.pack("<II16s", 0x1B, 24, bytes(range(16))),
        struct.pack("<8I", 0x32, 32, 1, 0xD0000, 0xE0501, 1, 3, 0x41D0C00),
        struct.pack("<IIQQ", 0x8000_0028, 24, 0x800, 0),
    ]
    body = b"".join(commands) + extra
    header = ("<IiiIIIII", 0xFEEDFACF, 0x0100_000C, 0, file_type, len(commands) + extra_count, len(body), 0x20_0085, 0)
    put(out, 0, *header)
    out[32 : 32 + len(body)] = body
    return out


def _segment(
    name: bytes, address: int, memory: int, offset: int, size: int, protection: int, *sections: tuple
) -> bytes:
    head = struct.pack("<16sQQQQiiII", name, address, memory, offset, size, protection, protection, len(sections), 0)
    rows = [
        struct.pack("<16s16sQQ8I", section, name, at, length, start, 2, 0, 0, flags, first, second, 0)
        for section, at, length, start, flags, first, second in sections
    ]
    body = head + b"".join(rows)
    return struct.pack("<II", 0x19, 8 + len(body)) + body


def _named(kind: int, name: bytes, start: int) -> bytes:
    text = name + bytes(8 - len(name) % 8)
    return struct.pack("<III", kind, start + len(text), start).ljust(start, b"\0") + text


def pe(*, imports: int = 1, entries: int = 2, certificate: bytes = b"") -> bytearray:
    """An x86-64 PE program that imports ``connect`` by its ordinal, ``send`` by its name and delays another library.

    ``imports`` descriptors share one list of ``entries`` names.
    """
    data = bytearray(0x1000 + 8 * entries + 20 * imports)
    names = {b"ws2_32.dll\0": 0, b"\0\0send\0": 0x10, b"slow.dll\0": 0x20, b"\0\0later\0": 0x30}
    for name, at in names.items():
        data[at : at + len(name)] = name
    thunks, delayed = 0x100, 0x60
    put(data, thunks, f"<{entries}Q", 1 << 63 | 4, *([PE_IDATA + 0x10] * (entries - 1)))
    table = thunks + 8 * (entries + 1)
    for number in range(imports):
        put(data, table + 20 * number, "<5I", PE_IDATA + thunks, 0, 0, PE_IDATA, PE_IDATA + thunks)
    put(data, 0x48, "<Q", PE_IDATA + 0x30)
    put(data, delayed, "<8I", 1, PE_IDATA + 0x20, 0, PE_IDATA + 0x48, PE_IDATA + 0x48, 0, 0, 0)
    raw = -(-len(data) // 512) * 512
    data = data.ljust(raw, b"\0")
    optional = bytearray(240)
    put(optional, 0, "<H14xI4xQII", 0x20B, 0x1000, PE_BASE, 0x1000, 0x200)
    put(optional, 56, "<IIIHH", PE_IDATA + -(-raw // 0x1000) * 0x1000, 0x400, 0, 3, 0x4160)
    put(optional, 108, "<I", 16)
    put(optional, 112 + 8 * 1, "<II", PE_IDATA + table, 20 * (imports + 1))
    put(optional, 112 + 8 * 13, "<II", PE_IDATA + delayed, 64)
    if certificate:
        put(optional, 112 + 8 * 4, "<II", 0x600 + raw, len(certificate))
    section = "<8sIIIIIIHHI"
    head = b"MZ".ljust(60, b"\0") + struct.pack("<I", 64) + b"PE\0\0"
    head += struct.pack("<HHIIIHH", 0x8664, 2, 0, 0, 0, 240, 0x22) + optional
    head += struct.pack(section, b".text", 0x10, 0x1000, 0x200, 0x400, 0, 0, 0, 0, 0x6000_0020)
    head += struct.pack(section, b".idata", raw, PE_IDATA, raw, 0x600, 0, 0, 0, 0, 0xC000_0040)
    return bytearray(head.ljust(0x400, b"\0") + b"\xc3".ljust(0x200, b"\0") + bytes(data) + certificate)
