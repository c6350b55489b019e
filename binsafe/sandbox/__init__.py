"""The only package that starts untrusted processes: policy + inspected bytes -> a running, confined program.

backends  what every mechanism offers; the registry is below
linux/    namespaces + seccomp + Landlock, with a supervisor outside
macos     sandbox-exec; macosprocess: the program under it; macoslog: what it denied, from the unified log
relaying  bytes between the program's streams and ours; relayed: the program behind them; pseudoterminal, terminal
guard     ties a process group to its supervisor on systems that cannot
launching what is checked before anything starts
reach     what a program may not be given to write: what holds it
preparing what can be started before anything is known
reporting violations on their way to whoever listens
patience  when Ctrl-C means the end
doctor    what this machine can enforce, found out by doing it

Names are loaded on first use, and nothing else is: the stage inside imports this package at each start, and has nothing
but the standard library.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from binsafe.sandbox.backends import Enforcement, Order, Sandboxed
    from binsafe.sandbox.doctor import Diagnosis, diagnose
    from binsafe.sandbox.launching import BACKENDS, launch
    from binsafe.sandbox.preparing import prepare

_HOMES = {
    "Enforcement": "backends",
    "Order": "backends",
    "Sandboxed": "backends",
    "Diagnosis": "doctor",
    "diagnose": "doctor",
    "BACKENDS": "launching",
    "launch": "launching",
    "prepare": "preparing",
}

__all__ = ["BACKENDS", "Diagnosis", "Enforcement", "Order", "Sandboxed", "diagnose", "launch", "prepare"]


def __getattr__(name: str) -> Any:
    """Load a public name from its module on first use (PEP 562)."""
    import importlib

    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
