"""The Linux backend: a policy becomes the plan that the stage follows."""

import errno
import os
import socket
import struct
import subprocess
from typing import Final

from binsafe.errors import BinsafeError, NotEnforceable
from binsafe.model import Gap, Policy
from binsafe.renderers import landlock, linux
from binsafe.sandbox.backends import Enforcement, Order
from binsafe.sandbox.linux import kernel
from binsafe.sandbox.linux.answering import Watch
from binsafe.sandbox.linux.cargo import Cargo
from binsafe.sandbox.linux.connecting import pin
from binsafe.sandbox.linux.layout import DEVICES, SCRATCH, SCRATCH_BYTES, Layout, granted_paths, lay_out
from binsafe.sandbox.linux.lookups import PATH_CALLS, Lookups
from binsafe.sandbox.linux.planning import plan_for, root_of
from binsafe.sandbox.linux.process import Process
from binsafe.sandbox.linux.starting import Plan, Stage
from binsafe.syscalls import tables

MACHINES: Final = {"x86_64": "x86_64", "aarch64": "arm64"}
"""The kernel's names of the processors whose programs can run here, and ours."""


class Namespaces:
    """Empty namespaces + seccomp + Landlock, for an ordinary user and for root (who becomes an ordinary one)."""

    name = "namespaces"
    system = "linux"

    def probe(self) -> Enforcement:
        """Build the whole sandbox around a program of ours that binds one port, and see."""
        try:
            arch = native_arch()
            try_out(self.name, arch, _probe_plan(), frozenset({"bind"}))
        except BinsafeError as error:
            return Enforcement(level="none", gaps=(Gap(id="sandbox", reason=str(error), fix=error.hint),))
        return Enforcement(level="full", gaps=_missing_layers())

    def launch(self, order: Order) -> Process:
        """Start a program under its policy.

        Raises:
            NotExecutable: the kernel refused to execute it.
            NotEnforceable: a part of the policy cannot be held here; nothing was started.
        """
        arch = native_arch()
        for gap in linux.gaps(order.policy):
            raise NotEnforceable(gap.reason, hint="leave the grant out")
        stdio = (order.stdin, order.stdout, order.stderr)
        with Cargo() as cargo, Stage(stdio, (order.program, cargo.descriptor)) as stage:
            destinations = pin(order.policy.of("connect"))
            layout = lay_out(order, cargo, destinations.hosts)
            lookups = None if reads_folders(order.policy) else _lookups(layout, order.policy)
            watch = Watch(
                names=tables.names(arch),
                granted=frozenset(grant.object for grant in order.policy.of("syscall")),
                whole=frozenset(grant.object for grant in order.policy.of("syscall") if not grant.when),
                ports=frozenset(order.policy.listen_ports()),
                destinations=destinations,
                executables=layout.grantees,
                foreseen=frozenset(word for denial in order.policy.denied for word in denial.capability.split()),
                lookups=lookups,
                on_violation=order.on_violation,
            )
            notify = frozenset(PATH_CALLS) if lookups else frozenset()
            if destinations.addresses:
                notify |= {"listen"}  # see grafting.listen
            return stage.follow(plan_for(order, layout, arch, notify), watch, self.name)


def reads_folders(policy: Policy) -> bool:
    """Whether it was given whole folders: such a program may look at thousands of files, and is not held up at each."""
    named = [grant.object for kind in ("read", "write") for grant in policy.of(kind) if not grant.access]
    return any(os.path.isdir(path) for path in named if path.startswith("/"))


def _lookups(layout: Layout, policy: Policy) -> Lookups:
    return Lookups(
        merged=layout.merged,
        readable=[path for path, _ in layout.mounts],
        writable=[*(path for path, _ in layout.scratch), *DEVICES, *granted_paths(policy, "write")],
        present=[*(piece.path for piece in layout.pieces), *(path for path, _ in layout.links)],
    )


def native_arch() -> str:
    """This machine's processor; raises NotEnforceable where we have no system-call table for it."""
    machine = os.uname().machine
    if machine not in MACHINES:
        raise NotEnforceable(f"no sandbox for {machine}", hint=f"supported: {', '.join(MACHINES)}")
    return MACHINES[machine]


def _ignore(_: object) -> None:
    """The doctor's program does nothing that could be denied."""


def try_out(backend: str, arch: str, plan: Plan, asked: frozenset[str]) -> None:
    """Build a sandbox around a program of ours that binds one port; the supervisor answers the calls in ``asked``.

    Raises:
        NotEnforceable: it cannot be built, or the program could not do that.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    watch = Watch(names=tables.names(arch), ports=frozenset({port}), whole=asked, on_violation=_ignore)
    stdio = (subprocess.DEVNULL,) * 3
    plan = plan | {"probe_port": port, "filter": trial_filter(arch, asked)}
    with Stage(stdio, ()) as stage:
        process = stage.follow(plan, watch, backend)
    status = process.wait(10)
    if status is None:
        process.stop(grace=0)
    if status != 0:
        raise NotEnforceable(
            f"a program inside could not bind its port: {os.strerror(status or errno.ETIMEDOUT)}",
            hint="allow tracing of one's own children (kernel.yama.ptrace_scope below 3)",
        )


def trial_filter(arch: str, asked: frozenset[str]) -> bytes:
    """A filter that asks about some calls and lets our own code do the rest."""
    load, jump_equal, answer = 0x20, 0x15, 0x06  # BPF_LD|BPF_W|BPF_ABS, BPF_JMP|BPF_JEQ|BPF_K, BPF_RET|BPF_K
    user_notification, allow = 0x7FC0_0000, 0x7FFF_0000
    program = [(load, 0, 0, 0)]
    for name in sorted(asked):
        program += [(jump_equal, 0, 1, tables.numbers(arch)[name]), (answer, 0, 0, user_notification)]
    program.append((answer, 0, 0, allow))
    return b"".join(struct.pack("=HBBI", *instruction) for instruction in program)


def _probe_plan() -> Plan:
    """A plan with every step of the real one."""
    rights = landlock.ABI_RIGHTS.get(min(kernel.landlock_abi(), landlock.LATEST))
    return {
        "namespaces": True,
        "execute": None,
        **root_of(Layout(program="", mounts=tuple((path, 0) for path in DEVICES), scratch=((SCRATCH, SCRATCH_BYTES),))),
        "limits": [("CORE", 0)],
        "landlock": {"handled": [int(rights.fs)] if rights else [], "rules": []},
        "cwd": "/",
    }


def _missing_layers() -> tuple[Gap, ...]:
    """Second layers that this kernel lacks while the first holds: worth knowing, no loss of enforcement."""
    if kernel.landlock_abi() == 0:
        return (
            Gap(
                id="landlock",
                reason="no Landlock: files, execution and TCP are held by mounts, seccomp and the empty network alone",
                fix="a kernel of 5.13 or later with 'landlock' in its list of LSMs",
            ),
        )
    return ()
