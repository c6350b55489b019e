"""Builds small signed Mach-O files, and reads just enough of any thin 64-bit one to hand it to the verifier as a Slice.

Written from the same headers as the verifier (mach-o/loader.h, cs_blobs.h) but sharing no code with it.
"""

import hashlib
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from binsafe.model import Section, Segment, Slice

ADHOC, RUNTIME, LINKER_SIGNED = 0x2, 0x10000, 0x20000
SHA1, SHA256, SHA256_TRUNCATED, SHA384 = 1, 2, 3, 4
REQUIREMENTS, RESOURCES, XML, DER, CMS = 2, 3, 5, 7, 0x10000
MAGIC = {REQUIREMENTS: 0xFADE0C01, XML: 0xFADE7171, DER: 0xFADE7172, CMS: 0xFADE0B01}
NO_REQUIREMENTS = struct.pack(">I", 0)

_HASHES: Mapping[int, tuple[str, int]] = {
    SHA1: ("sha1", 20),
    SHA256: ("sha256", 32),
    SHA256_TRUNCATED: ("sha256", 20),
    SHA384: ("sha384", 48),
}
_HEADER_SIZE = 0x1000


def hashed(kind: int, data: bytes) -> bytes:
    name, size = _HASHES[kind]
    return hashlib.new(name, data).digest()[:size]


def blob(magic: int, payload: bytes) -> bytes:
    return struct.pack(">II", magic, 8 + len(payload)) + payload


def superblob(blobs: Mapping[int, bytes]) -> bytes:
    offset = 12 + 8 * len(blobs)
    index, body = b"", b""
    for slot, data in blobs.items():
        index += struct.pack(">II", slot, offset + len(body))
        body += data
    return struct.pack(">III", 0xFADE0CC0, offset + len(body), len(blobs)) + index + body


