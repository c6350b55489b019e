"""Policy -> profile: a policy written for one mechanism, with what that mechanism cannot express. Pure.

    profile    what comes out: text and gaps
    seatbelt   SBPL, for macOS (sbplrules: each permission once; sbplneeds: what any program needs)
    seccomp    the filter we load (bpf assembles it)
    oci        the same as the JSON that container runtimes read
    landlock   rights and rules
    linux      all layers of the Linux sandbox in one document
    bwrap      a script for bubblewrap, with the filter
    systemd    a service unit with its hardening options
    narrowing  only some forms of a call
    unshared   what is left of a policy where there are no namespaces
    explaining what each system enforces of a policy, line by line

To add a mechanism: one module with a `Renderer`, one line in `RENDERERS`. Each is imported when it is first called: a
launch needs two of them.
"""

import importlib
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, Protocol

import msgspec

from binsafe.errors import UsageError
from binsafe.model import Gap, Policy
from binsafe.renderers.profile import Profile


class Renderer(Protocol):
    """Writes a policy for one mechanism."""

    def __call__(self, policy: Policy, *, binary: str | None, allow_partial: bool) -> Profile:
        """The profile; ``binary`` is the program's resolved path where that is known.

        Raises:
            CannotExpress: the mechanism has no words for a grant, and ``allow_partial`` is false.
        """


def _as_policy(policy: Policy, *, binary: str | None, allow_partial: bool) -> Profile:
    """The policy itself, as JSON: it names the program by its hash and expresses everything."""
    del binary, allow_partial
    text = msgspec.json.format(msgspec.json.encode(policy), indent=2).decode() + "\n"
    return Profile(mechanism="policy", text=text)


def _loaded(module: str) -> Renderer:
    """The renderer of a module here, which is imported when it is first called."""

    def render(policy: Policy, *, binary: str | None, allow_partial: bool) -> Profile:
        renderer: Renderer = importlib.import_module(f"{__name__}.{module}").render
        return renderer(policy, binary=binary, allow_partial=allow_partial)

    return render


RENDERERS: Final[Mapping[str, Renderer]] = MappingProxyType(
    {
        "macos": _loaded("seatbelt"),
        "linux": _loaded("linux"),
        "seatbelt": _loaded("seatbelt"),
        "seccomp": _loaded("oci"),
        "landlock": _loaded("landlock"),
        "bwrap": _loaded("bwrap"),
        "systemd": _loaded("systemd"),
        "policy": _as_policy,
    }
)
"""What ``--for`` takes."""

_SYSTEMS: Final = {"macos": "macos", "seatbelt": "macos"} | dict.fromkeys(
    ("linux", "seccomp", "landlock", "bwrap", "systemd"), "linux"
)


def render(policy: Policy, mechanism: str, *, binary: str | None = None, allow_partial: bool = False) -> Profile:
    """The policy written for a mechanism of `RENDERERS`.

    ``binary`` is the program's resolved path, for mechanisms that name it; without it those take it as a parameter.

    Raises:
        UsageError: no such mechanism, or one of another system than the program's.
        CannotExpress: the mechanism has no words for a grant. With ``allow_partial`` it renders the nearest rule that
            it has and lists the difference.
    """
    if mechanism not in RENDERERS:
        raise UsageError(f"no mechanism is called {mechanism!r}", hint=f"known: {', '.join(RENDERERS)}")
    system = policy.artifact.system
    if _SYSTEMS.get(mechanism, system) != system:
        fitting = [name for name in RENDERERS if _SYSTEMS.get(name, system) == system]
        raise UsageError(
            f"{policy.artifact.name} is a program for {system}, and {mechanism} profiles are for {_SYSTEMS[mechanism]}",
            hint=f"for this program: --for {', '.join(fitting)}",
        )
    return RENDERERS[mechanism](policy, binary=binary, allow_partial=allow_partial)


__all__ = ["RENDERERS", "Gap", "Profile", "Renderer", "render"]
