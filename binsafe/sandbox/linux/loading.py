"""Code that a program maps from a file: libraries that it loads by names which nobody had seen beforehand.

What is granted is mounted so that nothing in it can be executed. The kernel says so with EPERM, and a loader with
"failed to map segment from shared object", from which no user learns what to grant.
"""

import os
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Final

from binsafe import kernel
from binsafe.model import Condition
from binsafe.model.violation import UNGRANTABLE
from binsafe.renderers.narrowing import Tests
from binsafe.sandbox.linux.elsewhere import may_exist
from binsafe.sandbox.linux.layout import DEVICES, Attributes
from binsafe.sandbox.linux.notifications import Call

_PROT_EXEC, _MAP_ANONYMOUS = 0x4, 0x20

MADE_INSIDE: Final = f"{UNGRANTABLE}what a program makes itself is never executed"

DATA: Final[Mapping[str, tuple[Tests, ...]]] = MappingProxyType(
    {
        "mmap": (
            (Condition(argument=2, mask=_PROT_EXEC, values=(0,)),),
            (Condition(argument=3, mask=_MAP_ANONYMOUS, values=(_MAP_ANONYMOUS,)),),
        )
    }
)
"""The forms of mmap(2) that need not come by: none of them maps code from a file."""


def holds_no_code(mounts: Iterable[tuple[str, Attributes]]) -> bool:
    """Whether anything is granted in which there may be code that cannot be executed."""
    return any(attributes & kernel.MOUNT_ATTR_NOEXEC and path not in DEVICES for path, attributes in mounts)


def refused(call: Call) -> tuple[str, str] | None:
    """The file that a call maps as code and that the kernel will not, and what would grant it; None for others."""
    file = f"/proc/{call.pid}/fd/{call.arguments[4] & 0xFFFF_FFFF}"
    try:
        if not os.statvfs(file).f_flag & os.ST_NOEXEC:
            return None
        path = os.readlink(file)
    except OSError:
        return None
    return path, f"--exec {path}" if may_exist(path) else MADE_INSIDE
