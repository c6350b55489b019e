"""Choosing the mechanism, and the checks that come before anything is started."""

import platform
import sys
from collections.abc import Callable
from typing import Final

from binsafe.errors import NotEnforceable, NotExecutable
from binsafe.sandbox.backends import Backend, Order, Sandboxed
from binsafe.sandbox.relaying import Relay, Relayed


def _namespaces() -> Backend:
    from binsafe.sandbox.linux.backend import Namespaces  # noqa: PLC0415 - another system's modules stay unloaded

    return Namespaces()


def _sandbox_exec() -> Backend:
    from binsafe.sandbox.macos import SandboxExec  # noqa: PLC0415 - another system's modules stay unloaded

    return SandboxExec()


_NATIVE: Final = {
    ("linux", "aarch64"): {"arm64"},
    ("macos", "arm64"): {"arm64", "arm64e", "x86_64"},  # Rosetta translates the last
}
"""(system, machine) -> the processors whose programs run there, where that is not just the machine's own name."""

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


def check_native(system: str, arch: str, name: str) -> None:
    """Raise NotExecutable for a program of another system or processor; ``arch`` may name several, joined by "+"."""
    here = {"darwin": "macos"}.get(sys.platform, sys.platform)
    machine = platform.machine()
    native = _NATIVE.get((here, machine), {machine})
    if system != here or not native.intersection(arch.split("+")):
        raise NotExecutable(
            f"{name} is a program for {system} on {arch}; this is {here} on {machine}",
            hint="run it on such a machine; 'binsafe profile' writes the profile to take there",
        )


def launch(order: Order, *, backend: str | None = None) -> Sandboxed:
    """Start a program under its policy and return once it runs.

    Raises:
        NotExecutable: it is no program of this machine's.
        NotEnforceable: the policy cannot be held here; nothing was started.
    """
    wanted = order.policy.artifact
    check_native(wanted.system, wanted.arch, wanted.name)
    relay = Relay((order.stdin is None, order.stdout is None, order.stderr is None))
    try:
        process = backend_for(backend).launch(relay.connect(order))
    except BaseException:
        relay.abandon()
        raise
    relay.started()
    return Relayed(process, relay)
