"""What a PE file imports, walked as the loader walks it: at load time, and later (delay-load) by a helper of its own.

Many descriptors may share one list of names, so that a file of 100 KB can ask for millions of imports: all are counted.
"""

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Literal, NamedTuple

from binsafe.formats import pe_headers as ph
from binsafe.formats.structure import Memory, Reader, excessive, malformed, text
from binsafe.model import Import, Library, Segment

_MAX_LIBRARIES = 4_096
_MAX_IMPORTS = 262_144
_RVA_BASED = 1
"""Delay-load descriptors without this attribute hold addresses (Visual C++ 6)."""
_WORD_LAYOUTS: Mapping[int, str] = {4: "I", 8: "Q"}


class _Kind(NamedTuple):
    """A directory, and where its descriptors keep the name of the library, the list of names, and the slots."""

    directory: int
    use: Literal["load", "delay"]
    size: int
    name: int
    names: int
    slots: int


_KINDS = (_Kind(ph.IMPORT, "load", 20, 12, 0, 16), _Kind(ph.DELAY_IMPORT, "delay", 32, 4, 16, 12))

_WINSOCK_FIRST = (
    "accept", "bind", "closesocket", "connect", "getpeername", "getsockname", "getsockopt", "htonl", "htons",
    "ioctlsocket", "inet_addr", "inet_ntoa", "listen", "ntohl", "ntohs", "recv", "recvfrom", "select", "send", "sendto",
    "setsockopt", "shutdown", "socket",
)  # fmt: skip
_WINSOCK: Mapping[int, str] = MappingProxyType(
    {
        **dict(enumerate(_WINSOCK_FIRST, 1)),
        51: "gethostbyaddr",
        52: "gethostbyname",
        53: "getprotobyname",
        54: "getprotobynumber",
        55: "getservbyname",
        56: "getservbyport",
        57: "gethostname",
        111: "WSAGetLastError",
        112: "WSASetLastError",
        115: "WSAStartup",
        116: "WSACleanup",
        151: "__WSAFDIsSet",
    }
)
_ORDINALS: Mapping[str, Mapping[int, str]] = MappingProxyType({"ws2_32.dll": _WINSOCK, "wsock32.dll": _WINSOCK})
"""Libraries whose functions are commonly asked for by number; these numbers never change (``ws2_32.def``)."""


class Imports(NamedTuple):
    """All libraries and names; ``unnamed`` counts the libraries whose name cannot be read."""

    libraries: tuple[Library, ...]
    imports: tuple[Import, ...]
    unnamed: int


def imports(head: ph.Header, reader: Reader, memory: Memory[Segment]) -> Imports:
    """What the loader is asked for.

    Raises:
        NotAnalysable: a directory lies outside of the stored bytes, or asks for more than any program does.
    """
    walk = _Walk(head, reader, memory)
    libraries: list[Library] = []
    found: list[Import] = []
    for kind in _KINDS:
        for name, names, slots in walk.descriptors(kind):
            libraries.append(Library(name=name, kind=kind.use))
            found.extend(walk.entries(name, names, slots, room=_MAX_IMPORTS - len(found)))
            if len(libraries) > _MAX_LIBRARIES:
                raise _too_many()
    named: dict[tuple[str, str], Library] = {}
    for library in libraries:
        if library.name:
            named.setdefault((library.name.lower(), library.kind), library)  # the loader knows no case
    return Imports(tuple(named.values()), tuple(found), sum(1 for library in libraries if not library.name))


class _Walk:
    """The tables as the loader sees them: by address."""

    def __init__(self, head: ph.Header, reader: Reader, memory: Memory[Segment]) -> None:
        self._base = head.image_base
        self._headers = head.headers_size
        self._word = head.bits // 8
        self._directory = head.directory
        self._reader = reader
        self._memory = memory
        self._allowance = ph.letters(reader)

    def descriptors(self, kind: _Kind) -> Iterator[tuple[str, int, int]]:
        """Library, list of names and slots of each descriptor; the directory's size is not obeyed."""
        rva, _ = self._directory(kind.directory)
        while rva:
            place = self._memory.stored(self._base + rva)
            if place is None:
                raise malformed("its import table lies outside of the stored bytes")
            attributes, name, names, slots = (
                self._reader.unpack("I", place[0] + at, "imports")[0] for at in (0, kind.name, kind.names, kind.slots)
            )
            if name == 0 or slots == 0:
                return
            if kind.use == "delay" and not attributes & _RVA_BASED:
                name, names, slots = (max(address - self._base, 0) for address in (name, names, slots))
            yield self._text(name), slots if kind.use == "load" and not self._has(names) else names, slots
            rva += kind.size

    def _has(self, names: int) -> bool:
        """Whether there is a list of names: for one in the headers or nowhere the loader reads the slots (as for 0)."""
        return names >= self._headers and self._memory.stored(self._base + names) is not None

    def entries(self, library: str, names: int, slots: int, *, room: int) -> Iterator[Import]:
        """The names up to the first 0, or up to the end of the stored bytes: what follows them is 0."""
        by_number = 1 << (8 * self._word - 1)
        file = library.lower()
        known = _ORDINALS.get(file if "." in file else f"{file}.dll", {})  # which is what the loader adds
        place = self._memory.stored(self._base + names)
        start, end = place or (0, 0)
        layout = _WORD_LAYOUTS[self._word]
        for number in range((end - start) // self._word):
            (entry,) = self._reader.unpack(layout, start + number * self._word, "imports")
            if entry == 0:
                return
            if number >= room:
                raise _too_many()
            if entry & by_number:
                ordinal = entry & 0xFFFF
                name = known.get(ordinal, f"#{ordinal}")
            else:
                name = self._text((entry & 0x7FFF_FFFF) + 2) or "#?"
            yield Import(name=name, library=library, address=self._base + slots + number * self._word)

    def _text(self, rva: int) -> str:
        place = self._memory.stored(self._base + rva)
        return "" if place is None else self._allowance.spent(text(self._reader.data[place[0] : place[1]]))


def _too_many() -> Exception:
    return excessive("it asks for more imports than any program does")
