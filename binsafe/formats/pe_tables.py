"""What a PE file says of itself in its exports, load configuration and debug directory, and before its header.

Layout: Microsoft's "PE Format", and ``IMAGE_LOAD_CONFIG_DIRECTORY`` of ``winnt.h``. A table that lies outside of the
stored bytes says nothing: the loader does not refuse it either.
"""

import uuid
from collections.abc import Iterator
from typing import NamedTuple

from binsafe.formats import pe_headers as ph
from binsafe.formats import pe_resources
from binsafe.formats.structure import Memory, Reader, excessive, text
from binsafe.limits import MAX_SYMBOLS
from binsafe.model import Library, Segment, Symbol

_DEBUG_ENTRY, _MAX_DEBUG_ENTRIES = 28, 64
_CODEVIEW, _EXTENDED_CHARACTERISTICS = 2, 20
_CET_COMPATIBLE = 1
_GUARD_TABLE = 0x400
_WORDS = {"I": 4, "Q": 8}
_RICH, _DANS = b"Rich", int.from_bytes(b"DanS", "little")


class LoadConfiguration(NamedTuple):
    """What mitigations need; ``guarded`` is whether the functions that may be called are listed."""

    cookie: bool = False
    handlers: bool = False
    guarded: bool = False


class Debug(NamedTuple):
    """``uuid`` is the identity that the program shares with its debugging symbols."""

    uuid: str | None = None
    cet: bool = False


