"""A cache of summaries of libraries: analysing the C library takes half a second, reading its summary milliseconds.

A library's is a file of its own, named after its build id and sha256, in a folder named after the engine that made it:
nobody's build id is believed without the bytes, and another engine's findings are never used. It is made from the
library alone, so that no program that is inspected can leave a trace here that another one would see.
"""

import contextlib
import hashlib
import mmap
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Self

import msgspec

from binsafe.errors import NotAnalysable
from binsafe.formats.structure import let_go
from binsafe.intake.cached_programs import Watched
from binsafe.intake.private import private_file, seal, write_all
from binsafe.intake.store import Store, cache_folder
from binsafe.model import ResolvedLibrary
from binsafe.syscalls import engine_version, summarise_library

if TYPE_CHECKING:
    from binsafe.syscalls import Summary

_PIECE = 4 * 1024 * 1024


class Copy:
    """A sealed copy of bytes that another process may be changing; a context manager that releases it."""

    def __init__(self, data: memoryview) -> None:
        """Each piece is read once: what is hashed is what is copied."""
        self.descriptor = private_file()
        self.size = len(data)
        digest = hashlib.sha256()
        try:
            for start in range(0, len(data), _PIECE):
                piece = bytes(data[start : start + _PIECE])
                digest.update(piece)
                write_all(self.descriptor, piece)
                let_go(data)
            seal(self.descriptor)
        except BaseException:
            os.close(self.descriptor)
            raise
        self.sha256 = digest.hexdigest()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self.descriptor)


Make = Callable[[ResolvedLibrary, Copy, Watched], bytes]
"""What `summarised` does with a library's bytes, in whatever process."""


def summarised(data: memoryview, watched: Watched) -> bytes:
    """The summary of a library, for `Known`; nothing where it cannot be analysed."""
    try:
        found = summarise_library(data, watched)
    except NotAnalysable:
        return b""
    return b"" if found is None else msgspec.msgpack.encode(found)


def here(library: ResolvedLibrary, copy: Copy, watched: Watched) -> bytes:
    """The same of a library's bytes, by this process."""
    del library
    return summarised(memoryview(mmap.mmap(copy.descriptor, copy.size, access=mmap.ACCESS_READ)), watched)


class Summaries:
    """Summaries by library: kept ones where there are any, else made and kept."""

    def __init__(self, folder: Path | None, make: Make = here) -> None:
        """Keep them below ``folder``, if only we can write there; nowhere without one."""
        self._store = Store(None if folder is None else folder / engine_version())
        self._make = make

    def payload(self, library: ResolvedLibrary, data: memoryview, *, anew: bool = False) -> bytes:
        """The summary of a library with these bytes, for `Known`; nothing where they cannot be analysed, or changed."""
        name = f"{library.build_id or 'none'}-{library.sha256}"
        kept = None if anew else self._store.read(name)
        if kept is None:
            kept = self.made(library, data, frozenset())
            if kept:
                self._store.write(name, kept)
        return kept

    def made(self, library: ResolvedLibrary, data: memoryview, watched: Watched) -> bytes:
        """The same for what is watched, which is not kept.

        It is made from a copy: whoever can write the file could otherwise change it behind its hash, and so leave a
        summary of his own for another library's.
        """
        with Copy(data) as copy:
            return self._make(library, copy, watched) if copy.sha256 == library.sha256 else b""


class Known:
    """Summaries of a program's libraries, by number and by what is watched: each is asked for once.

    What is watched comes from other files, so such a summary is not to be kept for other programs.
    """

    def __init__(self, ask: Callable[[int, Watched, bool], bytes]) -> None:
        """``ask`` gives what `summarised` or `Summaries.payload` does; with True as its last argument, made anew."""
        self._ask = ask
        self._summaries: dict[tuple[int, Watched], Summary | None] = {}

    def of(self, at: int, watched: Watched) -> "Summary | None":
        """The summary of a library for what it imports of that which is watched."""
        plain = self._of(at, frozenset())
        imported = set() if plain is None else {name.name for name in plain.imports}
        return self._of(at, frozenset(each for each in watched if each[0] in imported))

    def _of(self, at: int, watched: Watched) -> "Summary | None":
        if (at, watched) not in self._summaries:
            self._summaries[at, watched] = self._read(at, watched)
        return self._summaries[at, watched]

    def _read(self, at: int, watched: Watched) -> "Summary | None":
        from binsafe.syscalls import Summary

        for anew in (False, True):
            with contextlib.suppress(msgspec.DecodeError):  # what was kept is no summary
                payload = self._ask(at, watched, anew)
                return msgspec.msgpack.decode(payload, type=Summary) if payload else None
        return None


def default_folder() -> Path:
    """Where the libraries' are kept."""
    return cache_folder() / "libraries"
