"""Archive -> its entries, one after the other, each with a stream of its bytes. Pure: nothing is written anywhere.

    entries       what comes out (Entry, Trouble) and what can go wrong on the way
    names         what is wrong with the entries' names
    budget        how much an archive may unpack to
    streams       bytes that are read once, from front to back: plain, limited, decompressed, checked
    zips tars ars one format each; compressed files are one entry, or the tar archive inside
    zip_directory the list of entries at the end of a zip archive
    diskimages    what is told from them, which are not read here
    appledouble   extended attributes that macOS puts beside a file
    quarantine    what macOS notes on a downloaded file; attributes, what else is noted beside a file
    setid         as whom a file runs, by its mode

Names are data: they are never used as a path. An entry that cannot be read is a Trouble and hides no other.
"""

from collections.abc import Callable, Iterator, Mapping
from itertools import chain
from types import MappingProxyType

from binsafe.containers import ars, tars, zip_directory, zips
from binsafe.containers.budget import Budget
from binsafe.containers.diskimages import is_disk_image
from binsafe.containers.entries import Entry, Trouble, Unreadable
from binsafe.containers.streams import DECOMPRESSORS, Decompressed, Limited, Peeked, Plain

__all__ = ["UNREAD", "ZIPS", "Budget", "Entry", "Trouble", "Unreadable", "read"]

_Reader = Callable[[memoryview, Budget], Iterator[Entry | Trouble]]
_ALSO_A_ZIP = (Trouble("archive-entry", "it ends as a zip archive, and some unpack that instead"),)
ZIPS = (".zip", ".whl", ".jar", ".egg", ".apk", ".nupkg", ".vsix", ".xpi", ".war", ".pyz")
"""How names of zip archives end: what opens those looks for their end, whatever they begin with."""
_MAGICS: Mapping[bytes, _Reader] = MappingProxyType(
    {b"PK\x03\x04": zips.read, b"PK\x05\x06": zips.read, b"!<arch>\n": ars.read}
)
_STORING = (b"!<arch>\n", b"\x28\xb5\x2f\xfd")
"""First bytes of what may hold a zip archive as it is, as tar does: zstd stores what it cannot make smaller."""
UNREAD = MappingProxyType(
    {
        b"7z\xbc\xaf\x27\x1c": "7-Zip archives",
        b"xar!": "xar archives",
        b"!<thin>\n": "thin archives",
        b"hsqs": "squashfs images",
        b"\xed\xab\xee\xdb": "RPM packages",
        b"MSCF": "cabinet files",
        **dict.fromkeys((b"070701", b"070702", b"070707"), "cpio archives"),
        b"Rar!\x1a\x07": "RAR archives",
        b"LZIP": "lzip files",
        b"\x04\x22\x4d\x18": "LZ4 files",
        **{bytes((0x1F, 0x9D, mode | bits)): "files of compress" for mode in (0, 0x80) for bits in range(9, 17)},
        b"MSWIM\0\0\0": "Windows images",
    }
)
"""First bytes of what is known and not opened -> what people call it; ``formats.identify`` calls all of it archives."""


def read(data: memoryview, name: str, budget: Budget) -> Iterator[Entry | Trouble]:
    """The entries of an archive called ``name``. Each entry's stream must be read before the next entry is asked for.

    Raises:
        Unreadable: nothing can be read of an archive of this kind.
    """
    if is_disk_image(data):
        raise Unreadable("Apple disk images are not read here", "archive")
    head = bytes(data[: tars.BLOCK])
    is_tar = tars.is_header(head)
    reader = next((reader for magic, reader in _MAGICS.items() if head.startswith(magic)), None)
    if reader is not None and is_tar:
        raise Unreadable("it is two kinds of archive: which one counts is up to who unpacks", "archive")
    if reader is zips.read:
        return zips.read(data, budget)
    last = _is_an_entry(data) if is_tar else head.startswith(_STORING)  # of these it may be the last entry
    also = (name.lower().endswith(ZIPS) or not last) and zip_directory.ends(data)
    return chain(
        _ALSO_A_ZIP if also else (), reader(data, budget) if reader is not None else _other(data, name, budget)
    )


def _is_an_entry(data: memoryview) -> bool:
    """Whether what ends here as a zip archive is an entry of a tar archive, and looked at as such: all of one."""
    found = zip_directory.span(data)
    if found is None:
        return True
    start, end = found
    stream = Plain(data)
    for entry in tars.read(stream, Budget(len(data))):
        at = len(data) - len(stream.rest)
        if at == start and isinstance(entry, Entry) and isinstance(entry.stream, Limited):
            return end <= at + entry.stream.left
    return False


def _other(data: memoryview, name: str, budget: Budget) -> Iterator[Entry | Trouble]:
    head = bytes(data[: tars.BLOCK])
    for magic, kind in UNREAD.items():
        if head.startswith(magic):
            raise Unreadable(f"{kind} are not read here", "archive")
    if tars.is_header(head):
        return tars.read(Plain(data), budget)
    for magic, make in DECOMPRESSORS.items():
        if head.startswith(magic):
            return _compressed(Decompressed(data, make, budget), name, budget)
    raise Unreadable("it is no archive of a kind that is known here", "archive")


def _compressed(unpacked: Decompressed, name: str, budget: Budget) -> Iterator[Entry | Trouble]:
    """A tar archive, or the one file that was compressed; damage shows when the first bytes are asked for."""
    stream = Peeked(unpacked)
    try:
        head = stream.peek(tars.BLOCK)
    except Unreadable as error:
        yield Trouble(error.finding, str(error))
        return
    if tars.is_header(head):
        yield from tars.read(stream, budget)
    else:
        own = name.rpartition("/")[2]
        yield Entry(own.rpartition(".")[0] or own, "file", stream)
    if unpacked.behind:
        yield Trouble("appended-data", f"{unpacked.behind:,} bytes follow its compressed data", lost=False)