class Tables:
    """Reads directories by address."""

    def __init__(self, head: ph.Header, reader: Reader, memory: Memory[Segment]) -> None:
        self._head = head
        self._reader = reader
        self._memory = memory
        self._allowance = ph.letters(reader)

    def load_configuration(self) -> LoadConfiguration | None:
        """None where the file has none. Its own size says which fields are there."""
        rva, size = self._head.directory(ph.LOAD_CONFIGURATION)
        data = self._stored(rva) if size else None
        if data is None or len(data) < 4:  # the size itself
            return None
        fields = Reader(data[: int.from_bytes(data[:4], "little")], "little")
        wide = self._head.bits == 64
        word, cookie, handlers, flags = ("Q", 88, 96, 144) if wide else ("I", 60, 64, 88)

        def field(layout: str, at: int) -> int:
            there = at + _WORDS[layout] <= len(fields.data)
            return int(fields.unpack(layout, at, "")[0]) if there else 0

        guarded = field("I", flags) & _GUARD_TABLE
        return LoadConfiguration(
            cookie=field(word, cookie) != 0, handlers=field(word, handlers) != 0, guarded=guarded != 0
        )

    def debug(self) -> Debug:
        """What the debug directory says of the build."""
        rva, size = self._head.directory(ph.DEBUG)
        data = self._stored(rva) if size else None
        found = Debug()
        for number in range(min(size // _DEBUG_ENTRY, _MAX_DEBUG_ENTRIES) if data is not None else 0):
            entry = data[number * _DEBUG_ENTRY :][:_DEBUG_ENTRY] if data is not None else b""
            if len(entry) < _DEBUG_ENTRY:
                break
            _, _, _, kind, length, _, offset = Reader(memoryview(entry), "little").unpack("IIIIIII", 0, "")
            content = bytes(self._reader.data[offset : offset + min(length, 64)])
            if kind == _CODEVIEW and content.startswith(b"RSDS") and len(content) >= 20:  # mark and id
                found = found._replace(uuid=str(uuid.UUID(bytes_le=content[4:20])).upper())
            elif kind == _EXTENDED_CHARACTERISTICS and content:
                found = found._replace(cet=bool(content[0] & _CET_COMPATIBLE))
        return found

    def cli_metadata(self) -> int:
        """Where the metadata of a .NET program is in memory; 0 where that cannot be told (ECMA-335, II.25.3.3)."""
        header = self._stored(self._head.directory(ph.CLI)[0])
        if header is None or len(header) < 16:  # up to the metadata's place
            return 0
        return self._head.image_base + int.from_bytes(header[8:12], "little")

    def execution_level(self) -> str | None:
        """What its manifest asks Windows to start it with (:mod:`binsafe.formats.pe_resources`); None for nothing."""
        rva, size = self._head.directory(ph.RESOURCES)
        tree = self._stored(rva) if size else None
        return None if tree is None else pe_resources.execution_level(tree, self._stored)

    def forwards(self) -> Iterator[Library]:
        """The libraries that it passes calls on to, which are loaded when somebody asks for such a function."""
        names = (self._name(address).rpartition(".")[0] for _, address in self._exported(forwarded=True))
        whole = (name if name.lower().endswith(".dll") else f"{name}.dll" for name in names if name)
        once = {name.lower(): name for name in whole}
        yield from (Library(name=name, kind="reexport") for name in once.values())

    def exports(self) -> Iterator[Symbol]:
        """Names and addresses of what others may call; what is passed on to another library is left out.

        Raises:
            NotAnalysable: there are more than can be looked at.
        """
        for name, address in self._exported(forwarded=False):
            yield Symbol(name=name, address=self._head.image_base + address)

    def _exported(self, *, forwarded: bool) -> Iterator[tuple[str, int]]:
        """Names and addresses of exports; where such a one is passed on, its address is that of a text in the table."""
        rva, size = self._head.directory(ph.EXPORT)
        directory = self._stored(rva) if size else None
        if directory is None or len(directory) < 40:  # its size
            return
        first, functions, names, at_functions, at_names, at_ordinals = Reader(directory, "little").unpack(
            "6I", 16, "the exports"
        )
        if max(functions, names) > MAX_SYMBOLS:
            raise excessive("more exports than can be looked at")
        addresses = self._words(at_functions, functions, 4)
        named = dict(zip(self._words(at_ordinals, names, 2), self._words(at_names, names, 4), strict=False))
        for number, address in enumerate(addresses):
            if address and (rva <= address < rva + size) == forwarded:
                name = self._name(named[number]) if number in named else ""
                yield name or f"#{first + number}", address

    def _stored(self, rva: int) -> memoryview | None:
        place = self._memory.stored(self._head.image_base + rva)
        return None if place is None else self._reader.data[place[0] : place[1]]

    def _words(self, rva: int, count: int, size: int) -> list[int]:
        """Up to ``count`` numbers; fewer where the stored bytes end."""
        data = self._stored(rva) or self._reader.data[:0]
        whole = min(count, len(data) // size) * size
        return [word for (word,) in Reader(data, "little").rows({2: "H", 4: "I"}[size], 0, whole, "the exports")]

    def _name(self, rva: int) -> str:
        data = self._stored(rva)
        return "" if data is None else self._allowance.spent(text(data))


def linker(head: ph.Header, data: memoryview) -> str | None:
    """Version of the linker, and how many objects the newest of Microsoft's compilers made (the "Rich" header)."""
    major, minor = head.linker
    version = f"linker {major}.{minor}" if major else None
    builds = _rich_builds(bytes(data[: head.starts_at]))
    if not builds:
        return version
    return f"Microsoft {version or 'linker'}, newest compiler build {max(builds)}"


def _rich_builds(stub: bytes) -> set[int]:
    """Build numbers of the tools that Microsoft's linker lists, masked by a key, before the header."""
    end = stub.rfind(_RICH)
    if end < 0 or end + 8 > len(stub):
        return set()
    key = int.from_bytes(stub[end + 4 : end + 8], "little")
    words = [int.from_bytes(stub[at : at + 4], "little") ^ key for at in range(end % 4, end, 4)]
    if _DANS not in words:
        return set()
    return {tool & 0xFFFF for tool in words[words.index(_DANS) + 4 :: 2] if tool & 0xFFFF}
