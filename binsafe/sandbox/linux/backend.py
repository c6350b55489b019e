"""The Linux backend: a policy becomes the plan that the stage follows."""

import os
import socket
import stat
import struct
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

from binsafe.errors import BinsafeError, NotEnforceable
from binsafe.model import Gap, Policy
from binsafe.renderers import landlock, linux, seccomp
from binsafe.sandbox.backends import Enforcement, Order
from binsafe.sandbox.linux import kernel
from binsafe.sandbox.linux.cargo import Cargo
from binsafe.sandbox.linux.layout import DEVICES, SCRATCH, SCRATCH_BYTES, Layout, granted_paths, inside, lay_out
from binsafe.sandbox.linux.process import Process
from binsafe.sandbox.linux.starting import Plan, start
from binsafe.sandbox.linux.supervisor import Watch
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
            with socket.socket() as free:
                free.bind(("127.0.0.1", 0))
                port = free.getsockname()[1]
            watch = _watch(arch, ports=frozenset({port}))
            process = start(_probe_plan(arch, port), watch, inherited=(), stdio=(subprocess.DEVNULL,) * 3)
            status = process.wait(10)
            if status is None:
                process.stop(grace=0)
            if status != 0:
                failure = process.supervisor.failure or {}
                raise NotEnforceable(
                    f"a program inside could not bind its port: {failure.get('detail', f'status {status}')}",
                    hint="allow tracing of one's own children (kernel.yama.ptrace_scope below 3)",
                )
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
        _check_writable(granted_paths(order.policy, "write"))
        watch = _watch(
            arch,
            ports=frozenset(order.policy.listen_ports()),
            granted=frozenset(g.object for g in order.policy.of("syscall")),
            foreseen=frozenset(word for denial in order.policy.denied for word in denial.capability.split()),
            order=order,
        )
        stdio = (order.stdin, order.stdout, order.stderr)
        with Cargo() as cargo:
            layout = lay_out(order, cargo)
            plan = _plan(order, layout, arch)
            return start(plan, watch, inherited=(order.program, cargo.descriptor), stdio=stdio)


def native_arch() -> str:
    """This machine's processor; raises NotEnforceable where we have no system-call table for it."""
    machine = os.uname().machine
    if machine not in MACHINES:
        raise NotEnforceable(f"no sandbox for {machine}", hint=f"supported: {', '.join(MACHINES)}")
    return MACHINES[machine]


def _plan(order: Order, layout: Layout, arch: str) -> Plan:
    policy = order.policy
    return {
        "execute": layout.program,
        "argv": [Path(policy.artifact.name).name, *order.arguments],
        "environment": order.environment(),
        "cwd": _working_folder(layout),
        **_root(layout),
        "limits": _limits(policy),
        "landlock": _confinement(policy, layout),
        "filter": seccomp.compile_filter(policy, arch).hex(),
    }


def _root(layout: Layout) -> Plan:
    return {name: getattr(layout, name) for name in ("pieces", "links", "mounts", "scratch", "folders", "covered")}


def _working_folder(layout: Layout) -> str:
    """Ours, if it is there inside: granted, in something granted, or above it."""
    here = os.getcwd()
    granted = [path for path, _ in layout.mounts]
    return here if any(inside(here, path) or inside(path, here) for path in granted) else "/"


def _limits(policy: Policy) -> list[tuple[str, int]]:
    """Resource limits. Where the kernel pipes core dumps to a program, a limit of 0 does not stop it, but 1 does.

    (fs/coredump.c: for a pipe limits are irrelevant but for this one; and a file of 1 byte is never written.)
    """
    limits = {grant.object.upper(): int(grant.access) for grant in policy.of("limit")}
    with open("/proc/sys/kernel/core_pattern", "rb") as stream:
        if limits.get("CORE") == 0 and stream.read(1) in (b"|", b"@"):
            limits["CORE"] = 1
    return list(limits.items())


def _confinement(policy: Policy, layout: Layout) -> dict[str, Any]:
    """Landlock's part of the plan; none where the kernel has none (other layers hold the same denials)."""
    abi = kernel.landlock_abi()
    if abi == 0:
        return {"handled": [], "rules": []}
    wanted = landlock.plan(policy, abi)
    places = {"artifact": [layout.program], "scratch": [path for path, _ in layout.scratch]}
    rules: dict[str, landlock.Fs] = {}
    for rule in wanted.rules:
        for path in places.get(rule.object, [rule.object]):
            is_folder = path in places["scratch"] or (path != layout.program and Path(path).is_dir())
            rights = rule.rights if is_folder else rule.rights & landlock.FILE_RIGHTS
            rules[path] = rules.get(path, landlock.Fs(0)) | rights
    for piece in layout.pieces:
        rights = landlock.Fs.READ_FILE | (landlock.Fs.EXECUTE if piece.path in layout.executable else 0)
        rules[piece.path] = rules.get(piece.path, landlock.Fs(0)) | rights
    return {"handled": list(wanted.handled), "rules": [(path, int(rights)) for path, rights in rules.items()]}


def _check_writable(paths: Iterable[str]) -> None:
    """Refuse a write grant that could not be used: root's program becomes a user that owns nothing."""
    if os.geteuid() != 0:
        return
    for path in paths:
        if not Path(path).stat().st_mode & stat.S_IWOTH:
            raise NotEnforceable(
                f"{path} could not be written: a program that root starts runs as a user that owns nothing",
                hint=f"start it as the owner of {path}, or name a folder that everybody may write",
            )


def _watch(
    arch: str,
    *,
    ports: frozenset[int],
    granted: frozenset[str] = frozenset(),
    foreseen: frozenset[str] = frozenset(),
    order: Order | None = None,
) -> Watch:
    def ignore(_: object) -> None:
        """The doctor's program does nothing that could be denied."""

    return Watch(
        names=tables.names(arch),
        granted=granted,
        ports=ports,
        foreseen=foreseen,
        on_violation=order.on_violation if order else ignore,
    )


def _probe_plan(arch: str, port: int) -> Plan:
    """A plan with every step of the real one; its filter asks about bind() and lets our own code do the rest."""
    load, jump_equal, answer = 0x20, 0x15, 0x06  # BPF_LD|BPF_W|BPF_ABS, BPF_JMP|BPF_JEQ|BPF_K, BPF_RET|BPF_K
    user_notification, allow = 0x7FC0_0000, 0x7FFF_0000
    program = (
        (load, 0, 0, 0),
        (jump_equal, 0, 1, tables.numbers(arch)["bind"]),
        (answer, 0, 0, user_notification),
        (answer, 0, 0, allow),
    )
    rights = landlock.ABI_RIGHTS.get(min(kernel.landlock_abi(), landlock.LATEST))
    return {
        "execute": None,
        "probe_port": port,
        **_root(Layout(program="", mounts=tuple((path, 0) for path in DEVICES), scratch=((SCRATCH, SCRATCH_BYTES),))),
        "limits": [("CORE", 0)],
        "landlock": {"handled": [int(rights.fs)] if rights else [], "rules": []},
        "cwd": "/",
        "filter": b"".join(struct.pack("=HBBI", *instruction) for instruction in program).hex(),
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
