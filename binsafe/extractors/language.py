"""What the program was written in, told by what each compiler and runtime cannot help leaving behind."""

import re
from collections.abc import Callable

from binsafe.extractors import rustaudit
from binsafe.extractors.subject import Extracted, Subject
from binsafe.model import Finding, Severity, Slice

_RUSTC_PATH = re.compile(rb"/rustc/[0-9a-f]{40}/")
"""The standard library's panic messages name its sources so, in stripped programs too."""
_GHC_CLOSURE = re.compile(rb"ghczm(?:prim|bignum|internal)_GHC")
_MANGLED_RUST = re.compile(r"^_{0,2}(?:R[NIMXYC][A-Za-z0-9_]|ZN.*17h[0-9a-f]{16}E$)")
_MANGLED_SWIFT = re.compile(r"^_?\$[sS][A-Za-z0-9]")
_MANGLED_CXX = re.compile(r"^_{1,2}Z(?!N.*17h[0-9a-f]{16}E$)[A-Za-z]")
_SAMPLE = 20_000
"""Names that are looked at: a program in a language has its names among the first."""

_CXX_LIBRARIES = ("libstdc++.", "libc++.", "msvcp")
_C_LIBRARIES = ("libc.", "libsystem.b.", "msvcrt.", "ucrtbase.", "vcruntime", "api-ms-win-crt-", "ld-musl")


def is_dotnet(slice_: Slice) -> bool:
    """Whether it is code for .NET's runtime: a PE file with a CLI header."""
    return bool(slice_.traits.get("dotnet"))


def _is_rust(subject: Subject) -> bool:
    slice_ = subject.slice
    return (
        slice_.section(rustaudit.SECTION) is not None
        or _any_name(slice_, _MANGLED_RUST.search)
        or _RUSTC_PATH.search(slice_.data) is not None
    )


def _is_zig(subject: Subject) -> bool:
    return _any_name(
        subject.slice, lambda name: name.lstrip("_").startswith(("zig_probe_stack", "start.posixCallMain"))
    )


def _is_swift(subject: Subject) -> bool:
    sections = any(section.name.startswith("__swift5_") for section in subject.slice.sections)
    return sections or _any_name(subject.slice, _MANGLED_SWIFT.search)


def _is_objc(subject: Subject) -> bool:
    return any(section.name in {"__objc_classlist", "__objc_imageinfo"} for section in subject.slice.sections)


def _is_haskell(subject: Subject) -> bool:
    return (
        _any_name(subject.slice, lambda name: name.lstrip("_") in {"hs_init", "hs_main", "stg_ap_v_info"})
        or _GHC_CLOSURE.search(subject.slice.data) is not None
    )


def _is_cxx(subject: Subject) -> bool:
    return _has_library(subject.slice, _CXX_LIBRARIES) or _any_name(subject.slice, _MANGLED_CXX.search)


def _is_c(subject: Subject) -> bool:
    slice_ = subject.slice
    comment = slice_.section(".comment")
    compiled = comment is not None and re.search(rb"GCC: |clang version ", slice_.contents(comment)) is not None
    return compiled or _has_library(slice_, _C_LIBRARIES)


_RULES: tuple[tuple[str, Callable[[Subject], bool]], ...] = (
    ("go", lambda subject: subject.is_go),
    ("dotnet", lambda subject: is_dotnet(subject.slice)),
    ("swift", _is_swift),
    ("rust", _is_rust),
    ("haskell", _is_haskell),
    ("zig", _is_zig),
    ("objc", _is_objc),
    ("c++", _is_cxx),
    ("c", _is_c),
)
"""The first that holds decides: runtimes of their own before those that others link, too."""


def extract(subject: Subject) -> Extracted[str]:
    """The language, or "unknown" with a finding."""
    found = next((language for language, holds in _RULES if holds(subject)), None)
    if found is not None:
        return Extracted(found)
    finding = Finding(
        id="language-unknown",
        severity=Severity.INFO,
        title="The language it was written in cannot be told",
        detail="No trace of a compiler or a runtime that is known was found.",
    )
    return Extracted("unknown", (finding,))


def _any_name(slice_: Slice, holds: Callable[[str], object]) -> bool:
    names = (*(entry.name for entry in slice_.imports[:_SAMPLE]), *(entry.name for entry in slice_.symbols[:_SAMPLE]))
    return any(holds(name) for name in names)


def _has_library(slice_: Slice, beginnings: tuple[str, ...]) -> bool:
    return any(library.name.rpartition("/")[2].lower().startswith(beginnings) for library in slice_.libraries)
