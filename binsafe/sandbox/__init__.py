"""The only package that starts untrusted processes: policy + inspected bytes -> a running, confined program.

backends  what every mechanism offers; the registry is below
linux/    namespaces + seccomp + Landlock, with a supervisor outside
macos     sandbox-exec; macoslog: what it denied, from the unified log
guard     ties a process group to its supervisor on systems that cannot
launching what is checked before anything starts
doctor    what this machine can enforce, found out by doing it

Names are loaded on first use: the stage inside imports this package with nothing but the standard library at hand.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from binsafe.sandbox.backends import Enforcement, Order, Sandboxed
    from binsafe.sandbox.doctor import Diagnosis, diagnose
    from binsafe.sandbox.launching import BACKENDS, launch

_HOMES = {
    "Enforcement": "backends",
    "Order": "backends",
    "Sandboxed": "backends",
    "Diagnosis": "doctor",
    "diagnose": "doctor",
    "BACKENDS": "launching",
    "launch": "launching",
}

__all__ = ["BACKENDS", "Diagnosis", "Enforcement", "Order", "Sandboxed", "diagnose", "launch"]


def __getattr__(name: str) -> Any:
    """Load a public name from its module on first use (PEP 562)."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
