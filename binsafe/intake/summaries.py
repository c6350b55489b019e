"""Summaries that are kept between runs: what took half a second to find out about the C library is read in one.

A library's is a file of its own, named after its build id and sha256, in a folder named after the engine that made it:
nobody's build id is believed without the bytes, and another engine's findings are never used. It is made from the
library alone, so that no program that is inspected can leave a trace here that another one would see.

A program's own is kept apart from those and under its own sha256 alone, by the process that has not parsed it: whatever
a hostile file makes of its parser, it can lie about itself and about nothing else.
"""

import hashlib
from collections.abc import Callable
from pathlib import Path

import msgspec
import platformdirs

from binsafe.errors import NotAnalysable
from binsafe.intake.store import Store
from binsafe.model import ResolvedLibrary
from binsafe.syscalls import Summary, engine_version, summarise_library

Watched = frozenset[tuple[str, str]]


class Summaries:
    """Summaries by library: kept ones where there are any, else made and kept."""

    def __init__(self, folder: Path | None) -> None:
        """Keep them below ``folder``, if only we can write there; nowhere without one."""
        self._store = Store(None if folder is None else folder / engine_version())

    def of(self, library: ResolvedLibrary, data: memoryview) -> Summary | None:
        """The summary of a library with these bytes; None where they cannot be analysed, or are others by now.

        What is kept is made from a copy: whoever can write the file could otherwise change it behind its hash, and so
        leave a summary of his own for another library's.
        """
        name = f"{library.build_id or 'none'}-{library.sha256}"
        kept = self._read(name)
        if kept is None:
            copy = bytes(data)
            if hashlib.sha256(copy).hexdigest() != library.sha256:
                return None
            try:
                kept = summarise_library(memoryview(copy))
            except NotAnalysable:
                return None
            if kept is not None:
                self._store.write(name, msgspec.msgpack.encode(kept))
        return kept

    def _read(self, name: str) -> Summary | None:
        payload = self._store.read(name)
        try:
            return None if payload is None else msgspec.msgpack.decode(payload, type=Summary)
        except msgspec.DecodeError:
            return None


class Own:
    """The summaries of the program that is inspected, by what was watched: kept ones, and those that are made now."""

    def __init__(self, kept: bytes | None = None) -> None:
        """``kept`` is what `payload` gave before, if anything."""
        self.is_new = False
        """Whether one was made that was not kept."""
        self._summaries: dict[Watched, Summary] = {}
        if kept is not None:
            try:
                pairs = msgspec.msgpack.decode(kept, type=list[tuple[Watched, Summary]])
            except msgspec.DecodeError:
                return
            self._summaries.update(pairs)

    def __bool__(self) -> bool:
        return bool(self._summaries)

    def of(self, watched: Watched, make: Callable[[], Summary]) -> Summary:
        """The one for what is watched."""
        if watched not in self._summaries:
            self._summaries[watched] = make()
            self.is_new = True
        return self._summaries[watched]

    def payload(self) -> bytes:
        """All of them in a form that can be kept."""
        return msgspec.msgpack.encode(list(self._summaries.items()))


def programs() -> Store:
    """Where what `Own` gives is kept, by the sha256 of the program."""
    return Store(platformdirs.user_cache_path("binsafe") / "programs" / engine_version())


def default_folder() -> Path:
    """Where the libraries' are kept."""
    return platformdirs.user_cache_path("binsafe") / "libraries"
