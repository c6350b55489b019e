"""The crates of a Rust program, where ``cargo auditable`` recorded them.

Format: zlib-compressed JSON in ``.dep-v0``; PARSING.md of https://github.com/rust-secure-code/cargo-auditable.
"""

import zlib

import msgspec

from binsafe.errors import NotAnalysable
from binsafe.model import RustBuild, Slice

SECTION = ".dep-v0"
_MAX_JSON = 8 * 1024**2
"""cargo-auditable's own readers stop at 8 MiB, too."""


class _Package(msgspec.Struct):
    name: str
    version: str


class _Dependencies(msgspec.Struct):
    packages: list[_Package]


def read(slice_: Slice) -> RustBuild | None:
    """The crates as ``name version``; None where none were recorded.

    Raises:
        NotAnalysable: there is a record, but it is too large or no such JSON.
    """
    section = slice_.section(SECTION)
    if section is None:
        return None
    try:
        unpacker = zlib.decompressobj()
        text = unpacker.decompress(slice_.contents(section), _MAX_JSON)
        if not unpacker.eof:
            raise _unreadable("it is cut short or unpacks to more than 8 MiB")
        found = msgspec.json.decode(text, type=_Dependencies)
    except (zlib.error, msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise _unreadable(str(error)) from error
    return RustBuild(crates=tuple(sorted(f"{package.name} {package.version}" for package in found.packages)))


def _unreadable(reason: str) -> NotAnalysable:
    message = f"The record of its crates in {SECTION} cannot be read: {reason}."
    return NotAnalysable(message, hint="its list of dependencies is unknown", finding="rust-audit-data")
