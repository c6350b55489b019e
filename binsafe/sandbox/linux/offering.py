"""What would grant a path that was missed."""

import posixpath
import re
from typing import Final

from binsafe.model.violation import UNGRANTABLE
from binsafe.sandbox.linux.elsewhere import may_exist
from binsafe.sandbox.linux.layout import inside, is_ones_own

OWN_ROOT: Final = f"{UNGRANTABLE}what runs gets a root of its own; name the folders that it needs"
THE_KERNELS: Final = f"{UNGRANTABLE}what is there is the kernel's, and only root can change it"

_OF_A_PROCESS: Final = re.compile(r"/proc/\d")
"""What is another file for each process, or of another process tomorrow, cannot be granted by itself."""


def option(path: str, *, writes: bool) -> str:
    """What would grant a path."""
    if path == "/":
        return OWN_ROOT
    if not writes:
        return "--read /proc" if is_ones_own(path) or _OF_A_PROCESS.match(path) else f"--read {path}"
    if inside(path, "/proc") or inside(path, "/sys"):
        return THE_KERNELS
    return f"--write {path if may_exist(path) else posixpath.dirname(path)}"
