"""The CodeDirectory: the list of hashes that a Mach-O signature really consists of.

Layout: CS_CodeDirectory in xnu's osfmk/kern/cs_blobs.h. What each slot holds: Apple TN3126, "Inside Code Signing:
Hashes".
"""

import hashlib
import struct
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final

import msgspec

from binsafe.signatures.structure import StructureError
from binsafe.signatures.superblob import SPECIAL_SLOTS, Magic, Slot, SuperBlob

MAX_ALTERNATES: Final = 5
"""``CSSLOT_ALTERNATE_CODEDIRECTORY_MAX``."""

SLOTS: Final = (
    Slot.CODE_DIRECTORY,
    *range(Slot.ALTERNATE_CODE_DIRECTORIES, Slot.ALTERNATE_CODE_DIRECTORIES + MAX_ALTERNATES),
)
"""Where CodeDirectories are, the primary one first."""

MAX_NAME_BYTES: Final = 1024
"""Longest identifier or team; real ones are bundle identifiers and ten letters."""

MAX_SPECIAL_SLOTS: Final = SPECIAL_SLOTS[-1]
"""Special hashes of one directory."""

CDHASH_BYTES: Final = 20
"""``CS_CDHASH_LEN``: longer hashes are cut to this, shorter ones do not exist."""

_PAGE_SHIFTS: Final = range(12, 17)
"""log2 of the page sizes that some system maps code in: 4 KiB to 64 KiB. Smaller pages would be work without bound."""

_VERSIONS: Final = range(0x20001, 0x2F001)
"""From the first format that shipped to the end of those that stay readable (Security framework, ``CodeDirectory``)."""

_HAS_SCATTER, _HAS_TEAM, _HAS_LIMIT64, _HAS_EXEC, _HAS_RUNTIME = 0x20100, 0x20200, 0x20300, 0x20400, 0x20500

_HEADER = struct.Struct(">9I4BI")
_U32 = struct.Struct(">I")
_U64 = struct.Struct(">Q")
_SCATTER_AT, _TEAM_AT, _LIMIT64_AT, _EXEC_FLAGS_AT, _RUNTIME_AT = 44, 48, 56, 80, 88


class Digest(msgspec.Struct, frozen=True, kw_only=True):
    """One way to hash: its name, how many bytes a slot holds, and the function."""

    name: str
    size: int
    new: Callable[[memoryview], Any]

    def __call__(self, data: memoryview) -> bytes:
        """The hash as a slot holds it."""
        digest: bytes = self.new(data).digest()
        return digest[: self.size]


# SHA-1 is only recomputed, never trusted alone where a directory with a better hash is there.
_sha1 = partial(hashlib.sha1, usedforsecurity=False)

DIGESTS: Final[Mapping[int, Digest]] = {
    1: Digest(name="sha1", size=20, new=_sha1),
    3: Digest(name="sha256-truncated", size=20, new=hashlib.sha256),
    2: Digest(name="sha256", size=32, new=hashlib.sha256),
    4: Digest(name="sha384", size=48, new=hashlib.sha384),
}
"""``CS_HASHTYPE_...``, weakest first: the kernel takes the directory with the best (``hashPriorities``, ubc_subr.c)."""

FLAGS: Final[Mapping[int, str]] = {
    0x2: "adhoc",
    0x100: "hard",
    0x200: "kill",
    0x400: "expires",
    0x800: "restrict",
    0x1000: "enforcement",
    0x2000: "library-validation",
    0x10000: "runtime",
    0x20000: "linker-signed",
}
"""The flags that a file may carry (``CS_ALLOWED_MACHO``), under the names that codesign prints."""

EXEC_FLAGS: Final[Mapping[int, str]] = {
    0x1: "main-binary",
    0x10: "allow-unsigned",
    0x20: "debugger",
    0x40: "jit",
    0x80: "skip-library-validation",
    0x100: "can-load-cdhash",
    0x200: "can-exec-cdhash",
}
"""The flags of the executable segment (``CS_EXECSEG_...``): what iOS and its like let the process do."""


