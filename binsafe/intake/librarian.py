"""Answers what a process that parses a program asks about libraries, without having parsed that program itself.

Nor does it parse the libraries, of which some may lie beside a hostile program: it reads where each is and what it
needs (`binsafe.formats.elf_needs`), and has the rest found out by confined children (`summarising`).
"""

from pathlib import Path
from typing import Self

import msgspec

from binsafe.formats.elf_needs import Needs
from binsafe.intake.asking import Add, Exists, Link, Modules, Services, Summarise, asked
from binsafe.intake.cached_programs import CachedProgram
from binsafe.intake.libraries import Libraries
from binsafe.intake.messages import Order
from binsafe.intake.summaries import Make, Summaries, default_folder
from binsafe.intake.summarising import Summariser
from binsafe.intake.tree import Tree
from binsafe.model import ResolvedLibrary


def libraries(order: Order, summarise: Make, program: Needs, own: CachedProgram | None = None) -> Libraries:
    """The closure of the program that an order is about, with what the user says that it loads."""
    tree = Tree(None if order.root is None else Path(order.root))
    found = Libraries(program, Path(order.artifact.path), tree, Summaries(default_folder(), summarise), own)
    for path in order.loaded:
        found.add_file(Path(path))
    return found


class Librarian:
    """The libraries of the program that one order is about; a context manager."""

    def __init__(self, order: Order) -> None:
        self._order = order
        self._libraries: Libraries | None = None
        self._summariser = Summariser(in_system=order.root is None)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._summariser.close()

    @property
    def resolved(self) -> tuple[ResolvedLibrary, ...]:
        """The libraries that the program was told of."""
        return () if self._libraries is None else self._libraries.resolved

    def answer(self, payload: bytes) -> bytes:
        """The answer to a question of `binsafe.intake.asking`.

        Raises:
            ValueError, msgspec.MsgspecError: it is none that can be asked here.
        """
        question = asked(payload)
        if isinstance(question, Link):
            self._libraries = libraries(self._order, self._summariser, question.needs)
        known = self._libraries
        if known is None:
            raise ValueError("asked before it was said of which program")
        match question:
            case Summarise(at, watched, anew):
                return known.payload(at, watched, anew)
            case Services():
                return msgspec.msgpack.encode(known.name_services())
            case Modules(named):
                return msgspec.msgpack.encode(known.modules(named))
            case Exists(path):
                return msgspec.msgpack.encode(known.exists(path))
            case Add(name, needed_by):
                known.add(name, needed_by)
        return msgspec.msgpack.encode(known.resolved)
