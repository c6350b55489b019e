"""Choosing the mechanism, and the checks that come before anything is started."""

import sys
from collections.abc import Callable
from typing import Final

from binsafe.errors import NotEnforceable
from binsafe.sandbox.backends import Backend, Order, Sandboxed


def _namespaces() -> Backend:
    from binsafe.sandbox.linux.backend import Namespaces  # noqa: PLC0415 - another system's modules stay unloaded

    return Namespaces()


def _sandbox_exec() -> Backend:
    from binsafe.sandbox.macos import SandboxExec  # noqa: PLC0415 - another system's modules stay unloaded

    return SandboxExec()


BACKENDS: Final[dict[str, tuple[str, Callable[[], Backend]]]] = {
    "namespaces": ("linux", _namespaces),
    "sandbox-exec": ("darwin", _sandbox_exec),
}
"""Name -> (``sys.platform`` it is for, how it is made), best first."""


def backend_for(name: str | None = None) -> Backend:
    """The backend of that name, or this system's best; raises NotEnforceable where there is none."""
    usable = {key: make for key, (system, make) in BACKENDS.items() if system == sys.platform}
    wanted = name or next(iter(usable), None)
    if wanted not in usable:
        known = ", ".join(usable) or "none"
        raise NotEnforceable(f"no backend {wanted or ''} on {sys.platform}", hint=f"backends of this system: {known}")
    return usable[wanted]()


def launch(order: Order, *, backend: str | None = None) -> Sandboxed:
    """Start a program under its policy and return once it runs.

    Raises:
        NotExecutable: it is no program of this machine's.
        NotEnforceable: the policy cannot be held here; nothing was started.
    """
    return backend_for(backend).launch(order)
