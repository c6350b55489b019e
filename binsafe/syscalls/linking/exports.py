"""What a file defines for others, as columns: a Haskell program has 400,000 names, and a few hundred are asked for.

As an object each would take half a kilobyte. So an `Export` is made only when it is asked for.
"""

from array import array
from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from itertools import compress, starmap, tee
from typing import Self

import msgspec

_END = b"\0"
_PIECE = 1 << 16
"""Bytes of names that are looked at at once: as texts they take several times as many."""


class Export(msgspec.Struct, frozen=True, array_like=True):
    """A symbol that the file defines: the nodes [first, last) of the graph; none for data without pointers."""

    name: str
    version: str | None
    default: bool
    """Whether who asks without a version gets this one."""
    address: int
    first: int
    last: int


class Exports(msgspec.Struct, frozen=True, array_like=True, kw_only=True):
    """The symbols that a file defines, in its order. Numbers are in this machine's byte order.

    Raises:
        ValueError: the columns do not fit together.
    """

    names: bytes = _END
    """One behind the other in UTF-8; a NUL before the first, and behind each."""
    versions: tuple[str, ...] = ()
    """Each once."""
    marks: bytes = b""
    """Of each 32 bits: the number of its version, counted from 1 (0: none), times two; and 1 for the default one."""
    addresses: bytes = b""
    """Of each 64 bits."""
    firsts: bytes = b""
    lasts: bytes = b""
    """Of each 32 bits."""

    def __post_init__(self) -> None:
        """Refuse what other code would stumble over: what was kept may be damaged."""
        sizes = {len(self.addresses) // 2, len(self.marks), len(self.firsts), len(self.lasts)}
        whole = self.names.startswith(_END) and self.names.endswith(_END) and not len(self.addresses) % 8
        if not whole or sizes != {4 * (self.names.count(_END) - 1)}:
            raise ValueError("columns of different lengths")
        if max(memoryview(self.marks).cast("I"), default=0) // 2 > len(self.versions):
            raise ValueError("a version that is not there")
        if not self.names.isascii():
            self.names.decode()

    @classmethod
    def of(cls, exports: Sequence[Export]) -> Self:
        """Columns of objects."""
        return cls.of_columns(
            (each.name for each in exports),
            ((each.version, each.default) for each in exports),
            addresses=array("q", [each.address for each in exports]).tobytes(),
            firsts=array("i", [each.first for each in exports]).tobytes(),
            lasts=array("i", [each.last for each in exports]).tobytes(),
        )

    @classmethod
    def of_columns(
        cls,
        names: Iterable[str],
        versions: Iterable[tuple[str | None, bool]],
        *,
        addresses: bytes,
        firsts: bytes,
        lasts: bytes,
    ) -> Self:
        """Columns, of which those of texts are still to be made; ``versions`` says too which is the default."""
        text = "\0".join(("", *names, "")).encode()
        known: dict[str | None, int] = {None: 0}
        marks = array("I", (2 * known.setdefault(version, len(known)) + default for version, default in versions))
        return cls(
            names=text,
            versions=tuple(version for version in known if version is not None),
            marks=marks.tobytes(),
            addresses=addresses,
            firsts=firsts,
            lasts=lasts,
        )

    def __len__(self) -> int:
        return len(self.firsts) // 4

    def __iter__(self) -> Iterator[Export]:
        return self.where(lambda _: True)

    def __contains__(self, name: str) -> bool:
        """Whether a symbol of that name is among them."""
        return _END + name.encode() + _END in self.names

    def where(self, wanted: Callable[[str], object]) -> Iterator[Export]:
        """Those with one of the wanted names."""
        named, asked = tee(self.texts())
        return starmap(self._maker(), compress(enumerate(named), map(wanted, asked)))

    def named(self, names: Container[str]) -> Iterator[Export]:
        """Those with one of the names."""
        return self.where(names.__contains__)

    def starting(self, prefix: str) -> Iterator[Export]:
        """Those whose names start with some letters: sooner than `where` while there are few."""
        begins = _END + prefix.encode()
        at, begun, made = -1, 0, self._maker()
        while (found := self.names.find(begins, begun, -1)) >= 0:
            at += self.names.count(_END, begun, found + 1)
            begun = found + 1
            yield made(at, self.names[begun : self.names.find(_END, begun)].decode())

    def at(self, addresses: AbstractSet[int]) -> Iterator[Export]:
        """Those that lie at one of the addresses."""
        everywhere = memoryview(self.addresses).cast("q").tolist() if addresses else []
        lying = list(map(addresses.__contains__, everywhere))
        return starmap(self._maker(), compress(enumerate(self.texts()), lying) if any(lying) else ())

    def spans(self) -> Iterator[tuple[int, int]]:
        """(first, last) of each."""
        return zip(memoryview(self.firsts).cast("i"), memoryview(self.lasts).cast("i"), strict=True)

    def texts(self) -> Iterator[str]:
        """The name of each."""
        begun = len(_END)
        while begun < len(self.names):
            end = self.names.find(_END, begun + _PIECE)
            end = len(self.names) - 1 if end < 0 else end
            yield from self.names[begun:end].decode().split("\0")
            begun = end + 1

    def _maker(self) -> Callable[[int, str], Export]:
        """What makes one of its number and its name."""
        marks, addresses = memoryview(self.marks).cast("I"), memoryview(self.addresses).cast("q")
        firsts, lasts = memoryview(self.firsts).cast("i"), memoryview(self.lasts).cast("i")

        def made(at: int, name: str) -> Export:
            mark = marks[at]
            version = self.versions[mark // 2 - 1] if mark > 1 else None
            return Export(name, version, bool(mark & 1), addresses[at], firsts[at], lasts[at])

        return made