@dataclass(frozen=True, kw_only=True)
class Directory:
    """What one CodeDirectory says; ``limit`` and ``slots`` lie where they are given."""

    hash: int = SHA256
    identifier: bytes = b"org.example.tool"
    team: bytes = b""
    flags: int = ADHOC
    page_shift: int = 12
    version: int = 0x20500
    runtime: int = 0
    limit: int | None = None
    slots: int | None = None
    scatter: int = 0
    exec_flags: int = 0

    def build(self, code: bytes, special: Mapping[int, bytes]) -> bytes:
        """The directory's blob; ``special`` maps slots to what they seal, or to nothing for a hash of zeros."""
        size = _HASHES[self.hash][1]
        limit = len(code) if self.limit is None else self.limit
        step = 1 << self.page_shift if self.page_shift else max(limit, 1)
        pages = [hashed(self.hash, code[at : min(at + step, limit)]) for at in range(0, limit, step)]
        pages = pages if self.slots is None else (pages + pages * self.slots)[: self.slots]
        count = max(special, default=0)
        specials = [hashed(self.hash, special[n]) if special.get(n) else bytes(size) for n in range(count, 0, -1)]
        names = self.identifier + b"\0" + (self.team + b"\0" if self.team else b"")
        header = 96
        hashes = header + len(names) + count * size
        team = header + len(self.identifier) + 1 if self.team else 0
        body = struct.pack(
            ">7I4B4IQ3Q2I",
            self.version, self.flags, hashes, header, count, len(pages), limit,
            size, self.hash, 0, self.page_shift, 0,
            self.scatter, team, 0, 0, 0, 0, self.exec_flags, self.runtime, 0,
        )  # fmt: skip
        return blob(0xFADE0C02, body + names + b"".join(specials) + b"".join(pages))


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """A file to be signed: which components it has, and whether each is sealed."""

    directories: tuple[Directory, ...] = (Directory(),)
    info_plist: bytes = b""
    components: Mapping[int, bytes] = field(default_factory=dict)
    """Payloads of blobs by slot."""
    outside: Mapping[int, bytes] = field(default_factory=dict)
    """What is sealed and is not in the file."""
    unsealed: frozenset[int] = frozenset()
    cms: Callable[..., bytes] | None = None
    """Makes the CMS structure for the CodeDirectories, the primary one first."""
    code_size: int = 5 * 4096 + 123
    slack: bytes = b""
    """What stands in the signature's range behind the SuperBlob."""

    def build(self) -> bytes:
        room = 64 if self.cms else 0  # for ECDSA signatures, which are not all of one length
        size = len(self._signature(bytes(self._start))) + room
        code = self._code(size + len(self.slack))
        return code + self._signature(code).ljust(size, b"\0") + self.slack

    @property
    def _start(self) -> int:
        return (_HEADER_SIZE + self.code_size + 15) // 16 * 16

    def _code(self, signature_size: int) -> bytes:
        text = (hashlib.sha256(b"code").digest() * (self.code_size // 32 + 1))[: self.code_size]
        text = self.info_plist + text[len(self.info_plist) :]
        sections = [_section("__text", _HEADER_SIZE + len(self.info_plist), self.code_size - len(self.info_plist))]
        if self.info_plist:
            sections.append(_section("__info_plist", _HEADER_SIZE, len(self.info_plist)))
        commands = [
            _segment("__TEXT", 0, _HEADER_SIZE + self.code_size, 5, sections),
            _segment("__LINKEDIT", self._start, signature_size, 1, []),
            struct.pack("<4I", 0x1D, 16, self._start, signature_size),
        ]
        body = b"".join(commands)
        header = struct.pack("<8I", 0xFEEDFACF, 0x0100000C, 0, 2, len(commands), len(body), 0x200085, 0)
        return ((header + body).ljust(_HEADER_SIZE, b"\0") + text).ljust(self._start, b"\0")

    def _signature(self, code: bytes) -> bytes:
        blobs = {slot: blob(MAGIC.get(slot, 0xFADE8181), payload) for slot, payload in self.components.items()}
        sealed = {slot: data for slot, data in blobs.items() if slot < 0x1000} | dict(self.outside)
        if self.info_plist:
            sealed[1] = self.info_plist
        sealed = {slot: data for slot, data in sealed.items() if slot not in self.unsealed}
        made = [directory.build(code, sealed) for directory in self.directories]
        named = {(0x1000 + n - 1 if n else 0): data for n, data in enumerate(made)}
        if self.cms is not None:
            blobs[CMS] = blob(MAGIC[CMS], self.cms(*made))
        return superblob(named | blobs)


def _segment(name: str, offset: int, size: int, protection: int, sections: list[bytes]) -> bytes:
    fields = (0x19, 72 + 80 * len(sections), name.encode(), 0x100000000 + offset, size, offset, size)
    return struct.pack("<II16s4Q4I", *fields, protection, protection, len(sections), 0) + b"".join(sections)


def _section(name: str, offset: int, size: int) -> bytes:
    return struct.pack("<16s16s2Q8I", name.encode(), b"__TEXT", 0x100000000 + offset, size, offset, *[0] * 7)


def thin_slice(data: bytes | memoryview) -> Slice:
    """A Slice of a well-formed thin 64-bit Mach-O, as the format reader would give it."""
    segments: list[Segment] = []
    sections: list[Section] = []
    signature = None
    at = 32
    for _ in range(struct.unpack_from("<I", data, 16)[0]):
        command, size = struct.unpack_from("<II", data, at)
        if command == 0x19:
            name, address, memory, offset, stored, _, protection, count = struct.unpack_from("<16s4Q3I", data, at + 8)
            segments.append(
                Segment(
                    name=_text(name), address=address, memory_size=memory, offset=offset, file_size=stored,
                    readable=bool(protection & 1), writable=bool(protection & 2), executable=bool(protection & 4),
                )
            )  # fmt: skip
            for where in range(at + 72, at + 72 + 80 * count, 80):
                name, _, address, length, offset = struct.unpack_from("<16s16s2QI", data, where)
                sections.append(Section(name=_text(name), address=address, size=length, offset=offset))
        if command == 0x1D:
            signature = struct.unpack_from("<II", data, at + 8)
        at += size
    return make_slice("mach-o", data, signature, segments=tuple(segments), sections=tuple(sections))


def make_slice(
    format_: str,
    data: bytes | memoryview,
    signature_range: tuple[int, int] | None,
    *,
    segments: tuple[Segment, ...] = (),
    sections: tuple[Section, ...] = (),
) -> Slice:
    return Slice(
        format=format_, arch="arm64", bits=64, byte_order="little", system="macos", kind="executable",
        linkage="dynamic", entry=0, data=memoryview(data), segments=segments, sections=sections, libraries=(),
        rpaths=(), imports=(), symbols=(), traits={}, signature_range=signature_range,
    )  # fmt: skip


def _text(name: bytes) -> str:
    return name.rstrip(b"\0").decode()


def place(data: bytes, slot: int) -> tuple[int, int]:
    """Where a blob is in a signed file: first byte and length."""
    signature_range = thin_slice(data).signature_range
    assert signature_range is not None
    start = signature_range[0]
    for n in range(struct.unpack_from(">I", data, start + 8)[0]):
        found, offset = struct.unpack_from(">II", data, start + 12 + 8 * n)
        if found == slot:
            return start + offset, struct.unpack_from(">I", data, start + offset + 4)[0]
    raise LookupError(slot)


def flip(data: bytes, at: int) -> bytes:
    """The same bytes with one bit of one byte changed."""
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


def patch(data: bytes, at: int, value: bytes) -> bytes:
    """The same bytes with some of them overwritten."""
    return data[:at] + value + data[at + len(value) :]
