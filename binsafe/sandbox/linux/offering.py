"""A path that was missed, and what would grant it."""

import os
import posixpath
import re
from typing import Final, NamedTuple

from binsafe.model.violation import UNGRANTABLE
from binsafe.paths import is_inside
from binsafe.sandbox.linux.elsewhere import leaves, may_exist
from binsafe.sandbox.linux.layout import is_ones_own

OWN_ROOT: Final = f"{UNGRANTABLE}what runs gets a root of its own; name the folders that it needs"
THE_KERNELS: Final = f"{UNGRANTABLE}what is there is the kernel's, and only root can change it"
ANOTHERS: Final = f"{UNGRANTABLE}it is another process's own"
ROOTS: Final = f"{UNGRANTABLE}only root may read it, and nobody inside is root"
NO_TERMINALS: Final = f"{UNGRANTABLE}no program can make terminals here"
YOURS: Final = f"{UNGRANTABLE}its user may not do that either"

OF_A_PROCESS: Final = re.compile(r"/proc/\d")
"""What is another file for each process, or of another process tomorrow, cannot be granted by itself."""


class Miss(NamedTuple):
    """A file that the program asked for and that it has no way to; ``there`` says whether the host may have it.

    ``writes`` says whether it would have changed something.
    """

    path: str
    grant: str
    expected: bool
    there: bool
    writes: bool = False


def option(path: str, *, writes: bool) -> str:
    """What would grant a path."""
    if path == "/":
        return OWN_ROOT
    if not writes:
        if is_ones_own(path) or OF_A_PROCESS.match(path):
            return "--read /proc"
        return YOURS if _is_kept_from_us(path, os.R_OK) else f"--read {path}"
    if is_inside(path, "/proc", "/sys"):
        return THE_KERNELS
    if path == "/dev/ptmx":
        return NO_TERMINALS
    place = path if may_exist(path) else posixpath.dirname(path)
    return YOURS if _is_kept_from_us(place, os.W_OK) else f"--write {place}"


def _is_kept_from_us(path: str, mode: int) -> bool:
    """Whether a file of this machine's is there and our user may not use it so: a grant would change nothing."""
    if leaves(path) is not None:
        return False
    try:
        os.stat(path)
    except PermissionError:
        return True
    except (OSError, ValueError):
        return False
    return not os.access(path, mode)
