"""The files that a dynamic program is loaded from beside its own: each may be read and mapped, nothing else.

A name in a program is no reason to let it read what has that name (a "loader" ``/etc/shadow``). So on Linux these are
the files that were found, are libraries, and were hashed. Nobody looks for a Mac's, and dyld goes on without a weak one
that turns out to be none: there the name has to be one that only libraries have.
"""

import re
from collections.abc import Iterator
from typing import Final

from binsafe.model import Denial, Grant, Policy, SliceReport
from binsafe.policy.objects import LIBRARY, LOADER, ObjectError, check_object

_MACOS_SYSTEM = ("/usr/lib/", "/System/")
"""Where dyld finds the system's own libraries, mostly in its cache: every profile for macOS has these folders."""
_SWIFTS_FOLDER, _SWIFTS_NAME = "/usr/lib/swift", "@rpath/libswift"
"""Where macOS has Swift's libraries, and how the names of all that are there begin."""
_MACOS_NAME = re.compile(r".+(?:\.dylib|\.so|\.framework/.+)")

_LOAD: Final = "load "
"""How the capability begins that a program lacks whose library is not granted."""


def library_grants(slice_report: SliceReport) -> Iterator[Grant]:
    """Grants for the loader and the library closure of one slice, in load order."""
    for path, access, reason in _files(slice_report):
        if _is_path(path):
            yield Grant(kind="read", object=path, access=access, reason=reason)


def library_denials(slice_report: SliceReport) -> Iterator[Denial]:
    """The libraries that are asked for and cannot be granted, because they were not found or bear no plain path."""
    for library in slice_report.resolved:
        if library.path is None or library.sha256 is None:
            reason = f"needed by {library.needed_by} and not found on this system"
            yield Denial(capability=f"{_LOAD}{library.name}", reason=reason)
        elif not _is_path(library.path):
            yield Denial(capability=f"{_LOAD}{library.name}", reason="its path is not in a plain form")
    for name in _beside_macos(slice_report):
        if _MACOS_NAME.fullmatch(name) is None:
            yield Denial(
                capability=f"{_LOAD}{name}", reason="its name is not that of a library; name it with --read if it is"
            )
    for name in _relative(slice_report):
        start = "lies" if name.startswith("@") else "is started"
        yield Denial(capability=f"{_LOAD}{name}", reason=f"it is looked for from where the program {start}")


def placed_by_the_mac(policy: Policy) -> list[str]:
    """The libraries that a program of macOS is denied because only the Mac knows where they lie."""
    if policy.artifact.system != "macos":
        return []
    capabilities = (denial.capability for denial in policy.denied)
    names = [each.removeprefix(_LOAD) for each in capabilities if each.startswith(_LOAD)]
    return [name for name in names if not name.startswith("/")]


def looked_for_beside(policy: Policy) -> list[str]:
    """Those of them that are looked for from where the program lies."""
    return [name for name in placed_by_the_mac(policy) if name.startswith("@")]


def _files(slice_report: SliceReport) -> Iterator[tuple[str, str, str]]:
    """Path, access and reason of each."""
    if slice_report.system == "linux":
        for library in slice_report.resolved:
            if library.path is None or library.sha256 is None:
                continue
            if library.name == slice_report.interpreter:
                yield library.name, LOADER, "loader: the kernel starts it first, to load the program"
            else:
                yield library.path, LIBRARY, f"library: needed by {library.needed_by}"
    for name in _beside_macos(slice_report):
        if _MACOS_NAME.fullmatch(name) is not None:
            yield name, LIBRARY, "library: needed by program"


def _beside_macos(slice_report: SliceReport) -> Iterator[str]:
    """The libraries that a program of macOS names by their whole path, without the system's own."""
    if slice_report.system == "macos":
        names = (library.name for library in slice_report.libraries)
        yield from (name for name in names if name.startswith("/") and not name.startswith(_MACOS_SYSTEM))


def _relative(slice_report: SliceReport) -> Iterator[str]:
    """The libraries without which a program of macOS does not start, and that lie beside it or where it is started.

    For a name without a folder dyld looks in the current one first.
    """
    if slice_report.system == "macos":
        for library in slice_report.libraries:
            elsewhere = library.name.startswith("/") or _has_search_path(library.name, slice_report.rpaths)
            if not elsewhere and library.kind not in {"weak", "lazy"}:
                yield library.name


def _has_search_path(name: str, rpaths: tuple[str, ...]) -> bool:
    """Whether it lies in a folder that is named by its whole path, and not perhaps beside the program."""
    folders = {rpath.rstrip("/") for rpath in rpaths}
    if _SWIFTS_FOLDER in folders and name.startswith(_SWIFTS_NAME):
        return True
    others = folders - {_SWIFTS_FOLDER}
    return name.startswith("@rpath/") and bool(others) and all(folder.startswith("/") for folder in others)


def _is_path(path: str) -> bool:
    try:
        return path.startswith("/") and check_object("read", path) == path
    except ObjectError:
        return False
