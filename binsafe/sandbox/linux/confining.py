"""A policy is laid out and handed to a stage that has been started."""

import os
import stat
from typing import TYPE_CHECKING

from binsafe.errors import NotEnforceable
from binsafe.model import Policy
from binsafe.paths import is_inside
from binsafe.policy.objects import PACK, TEMPORARY
from binsafe.renderers import linux, narrowing
from binsafe.sandbox.backends import Order
from binsafe.sandbox.linux.cargo import Cargo
from binsafe.sandbox.linux.destinations import pin
from binsafe.sandbox.linux.layout import DEVICES, ITSELF, READ, Layout, canonical, granted_paths, lay_out
from binsafe.sandbox.linux.loading import DATA, holds_no_code
from binsafe.sandbox.linux.pathcalls import CHANGES, ENTRIES, LINKS, PATH_CALLS, SEARCHES, UNNAMED
from binsafe.sandbox.linux.planning import STARTS, foreseen, plan_for
from binsafe.sandbox.linux.process import Process
from binsafe.sandbox.linux.starting import Stage
from binsafe.sandbox.linux.streams import Streams

if TYPE_CHECKING:
    from binsafe.sandbox.linux.lookups import Lookups


def confine(order: Order, stage: Stage, arch: str, backend: str) -> Process:
    """Let the stage start a program under its policy, and return when it runs.

    Raises:
        NotExecutable: the kernel refused to execute it.
        NotEnforceable: a part of the policy cannot be held here; nothing was started.
    """
    for gap in linux.gaps(order.policy):
        raise NotEnforceable(gap.reason, hint="leave the grant out")
    destinations = pin(order.policy.of("connect"))
    with Cargo() as cargo, Streams(order) as streams:
        layout = lay_out(order, cargo, destinations.hosts)
        walks = reads_folders(order.policy)
        notify = {*STARTS} if walks else {*STARTS, *PATH_CALLS}
        if destinations.addresses:
            notify.add("listen")  # see grafting.listen
        forms = (_forms(layout, order.policy) if walks else {}) | terminal_forms(order)
        if holds_no_code(layout.mounts):
            forms = {**forms, **DATA}
        plan = plan_for(order, layout, arch, frozenset(notify), forms)
        missing = here if (here := os.getcwd()) != plan["cwd"] else ""
        stage.begin(plan, streams.descriptors, (order.program, cargo.descriptor))
        from binsafe.sandbox.linux.watching import watch_for  # while the stage works, from here on

        watch = watch_for(
            order.policy,
            arch,
            order.on_violation,
            destinations=destinations,
            executables=layout.grantees,
            shown=tuple(path for path, _ in layout.mounts if path not in DEVICES),
            outside=dict.fromkeys(_own_names(layout), order.path) if order.path is not None else {},
            lookups=_lookups(layout, order.policy, walks=walks, working_folder=missing),
            names_root="/" in order.arguments,
            stood_in=tuple(sorted(layout.stand_ins.intersection(map(os.path.abspath, order.arguments)))),
            terminal=order.terminal,
        )
        return stage.supervise(watch, backend, streams.pipe)


def _own_names(layout: Layout) -> tuple[str, ...]:
    """What a program may call itself when it starts itself once more: what it was told its file is, above all."""
    return layout.program, canonical(layout.program, layout.merged), ITSELF


def reads_folders(policy: Policy) -> bool:
    """Whether it was given whole folders: such a program may go through thousands of files, and is not held up at each.

    A folder for temporary files does not count, nor do those that packs bring.
    """
    temporary = [grant.access for grant in policy.of("environment") if grant.object == TEMPORARY]
    given = [grant for kind in ("read", "write") for grant in policy.of(kind) if not grant.access]
    named = [grant.object for grant in given if grant.object not in temporary and not grant.reason.startswith(PACK)]
    return any(os.path.isdir(path) for path in named if path.startswith("/"))


def _forms(layout: Layout, policy: Policy) -> dict[str, tuple[narrowing.Tests, ...]]:
    """The forms of calls with a path that do not come by where whole folders were given.

    The link that stands for /proc/self/exe leads to the program that was started; others have to be told otherwise.
    """
    others = layout.grantees - {layout.program, ITSELF}
    starts = others or "execve" in foreseen(policy)
    writable = list(granted_paths(policy, "write"))
    files = [path for path in writable if not os.path.isdir(path)]
    nested = (path for path, _ in layout.mounts if is_inside(path, *(each for each in writable if each != path)))
    return {
        **unnamed(policy),
        **(ENTRIES if files or any(nested) else {}),
        **(LINKS if others else {}),
        **(SEARCHES if starts else {}),
    }


def unnamed(policy: Policy) -> dict[str, tuple[narrowing.Tests, ...]]:
    """Those of them that depend on what it may write alone."""
    return {**UNNAMED, **({} if any(granted_paths(policy, "write")) else CHANGES)}


def terminal_forms(order: Order) -> dict[str, tuple[narrowing.Tests, ...]]:
    """The forms of ioctl that do not come by where the program has a terminal of its own."""
    if order.terminal is None:
        return {}
    from binsafe.sandbox.linux import terminals  # services have none

    return terminals.forms(order.policy)


def _public_folders(layout: Layout) -> list[str]:
    """The folders to read that are mounted as they are, see `idmaps`."""
    read_only = [path for path, attributes in layout.mounts if attributes & READ == READ and path not in DEVICES]
    return [path for path in read_only if os.path.isdir(path) and os.stat(path).st_mode & stat.S_IROTH]


def _lookups(layout: Layout, policy: Policy, *, walks: bool, working_folder: str) -> "Lookups":
    from binsafe.sandbox.linux.given import Given
    from binsafe.sandbox.linux.lookups import Lookups

    devices = {kind: {g.object for g in policy.of(kind)}.intersection(DEVICES) for kind in ("read", "write")}
    given = Given(
        merged=layout.merged,
        readable=[*(path for path, _ in layout.mounts if path not in DEVICES), *devices["read"]],
        writable=[*devices["write"], *granted_paths(policy, "write")],
        scratch=[path for path, _ in layout.scratch],
        public=_public_folders(layout) if os.geteuid() == 0 else (),
        present=[*(piece.path for piece in layout.pieces), *(path for path, _ in layout.links)],
    )
    return Lookups(given, walks=walks, working_folder=working_folder)
