"""Policy -> Landlock: which rights are handled (denied unless granted), and the rules that grant them again.

The rights of each ABI are those of `binsafe.kernel.rights`.
"""

from collections.abc import Iterator
from enum import IntFlag
from types import MappingProxyType
from typing import Final

import msgspec

from binsafe.errors import CannotExpress
from binsafe.kernel.rights import ABI_RIGHTS, FILE_RIGHTS, LATEST, AbiRights, Fs, Net, Scope
from binsafe.model import Gap, Policy
from binsafe.policy.objects import ARTIFACT, LIBRARY, LOADER
from binsafe.renderers.profile import DEVICES, Profile, read_only_gaps

_READ = Fs.READ_FILE | Fs.READ_DIR
_WRITE = _READ | Fs.WRITE_FILE | Fs.TRUNCATE | Fs.REFER | Fs.REMOVE_FILE | Fs.REMOVE_DIR | Fs.MAKE_REG | Fs.MAKE_DIR
_WRITE |= Fs.MAKE_SYM | Fs.MAKE_FIFO
_EXECUTE = Fs.READ_FILE | Fs.EXECUTE
_CODE: Final = MappingProxyType({LOADER: _EXECUTE, LIBRARY: Fs.READ_FILE})
"""Access of a read -> rights. The kernel executes the loader; mapping a library as code takes no right of its own."""

_CONNECT_HINT = "leave --connect out, or add --allow-partial to go on without it"


class Rule(msgspec.Struct, frozen=True, kw_only=True):
    """Rights beneath one object: an absolute path, ``artifact`` or ``scratch`` (the launcher knows where those lie).

    Where the path is no directory, the launcher keeps only `FILE_RIGHTS`.
    """

    object: str
    rights: Fs


class LandlockPlan(msgspec.Struct, frozen=True, kw_only=True):
    """What to hand to landlock_create_ruleset and landlock_add_rule, and what this ABI leaves to other layers."""

    abi: int
    handled_fs: Fs
    handled_net: Net
    scoped: Scope
    rules: tuple[Rule, ...]
    missing: tuple[str, ...]

    @property
    def handled(self) -> tuple[int, ...]:
        """The masks of ``struct landlock_ruleset_attr`` as long as this ABI knows it: 8, 16 or 24 bytes."""
        return AbiRights(fs=self.handled_fs, net=self.handled_net, scope=self.scoped).masks


def plan(policy: Policy, abi: int) -> LandlockPlan:
    """The plan for a host whose Landlock has version ``abi``; one newer than we know counts as the newest known.

    No network right is granted back, listening included: the supervisor binds outside. Writing includes reading,
    because a folder whose files cannot be read back is of no use; it never includes executing or device files.

    Raises:
        CannotExpress: ``abi`` is below 1: this kernel has no Landlock.
    """
    if abi < 1:
        raise CannotExpress("this kernel has no Landlock", hint="Linux 5.13 or later with lsm=landlock has it")
    rights = ABI_RIGHTS[min(abi, LATEST)]
    return LandlockPlan(
        abi=min(abi, LATEST),
        handled_fs=rights.fs,
        handled_net=rights.net,
        scoped=rights.scope,
        rules=tuple(_rules(policy, rights.fs)),
        missing=tuple(_missing(rights)),
    )


def _rules(policy: Policy, handled: Fs) -> Iterator[Rule]:
    merged: dict[str, Fs] = {}
    for kind, rights in (("execute", _EXECUTE), ("read", _READ), ("write", _WRITE)):
        for grant in policy.grants:
            if grant.kind == kind:
                wanted = _CODE.get(grant.access, rights)
                if kind == "read" and grant.object == ARTIFACT:
                    wanted = Fs.READ_FILE
                merged[grant.object] = merged.get(grant.object, Fs(0)) | wanted
    for name, rights in merged.items():
        sensible = rights & FILE_RIGHTS if name in DEVICES else rights
        yield Rule(object=name, rights=sensible & handled)


def _missing(rights: AbiRights) -> Iterator[str]:
    newest = ABI_RIGHTS[LATEST]
    for known, wanted in ((rights.fs, newest.fs), (rights.net, newest.net), (rights.scope, newest.scope)):
        yield from names(wanted & ~known)


def names(rights: IntFlag) -> tuple[str, ...]:
    """The names of a mask's rights, in lower case as the kernel's documentation writes them."""
    return tuple(right.name.lower() for right in rights if right.name)


def document(landlock_plan: LandlockPlan) -> dict[str, object]:
    """The plan with rights by name, as profiles show it."""
    return {
        "abi": landlock_plan.abi,
        "handled_fs": names(landlock_plan.handled_fs),
        "handled_net": names(landlock_plan.handled_net),
        "scoped": names(landlock_plan.scoped),
        "rules": [{"object": rule.object, "rights": names(rule.rights)} for rule in landlock_plan.rules],
        "missing": landlock_plan.missing,
    }


_GAPS: Final = (
    Gap(id="landlock-network", reason="UDP, raw, unix and MPTCP sockets and TCP fast open are not Landlock's to deny"),
    Gap(id="landlock-metadata", reason="stat, chmod, chown and times of files that it may not open stay possible"),
    Gap(id="landlock-listen", reason="it cannot bind sockets to 127.0.0.1, so no port is granted here"),
)


def render(policy: Policy, *, binary: str | None = None, allow_partial: bool = False) -> Profile:
    """The plan for the newest ABI that we know, as JSON.

    Raises:
        CannotExpress: the policy grants connections: Landlock knows ports and no hosts, so granting one would open that
            port on every host (unless ``allow_partial``: then they stay denied and are listed); or a path that may only
            be read lies in a folder that may be written (unless, as before: then it may be written, too).
    """
    del binary  # no path is part of it
    gaps = [*_GAPS, *read_only_gaps(policy, "landlock", allow_partial=allow_partial)]
    for grant in policy.of("connect"):
        if not allow_partial:
            raise CannotExpress(f"Landlock cannot name the host of {grant.object}", hint=_CONNECT_HINT)
        gaps.append(Gap(id="landlock-connect", reason=f"{grant.object} stays denied: Landlock cannot name hosts"))
    import json  # what runs a program asks for no text

    text = json.dumps(document(plan(policy, LATEST)), indent=2) + "\n"
    return Profile(mechanism="landlock", text=text, gaps=tuple(gaps))
