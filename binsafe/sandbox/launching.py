"""Choosing the mechanism, and the checks that come before anything is started."""

import os
import sys
from collections.abc import Callable, Iterator
from typing import Final

import msgspec

from binsafe.errors import MechanismRefused, NotEnforceable, NotExecutable
from binsafe.sandbox.backends import Backend, Order, Sandboxed
from binsafe.sandbox.reach import check_lent_rights, check_links, check_other_names, check_own
from binsafe.sandbox.relayed import Relayed
from binsafe.sandbox.relaying import Relay


def _namespaces() -> Backend:
    from binsafe.sandbox.linux.backend import Namespaces  # another system's modules stay unloaded

    return Namespaces()


def _landlock() -> Backend:
    from binsafe.sandbox.linux.fallback import Landlock  # only where it is needed

    return Landlock()


def _sandbox_exec() -> Backend:
    from binsafe.sandbox.macos import SandboxExec  # another system's modules stay unloaded

    return SandboxExec()


_NATIVE: Final = {
    ("linux", "aarch64"): {"arm64"},
    ("macos", "arm64"): {"arm64", "arm64e", "x86_64"},  # Rosetta translates the last
}
"""(system, machine) -> the processors whose programs run there, where that is not just the machine's own name."""

BACKENDS: Final[dict[str, tuple[str, Callable[[], Backend]]]] = {
    "namespaces": ("linux", _namespaces),
    "landlock": ("linux", _landlock),
    "sandbox-exec": ("darwin", _sandbox_exec),
}
"""Name -> (``sys.platform`` it is for, how it is made), best first."""


def backends_for(name: str | None) -> Iterator[Backend]:
    """The backend of that name, or all of this system, best first; raises NotEnforceable where there is none.

    Each is made when it is asked for: the first one is nearly always enough.
    """
    usable = {key: make for key, (system, make) in BACKENDS.items() if system == sys.platform}
    wanted = [key for key in usable if name in (key, None)]
    if not wanted:
        known = ", ".join(usable) or "none"
        raise NotEnforceable(f"no backend {name or ''} on {sys.platform}", hint=f"backends of this system: {known}")
    return (usable[key]() for key in wanted)


def check_native(system: str, arch: str, name: str) -> None:
    """Raise NotExecutable for a program of another system or processor; ``arch`` may name several, joined by "+"."""
    here = {"darwin": "macos"}.get(sys.platform, sys.platform)
    machine = os.uname().machine
    native = _NATIVE.get((here, machine), {machine})
    if system != here or not native.intersection(arch.split("+")):
        raise NotExecutable(
            f"{name} is a program for {system} on {arch}; this is {here} on {machine}",
            hint="run it on such a machine; 'binsafe profile' writes the profile to take there",
        )


def launch(order: Order, *, backend: str | None = None) -> Relayed:
    """Start a program under its policy and return once it runs: by the backend of that name, or the best there is.

    Raises:
        NotExecutable: it is no program of this machine's.
        NotEnforceable: the policy cannot be held here; nothing was started.
    """
    wanted = order.policy.artifact
    check_native(wanted.system, wanted.arch, wanted.name)
    check_own(order.policy)
    check_other_names(order.policy)
    check_links(order.policy)
    check_lent_rights(order.policy)
    relay = Relay((order.stdin is None, order.stdout is None, order.stderr is None))
    try:
        process = _first(backends_for(backend), relay.connect(order))
    except BaseException:
        relay.abandon()
        raise
    relay.started()
    return Relayed(process, relay)


def _first(backends: Iterator[Backend], order: Order) -> Sandboxed:
    """The next one is asked only where the machine refuses what the one before is made of, not for a policy's sake."""
    refusals = []
    for backend in backends:
        try:
            return backend.launch(order)
        except MechanismRefused as refused:
            refusals.append(refused)
            order = msgspec.structs.replace(order, prepared=None)  # it has been used
        except NotEnforceable as error:
            if not refusals:
                raise
            first = refusals[0]
            raise NotEnforceable(f"{first}; and without: {error}", hint=f"{first.hint}; or {error.hint}") from error
    raise refusals[0]
