"""What the program was written in, told by what each compiler and runtime cannot help leaving behind."""

import re
from collections.abc import Callable, Sequence
from typing import NamedTuple

from binsafe.extractors import runtimenames as rn
from binsafe.extractors import rustaudit
from binsafe.extractors.subject import Extracted, Subject
from binsafe.model import Finding, Severity, Slice

_RUST_LEGACY = r"N.*17h[0-9a-f]{16}E(?:\.|$)"
_MANGLED: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("rust", re.compile(rf"^_{{1,2}}(?:RI?N[A-Za-z][BCIMNXY]|Z{_RUST_LEGACY})")),
    ("swift", re.compile(r"^\$[sS][A-Za-z0-9]")),
    (
        "c++",
        re.compile(rf"^(?:_{{1,2}}Z(?!{_RUST_LEGACY})(?:N\w|L?\d|S[abdiost]|G[RV]|T[ISTVchv]|n[aw]|d[al])|\?)"),
    ),
)
"""How compilers spell names: the language that most of a program's names are in is its own, the rest are libraries'.

Itanium C++ ABI, 5.1; Rust RFC 2603. C has names that begin alike: ``RC4_set_key``, Mach-O's ``_ZSTD_compress``.
"""
_OBJC = re.compile(r"^(?:OBJC_[A-Z]+_\$|objc_|[-+]\[)")
"""Classes, the runtime's functions and methods, as clang calls them for Objective-C."""
_SAMPLE = 10_000
"""Names of each kind that are looked at."""
_ENOUGH = 20
_CLEARLY = 200
"""Names in C++ that outweigh Rust's runtime: Node.js links a library in Rust, and many a Rust program one in C++."""

_D_LIBRARIES = ("libgphobos.", "libgdruntime.", "libphobos2", "libdruntime-ldc")
_ADA_LIBRARIES = ("libgnat-",)
_CXX_LIBRARIES = ("libstdc++.", "libc++.", "msvcp")
_C_LIBRARIES = ("libc.", "libsystem.b.", "msvcrt.", "ucrtbase.", "vcruntime", "api-ms-win-crt-", "ld-musl")
_MSVC_CLASS = re.compile(rb"\.\?AV(?!(?:type_info|(?:bad_)?exception@std)@@)")
"""The run-time name of a class, but for those three that Microsoft's C library brings along, in C as well."""
_C_COMPILERS = re.compile(rb"GCC: |clang version ")


def is_dotnet(slice_: Slice) -> bool:
    """Whether it is code for .NET's runtime: a PE file with a CLI header."""
    return bool(slice_.traits.get("dotnet"))


class _Traces(NamedTuple):
    """A program, a sample of its names, and how many of its names each language's compiler spelt."""

    subject: Subject
    names: tuple[str, ...]
    spelt: dict[str, int]


def _is_dotnet(traces: _Traces) -> bool:
    """Also a host that carries the runtime, or was compiled by it."""
    return is_dotnet(traces.subject.slice) or _holds(rn.DOTNET_BUNDLE, rn.DOTNET_NATIVE)(traces)


def _holds(*texts: bytes) -> Callable[[_Traces], bool]:
    return lambda traces: not traces.subject.texts.keys().isdisjoint(texts)


def _defines(*names: str) -> Callable[[_Traces], bool]:
    return lambda traces: any(name.lstrip("_") in names for name in traces.names)


def _is_rust(traces: _Traces) -> bool:
    counts = traces.spelt
    audited = traces.subject.slice.section(rustaudit.SECTION) is not None
    if audited or _holds(rn.RUST_OPTIONS)(traces):
        return counts["c++"] < max(_CLEARLY, 10 * counts["rust"])
    return _mostly("rust")(traces)


def _mostly(language: str) -> Callable[[_Traces], bool]:
    """Whether most names are spelt as its compiler spells them."""

    def rule(traces: _Traces) -> bool:
        counts = traces.spelt
        return counts[language] > 0 and counts[language] == max(counts.values())

    return rule


def _is_swift(traces: _Traces) -> bool:
    """Also with the part of its runtime, in C++, that is linked into programs for earlier systems."""
    sections = any(section.name.startswith("__swift5_") for section in traces.subject.slice.sections)
    counts = traces.spelt
    linked = counts["c++"] < max(_ENOUGH, 10 * counts["swift"]) and counts["rust"] < max(_ENOUGH, counts["swift"])
    return _mostly("swift")(traces) or (sections and linked)


