"""Loading what a parser takes before it is confined: from then on it can open no module, no table and no library.

What a kind of file needs for sure is loaded at once. What few files need and is slow to load is loaded when a parser
meets such a file: it stops, names one of `LATE`, and another one that has it begins anew.
"""

import codecs
import sys
from collections.abc import Callable, Mapping, Sequence
from importlib.machinery import ModuleSpec
from types import MappingProxyType, ModuleType
from typing import Final

from binsafe.formats import identify
from binsafe.intake.messages import Order
from binsafe.lazy import instead

_CODECS: Final = ("ascii", "latin-1", "utf-16-le", "unicode_escape")
_CODECS_OF_OTHERS: Final = ("utf-16-be", "cp437", "idna", "punycode")


def load(order: Order, head: bytes | None) -> None:
    """Load what parsing takes of a file that begins with ``head``, or of a folder (None)."""
    kind = "folder" if head is None else identify(head)
    from binsafe.intake import asking, librarian

    _load_engine()
    if order.syscalls or order.listings:
        _load_disassembler()
    if not order.only_syscalls:
        from binsafe import archives, bundles, inspection
        from binsafe.intake import folder, inspecting
    if kind != "elf":
        _load_others()
    if kind in {"mach-o", "pe"}:
        _load_signatures()


def load_for_library() -> None:
    """Load what it takes to find out about a library's calls."""
    _load_engine()
    _load_disassembler()


def _load_numpy() -> None:
    """Load numpy without its documentation and what its annotations mean, which take two fifths of the time.

    A numpy that cannot be loaded so is loaded whole.
    """
    texts, types = ModuleType("numpy._core._add_newdocs"), ModuleType("numpy._typing")
    types.__getattr__ = lambda _: list  # type: ignore[method-assign]  # something that may stand in an annotation
    try:
        with instead(texts, types):
            import numpy  # noqa: ICN001 - loaded for later
    except (ImportError, AttributeError, TypeError):
        import numpy  # noqa: ICN001


def _load_engine() -> None:
    _load_numpy()
    import traceback  # to say how a parser broke

    from binsafe.formats import elf, elf_linking
    from binsafe.syscalls import engine, tables

    for name in _CODECS:
        codecs.lookup(name)
    tables.kernel_version()


def _load_disassembler() -> None:
    from binsafe.syscalls.decoding import capstone_library, surroundings

    capstone_library.load()


def _load_others() -> None:
    from binsafe.formats import macho, pe
    from binsafe.syscalls.darwin import analysing, tables

    tables.table()
    for name in _CODECS_OF_OTHERS:
        codecs.lookup(name)


def _load_signatures() -> None:
    from binsafe.signatures import anchors, certificates, cms, signers, tickets, timestamps

    anchors.pinned()


def _load_lief() -> None:
    from binsafe.formats import _lief

    _lief.load()


def _load_capstone() -> None:
    from binsafe.syscalls.decoding import capstone_package


def _load_masked_arrays() -> None:
    import numpy.ma  # numpy's functions on sets look whether they are given some


LATE: Final[Mapping[str, Callable[[], None]]] = MappingProxyType(
    {
        "binsafe.signatures": _load_signatures,
        "binsafe.syscalls.decoding.capstone_package": _load_capstone,
        "lief": _load_lief,
        "numpy.ma": _load_masked_arrays,
    }
)
"""Package or module -> loads it, and all that goes with it."""


class Unloaded(BaseException):
    """A confined parser needs one of `LATE`. No Exception: no parser takes it for a fault of its file."""

    def __init__(self, package: str) -> None:
        super().__init__(package)
        self.package = package


def ask_for_modules() -> None:
    """From now on, raise `Unloaded` where something of `LATE` is imported that is not there yet."""
    sys.meta_path.insert(0, _Asking())


class _Asking:
    """A finder of modules (``importlib.abc.MetaPathFinder``) that finds none."""

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        del path, target
        late = next((each for each in LATE if f"{name}.".startswith(f"{each}.")), None)
        if late is not None:
            raise Unloaded(late)
        return None
