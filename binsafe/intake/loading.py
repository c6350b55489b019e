"""Loading what a parser takes before it is confined: from then on it can open no module, no table and no library.

What a kind of file needs for sure is loaded at once. What few files need and is slow to load is loaded when a parser
meets such a file: it stops, names one of `LATE`, and another one that has it begins anew.
"""

import codecs
import contextlib
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib.machinery import ModuleSpec
from types import MappingProxyType, ModuleType
from typing import Final

from binsafe.formats import identify
from binsafe.intake.messages import Order
from binsafe.lazy import instead, stand_in

_CODECS: Final = ("ascii", "latin-1", "utf-16-le", "unicode_escape")
_PARTS_OF_LIB: Final = (
    *("_arraypad_impl", "_arraysetops_impl", "_function_base_impl", "_histograms_impl", "_index_tricks_impl"),
    *("_nanfunctions_impl", "_npyio_impl", "_polynomial_impl", "_shape_base_impl", "_stride_tricks_impl"),
    *("_twodim_base_impl", "_type_check_impl", "_ufunclike_impl", "_utils_impl", "scimath"),
)
_CODECS_OF_OTHERS: Final = ("utf-16-be", "utf-32-be", "cp437", "idna", "punycode")
"""Names in certificates are in the first two at times."""


def load(order: Order, head: bytes | None) -> None:
    """Load what parsing takes of a file that begins with ``head``, or of a folder (None)."""
    kind = "folder" if head is None else identify(head)
    from binsafe.intake import asking, librarian

    _load_readers()
    if order.syscalls and order.kept is None:  # else what was kept says most often all that is asked
        _load_engine()
    if order.syscalls or order.listings:
        _load_disassembler()
    if not order.only_syscalls:
        from binsafe import inspection
    if kind != "elf":
        _load_others()
    if kind in {"mach-o", "pe"}:
        _load_signatures()


def load_for_library() -> None:
    """Load what it takes to find out about a library's calls."""
    _load_readers()
    _load_engine()
    _load_disassembler()


def _load_numpy() -> None:
    """Load numpy's core, as quickly as a third of the whole, and without dispatching calls to other libraries' arrays.

    A numpy that cannot be loaded so is loaded whole.
    """
    try:
        with instead(*_left_out_of_numpy()):
            import numpy  # noqa: ICN001 - loaded for later
    except (ImportError, AttributeError, TypeError):
        import numpy  # noqa: ICN001


def _left_out_of_numpy() -> Iterator[ModuleType]:
    """Stand-ins for documentation, what annotations mean, what is made of the core, and NEP 18's dispatching."""
    yield from (ModuleType(f"numpy._core.{name}") for name in ("_add_newdocs", "_add_newdocs_scalars"))
    types = ModuleType("numpy._typing")
    types.__getattr__ = lambda _: list  # type: ignore[method-assign]  # something that may stand in an annotation
    yield types
    yield from (stand_in(name) for name in ("ast", "inspect", "pickle"))
    if sys.platform == "linux":  # elsewhere numpy tries itself out with some of it
        yield (matrices := _without_functions("numpy.matrixlib"))
        matrices.__dict__.update(matrix=type("matrix", (), {}))  # the core asks whether an array is one
        yield (lib := _without_functions("numpy.lib"))
        for name in _PARTS_OF_LIB:
            setattr(lib, name, part := _without_functions(f"numpy.lib.{name}"))
            yield part
    yield _undispatched()


def _without_functions(name: str) -> ModuleType:
    """A module all of whose names are of functions that cannot be called."""

    def called(*_: object, **__: object) -> None:
        raise NotImplementedError(f"{name} was left out")

    module = ModuleType(name)
    module.__dict__.update(__all__=(), __getattr__=lambda _: called)
    return module


def _undispatched() -> ModuleType:
    """Numpy's decorators, which here leave functions what they are."""

    def decorator(*_: object, **__: object) -> Callable[[object], object]:
        return lambda function: function

    overrides = ModuleType("numpy._core.overrides")
    overrides.__dict__.update(
        array_function_dispatch=decorator,
        array_function_from_dispatcher=lambda function, *_, **__: lambda _: function,
        finalize_array_function_like=decorator(),
        get_array_function_like_doc=decorator(),
        set_module=decorator,
    )
    return overrides


def _load_readers() -> None:
    """What reads a program, and what puts summaries of it and of its libraries together."""
    _load_numpy()
    from binsafe.formats import elf, elf_linking
    from binsafe.syscalls import dynamic, tables

    for name in _CODECS:
        codecs.lookup(name)
    tables.kernel_version()


def _load_engine() -> None:
    """What makes summaries: two thirds of our code."""
    from binsafe.syscalls import engine


def _load_disassembler() -> None:
    from binsafe.syscalls.decoding import capstone_library, surroundings

    capstone_library.load()


def _load_others() -> None:
    """What reads everything but one program for Linux."""
    from binsafe import archives, bundles
    from binsafe.formats import macho, pe
    from binsafe.intake import folder, inspecting
    from binsafe.signatures import authenticode
    from binsafe.signatures import macho as code_signatures
    from binsafe.syscalls.darwin import analysing, tables

    tables.table()
    for name in _CODECS_OF_OTHERS:
        codecs.lookup(name)
    with contextlib.suppress(ImportError):  # from Python 3.14 on
        from compression import zstd  # type: ignore[import-not-found,unused-ignore]


def _load_signatures() -> None:
    from binsafe.signatures import anchors, certificates, cms, signers, tickets, timestamps

    anchors.pinned()


def _load_lief() -> None:
    from binsafe.formats import _lief

    _lief.load()


def _load_capstone() -> None:
    from binsafe.syscalls.decoding import capstone_package


LATE: Final[Mapping[str, Callable[[], None]]] = MappingProxyType(
    {
        "binsafe.signatures": _load_signatures,
        "binsafe.syscalls.decoding.capstone_package": _load_capstone,
        "binsafe.syscalls.engine": _load_engine,
        "lief": _load_lief,
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
