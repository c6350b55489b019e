"""A policy becomes the plan that the stage follows: what is executed, where, under which limits, rules and filter."""

import os
import posixpath
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from binsafe import kernel
from binsafe.kernel.rights import FILE_RIGHTS, Fs
from binsafe.model import Policy
from binsafe.paths import is_inside
from binsafe.renderers import landlock, narrowing, seccomp
from binsafe.sandbox.backends import Order
from binsafe.sandbox.linux.alone import ALONE
from binsafe.sandbox.linux.layout import Layout, canonical
from binsafe.sandbox.linux.starting import Plan


def plan_for(
    order: Order, layout: Layout, arch: str, notify: frozenset[str], forms: Mapping[str, tuple[narrowing.Tests, ...]]
) -> Plan:
    """The plan that the stage follows; the calls of ``notify`` come by the supervisor although they are granted.

    So do those of ``forms``, but for these forms of them.
    """
    policy = order.policy
    return {
        "namespaces": True,
        "execute": layout.program,
        "argv": [_called(order, layout), *order.arguments],
        "environment": environment_of(order, layout),
        "cwd": _working_folder(layout),
        "terminal": order.terminal is not None,
        **root_of(layout),
        "limits": limits_of(policy),
        "landlock": _confinement(policy, layout),
        "filter": seccomp.compile_filter(narrowing.narrow(policy, {**ALONE, **forms}), arch, notify=notify),
        "own_process": narrowing.OWN_PROCESS,
    }


def _called(order: Order, layout: Layout) -> str:
    """What the program is told that it is called: the path by which it was started, where that leads to it inside.

    Some start themselves anew by it (haproxy's reload, nginx's upgrade), and Python looks beside it for what is
    installed in a virtual environment, be it a link or a copy. A path that is not granted says where its user keeps it.
    """
    name = order.policy.artifact.name
    own = posixpath.basename(name)
    place = f"{posixpath.dirname(layout.program)}/{own}"
    if canonical(name, layout.merged) == canonical(place, layout.merged):
        return name
    link = os.path.abspath(name)
    granted = is_inside(link, *(path for path, _ in layout.mounts))
    return link if granted and os.path.realpath(link) == order.path else own


def environment_of(order: Order, layout: Layout) -> dict[str, str]:
    """The program's environment. Unless the policy sets PATH, the program's own folder is on it (for postgres)."""
    environment = order.environment()
    folder = posixpath.dirname(layout.program)
    named = any(grant.object == "PATH" for grant in order.policy.of("environment"))
    if not named and folder not in environment["PATH"].split(":"):
        environment["PATH"] += f":{folder}"
    return environment


def root_of(layout: Layout) -> Plan:
    """The file system's part of the plan."""
    parts = {name: getattr(layout, name) for name in ("links", "mounts", "pins", "scratch", "folders", "covered")}
    return parts | {"pieces": [tuple(piece) for piece in layout.pieces], "ways": _ways(layout)}


def _ways(layout: Layout) -> list[str]:
    """Folders in its scratch that only lead to what is granted: what was made there would be lost, and nobody told."""
    granted = [path for path, _ in (*layout.mounts, *layout.links)] + [*layout.covered]
    above = {parent for path in granted for parent in parents(path)}
    own = [way for way in above if any(way != path and is_inside(way, path) for path, _ in layout.scratch)]
    return [way for way in own if not is_inside(way, *granted)]


def parents(path: str) -> Iterator[str]:
    """The folders above a path, the root last."""
    while path not in ("/", ""):
        path = posixpath.dirname(path)
        yield path


def _working_folder(layout: Layout) -> str:
    """Ours, if it is there inside: granted, in something granted, or above it."""
    here = os.getcwd()
    granted = [path for path, _ in layout.mounts]
    return here if any(is_inside(here, path) or is_inside(path, here) for path in granted) else "/"


NO_DUMPS: Final = 1
"""The limit of core dumps with which there are none: 0 stops nothing where the kernel pipes them to a program.

(fs/coredump.c: for a pipe limits are irrelevant but for this one; and a file of 1 byte is never written.)
"""


STARTS: Final = ("clone", "fork", "vfork")
"""Calls that start a process or a thread. clone3 is none: nobody gets past its first answer (`renderers.seccomp`)."""


_SHARED: Final = {"SIGPENDING": 4096}
"""What is counted for a user as a whole: signals that wait, and timers. Their other programs need some."""


def limits_of(policy: Policy) -> list[tuple[str, int]]:
    """Resource limits, by the names of ``RLIMIT_*``."""
    limits = _SHARED | {grant.object.upper(): int(grant.access) for grant in policy.of("limit")}
    return [(name, NO_DUMPS if name == "CORE" and value == 0 else value) for name, value in limits.items()]


def _confinement(policy: Policy, layout: Layout) -> dict[str, Any]:
    """Landlock's part of the plan; none where the kernel has none (other layers hold the same denials)."""
    abi = kernel.landlock_abi()
    if abi == 0:
        return {"handled": [], "rules": []}
    wanted = landlock.plan(policy, abi)
    places = {"artifact": [layout.program], "scratch": [path for path, _ in layout.scratch]}
    rules: dict[str, Fs] = {}
    shown = {path for path, _ in layout.mounts} | {piece.path for piece in layout.pieces}
    for rule in wanted.rules:
        for path in places.get(rule.object, [rule.object]):
            if os.path.realpath(path) != path and canonical(path, layout.merged) not in shown:
                continue  # it lies in a granted folder, and what it leads to has a rule of its own
            is_folder = path in places["scratch"] or (path != layout.program and Path(path).is_dir())
            rights = rule.rights if is_folder else rule.rights & FILE_RIGHTS
            if is_folder and rights & Fs.READ_FILE:
                rights |= Fs.READ_DIR  # a pack's folder of modules
            rules[path] = rules.get(path, Fs(0)) | rights
    for piece in layout.pieces:
        rights = Fs.READ_FILE | (Fs.EXECUTE if piece.path in layout.executable else 0)
        rules[piece.path] = rules.get(piece.path, Fs(0)) | rights
    return {"handled": list(wanted.handled), "rules": [(path, int(rights)) for path, rights in rules.items()]}


def foreseen(policy: Policy) -> frozenset[str]:
    """The words for what inspection had found the program to do and is denied, the names of calls among them."""
    return frozenset(word for denial in policy.denied for word in denial.capability.split())