class CodeDirectory(msgspec.Struct, frozen=True, kw_only=True):
    """One CodeDirectory; ``page_size`` None means that one hash covers everything up to ``code_limit``."""

    data: memoryview
    flags: int
    exec_flags: int
    digest: Digest
    rank: int
    hash_offset: int
    special_slots: int
    code_slots: int
    code_limit: int
    page_size: int | None
    identifier: str
    team_id: str | None
    runtime: int

    @property
    def cdhash(self) -> str:
        """The directory's own hash, the identity of the code: 40 hexadecimal digits."""
        return self.digest(self.data)[:CDHASH_BYTES].hex()

    @property
    def full_hash(self) -> str:
        """The directory's hash uncut, as the signer's list of directories has it."""
        return str(self.digest.new(self.data).hexdigest())

    @property
    def flag_names(self) -> tuple[str, ...]:
        """The flags by name."""
        return _named(self.flags, FLAGS)

    @property
    def exec_flag_names(self) -> tuple[str, ...]:
        """The flags of the executable segment by name."""
        return _named(self.exec_flags, EXEC_FLAGS)

    @property
    def runtime_version(self) -> str | None:
        """The SDK whose hardened runtime applies, as x.y.z."""
        return f"{self.runtime >> 16}.{self.runtime >> 8 & 0xFF}.{self.runtime & 0xFF}" if self.runtime else None

    @property
    def pages(self) -> int:
        """How many code hashes it takes to cover everything up to the code limit."""
        return -(-self.code_limit // (self.page_size or max(self.code_limit, 1)))

    def special_hash(self, slot: int) -> bytes | None:
        """The sealed hash of a component; None where nothing is sealed: no such slot, or all zero."""
        if not 1 <= slot <= self.special_slots:
            return None
        start = self.hash_offset - slot * self.digest.size
        digest = bytes(self.data[start : start + self.digest.size])
        return digest if any(digest) else None

    def wrong_pages(self, code: memoryview) -> list[int]:
        """The pages whose bytes are not the signed ones, lowest first; all are hashed, the partial last one too."""
        code = code[: self.code_limit]
        size, step = self.digest.size, self.page_size or max(self.code_limit, 1)
        sealed = bytes(self.data[self.hash_offset : self.hash_offset + self.code_slots * size])
        return [
            page
            for page in range(min(self.code_slots, self.pages))
            if self.digest(code[page * step : (page + 1) * step]) != sealed[page * size : (page + 1) * size]
        ]


def read_all(signature: SuperBlob) -> tuple[CodeDirectory, ...]:
    """All CodeDirectories of a signature, the primary one first.

    Raises:
        StructureError: there is none, or one of them cannot be read: then nothing is known to be covered.
    """
    if Slot.CODE_DIRECTORY not in signature.blobs:
        raise StructureError("the signature has no CodeDirectory")
    return tuple(_read(blob.data) for slot in SLOTS if (blob := signature.blobs.get(slot)) is not None)


def best(directories: tuple[CodeDirectory, ...]) -> CodeDirectory:
    """The directory that the kernel goes by: the one with the strongest hash."""
    return max(directories, key=lambda directory: directory.rank)


def _read(data: memoryview) -> CodeDirectory:
    if len(data) < _HEADER.size:
        raise StructureError(f"a CodeDirectory has {len(data)} bytes, less than its own header")
    magic, _, version, flags, hash_offset, name_at, special, code_slots, code_limit, *rest = _HEADER.unpack_from(data)
    hash_size, hash_type, _, page_shift, _ = rest
    if magic != Magic.CODE_DIRECTORY or version not in _VERSIONS:
        raise _objection(f"magic {magic:#010x} or version {version:#x} is not a CodeDirectory's")
    digest = DIGESTS.get(hash_type)
    if digest is None or digest.size != hash_size:
        raise _objection(f"hash type {hash_type} with {hash_size} bytes is not one that the kernel knows")
    if page_shift and page_shift not in _PAGE_SHIFTS:
        raise _objection(f"pages of 2**{page_shift} bytes")
    if special > MAX_SPECIAL_SLOTS or hash_offset < _HEADER.size + special * hash_size:
        raise _objection(f"{special} special hashes do not fit before offset {hash_offset}")
    if hash_offset + code_slots * hash_size > len(data):
        raise _objection(f"{code_slots} code hashes do not fit into {len(data)} bytes")
    if version >= _HAS_SCATTER and _word(data, _SCATTER_AT):
        raise _objection("it scatters its pages over the file, so what it covers was not checked")
    team_at = _word(data, _TEAM_AT) if version >= _HAS_TEAM else 0
    limit64 = _word(data, _LIMIT64_AT, _U64) if version >= _HAS_LIMIT64 else 0
    return CodeDirectory(
        data=data,
        flags=flags,
        exec_flags=_word(data, _EXEC_FLAGS_AT, _U64) if version >= _HAS_EXEC else 0,
        digest=digest,
        rank=list(DIGESTS).index(hash_type),
        hash_offset=hash_offset,
        special_slots=special,
        code_slots=code_slots,
        code_limit=limit64 or code_limit,
        page_size=1 << page_shift if page_shift else None,
        identifier=_name(data, name_at),
        team_id=_name(data, team_at) if team_at else None,
        runtime=_word(data, _RUNTIME_AT) if version >= _HAS_RUNTIME else 0,
    )


def _named(flags: int, names: Mapping[int, str]) -> tuple[str, ...]:
    """Flags by name, lowest bit first; one without a name as its number."""
    bits = (1 << n for n in range(flags.bit_length()) if flags >> n & 1)
    return tuple(names.get(bit, f"{bit:#x}") for bit in bits)


def _objection(detail: str) -> StructureError:
    return StructureError(f"a CodeDirectory cannot be used: {detail}", problem="codedirectory")


def _word(data: memoryview, offset: int, field: struct.Struct = _U32) -> int:
    if offset + field.size > len(data):
        raise _objection("it is shorter than its version's header")
    value: int = field.unpack_from(data, offset)[0]
    return value


def _name(data: memoryview, offset: int) -> str:
    """A zero-terminated string inside the directory."""
    text, end, _ = bytes(data[offset : offset + MAX_NAME_BYTES]).partition(b"\0")
    if offset < _HEADER.size or not end:
        raise _objection(f"the name at offset {offset} does not end inside it")
    return text.decode(errors="backslashreplace")
