"""The files that a dynamic program is loaded from beside its own: each may be read and mapped, nothing else.

On Linux those alone that were found, are what they were asked for as, and were hashed: a name in a program is no reason
to let it read what has that name (a "loader" ``/etc/shadow``).
"""

from collections.abc import Iterator

from binsafe.model import Denial, Grant, SliceReport
from binsafe.policy.objects import LIBRARY, LOADER, ObjectError, check_object

_MACOS_SYSTEM = ("/usr/lib/", "/System/")
"""Where dyld finds the system's own libraries, mostly in its cache: every profile for macOS has these folders."""


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
            yield Denial(capability=f"load {library.name}", reason=reason)
        elif not _is_path(library.path):
            yield Denial(capability=f"load {library.name}", reason="its path is not in a plain form")


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
    elif slice_report.system == "macos":
        for asked in slice_report.libraries:
            if asked.name.startswith("/") and not asked.name.startswith(_MACOS_SYSTEM):
                yield asked.name, LIBRARY, "library: needed by program"


def _is_path(path: str) -> bool:
    try:
        return path.startswith("/") and check_object("read", path) == path
    except ObjectError:
        return False