def _is_objc(traces: _Traces) -> bool:
    """Also with what is linked into programs for earlier systems (libarclite, in C++), up to four names for one.

    One file that asks macOS for a window is in most C++ libraries that draw: they are none.
    """
    sections = traces.subject.slice.sections
    compiled = any(section.name in {"__objc_classlist", "__objc_imageinfo"} for section in sections)
    return compiled and 4 * sum(1 for name in traces.names if _OBJC.match(name)) >= traces.spelt["c++"]


def _is_cxx(traces: _Traces) -> bool:
    texts = _holds(rn.LIBSTDCXX_END, rn.LIBCXX_END)(traces) or _has_msvc_classes(traces.subject)
    return _has_library(_CXX_LIBRARIES)(traces) or traces.spelt["c++"] > 0 or texts


def _has_msvc_classes(subject: Subject) -> bool:
    first = subject.texts.get(rn.MSVC_TYPES)
    return first is not None and _MSVC_CLASS.search(subject.slice.data, first) is not None


def _is_c(traces: _Traces) -> bool:
    slice_ = traces.subject.slice
    comment = slice_.section(".comment")
    compiled = comment is not None and _C_COMPILERS.search(slice_.contents(comment)) is not None
    linked = str(slice_.traits.get("toolchain", "")).startswith("Microsoft")
    return compiled or linked or _has_library(_C_LIBRARIES)(traces) or _holds(rn.GLIBC_CHARSETS, rn.MUSL_LOADER)(traces)


def _has_library(beginnings: tuple[str, ...]) -> Callable[[_Traces], bool]:
    return lambda traces: any(
        library.name.rpartition("/")[2].lower().startswith(beginnings) for library in traces.subject.slice.libraries
    )


_RULES: tuple[tuple[str, Callable[[_Traces], bool]], ...] = (
    ("go", lambda traces: traces.subject.is_go),
    ("dotnet", _is_dotnet),
    ("java", _holds(rn.GRAALVM)),
    ("dart", _defines("kDartVmSnapshotInstructions", "kDartIsolateSnapshotInstructions")),
    ("haskell", lambda traces: _holds(rn.GHC_OPTIONS)(traces) or _defines("hs_init", "hs_main")(traces)),
    ("ocaml", lambda traces: _holds(rn.OCAML_OPTIONS)(traces) or _defines("caml_main", "caml_startup")(traces)),
    ("nim", lambda traces: _holds(rn.NIM_SOURCES)(traces) or _defines("NimMain")(traces)),
    ("d", lambda traces: _has_library(_D_LIBRARIES)(traces) or _defines("d_run_main")(traces)),
    ("fortran", _defines("gfortran_set_args")),  # which its main programs call, and no library
    ("ada", lambda traces: _has_library(_ADA_LIBRARIES)(traces) or _defines("gnat_ada_main_program_name")(traces)),
    ("pascal", lambda traces: traces.subject.slice.section(".fpcdata") is not None),
    (
        "zig",
        lambda traces: _holds(rn.ZIG_PANIC)(traces) or _defines("zig_probe_stack", "start.posixCallMain")(traces),
    ),
    ("swift", _is_swift),
    ("rust", _is_rust),
    ("objc", _is_objc),
    ("c++", _is_cxx),
    ("c", _is_c),
)
"""The first that holds decides: runtimes of their own before those that others link, too."""


def extract(subject: Subject) -> Extracted[str]:
    """The language, or "unknown" with a finding."""
    names = _sample(subject.slice)
    traces = _Traces(subject, names, _spelt(names))
    found = next((language for language, holds in _RULES if holds(traces)), None)
    if found is not None:
        return Extracted(found)
    finding = Finding(
        id="language-unknown",
        severity=Severity.INFO,
        title="The language it was written in cannot be told",
        detail="No trace of a compiler or a runtime that is known was found.",
    )
    return Extracted("unknown", (finding,))


def _sample(slice_: Slice) -> tuple[str, ...]:
    """Names as compilers spelt them, evenly over all that there are."""
    symbols = slice_.symbols[:: max(1, len(slice_.symbols) // _SAMPLE)]
    names = (*(entry.name for entry in slice_.imports[:_SAMPLE]), *(symbol.name for symbol in symbols))
    return tuple(name.removeprefix("_") for name in names) if slice_.format == "mach-o" else names


def _spelt(names: Sequence[str]) -> dict[str, int]:
    """How many of the sampled names are spelt as each language's compiler spells them."""
    return {language: sum(1 for name in names if pattern.search(name)) for language, pattern in _MANGLED}
