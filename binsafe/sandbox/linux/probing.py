"""What this machine can hold, found out by building a whole sandbox around a program of ours (see ``trial``)."""

import errno
import os
import resource
import struct
from typing import Final

from binsafe import kernel
from binsafe.errors import NotEnforceable
from binsafe.kernel.rights import ABI_RIGHTS, LATEST
from binsafe.model import Gap
from binsafe.renderers import narrowing
from binsafe.sandbox.linux.explain import OF_FILTERS, Failure, explain
from binsafe.sandbox.linux.layout import DEVICES, SCRATCH, SCRATCH_BYTES, Layout
from binsafe.sandbox.linux.planning import root_of
from binsafe.sandbox.linux.starting import Plan, Stage
from binsafe.sandbox.linux.trial import ANY_PORT
from binsafe.sandbox.linux.watching import Watch
from binsafe.syscalls import tables

_CORE_PATTERN: Final = "/proc/sys/kernel/core_pattern"


def _ignore(_: object) -> None:
    """The doctor's program does nothing that could be denied."""


def try_out(backend: str, arch: str, plan: Plan, asked: frozenset[str]) -> None:
    """Build a sandbox around a program of ours that binds one port; the supervisor answers the calls in ``asked``.

    Raises:
        NotEnforceable: it cannot be built, or the program could not do that.
    """
    granted = dict.fromkeys(asked, ((),))
    watch = Watch(
        names=tables.names(arch), ports=frozenset({ANY_PORT}), granted=granted, begun=True, on_violation=_ignore
    )
    plan = plan | {"filter": trial_filter(arch, asked)}
    with _stage() as stage, open(os.devnull, "r+b") as nothing:
        stage.begin(plan, (nothing.fileno(),) * 3, ())
        process = stage.supervise(watch, backend)
    status = process.wait(10)
    if status is None:
        process.stop(grace=0)
    if status != 0:
        raise NotEnforceable(
            f"a program inside could not bind its port: {os.strerror(status or errno.ETIMEDOUT)}",
            hint="allow tracing of one's own children (kernel.yama.ptrace_scope below 3)",
        )


def _stage() -> Stage:
    try:
        return Stage()
    except OSError as error:
        if error.errno not in OF_FILTERS:
            raise
        raise explain(Failure(errno=error.errno, detail=str(error))) from error


def trial_filter(arch: str, asked: frozenset[str]) -> bytes:
    """A filter that asks about some calls and lets our own code do the rest."""
    load, jump_equal, answer = 0x20, 0x15, 0x06  # BPF_LD|BPF_W|BPF_ABS, BPF_JMP|BPF_JEQ|BPF_K, BPF_RET|BPF_K
    user_notification, allow = 0x7FC0_0000, 0x7FFF_0000
    program = [(load, 0, 0, 0)]
    for name in sorted(asked):
        program += [(jump_equal, 0, 1, tables.numbers(arch)[name]), (answer, 0, 0, user_notification)]
    program.append((answer, 0, 0, allow))
    return b"".join(struct.pack("=HBBI", *instruction) for instruction in program)


def every_step() -> Plan:
    """A plan with every step of the real one."""
    rights = ABI_RIGHTS.get(min(kernel.landlock_abi(), LATEST))
    return {
        "namespaces": True,
        "own_process": narrowing.OWN_PROCESS,
        "execute": None,
        "argv": [],
        **root_of(Layout(program="", mounts=tuple((path, 0) for path in DEVICES), scratch=((SCRATCH, SCRATCH_BYTES),))),
        "limits": [("CORE", 0)],
        "landlock": {"handled": [int(rights.fs)] if rights else [], "rules": []},
        "cwd": "/",
    }


def missing_layers() -> tuple[Gap, ...]:
    """Second layers that this kernel lacks while the first holds: worth knowing, no loss of enforcement."""
    if kernel.landlock_abi() == 0:
        return (
            Gap(
                id="landlock",
                reason="no Landlock: files, execution and TCP are held by mounts, seccomp and the empty network alone, "
                "and what may be read of /dev/zero and /dev/urandom may be written",
                fix="a kernel of 5.13 or later with 'landlock' in its list of LSMs",
            ),
        )
    return ()


def piped_dumps() -> tuple[Gap, ...]:
    """Core dumps that no limit of ours stops, see `planning.limits_of`: a hard limit can only be lowered."""
    with open(_CORE_PATTERN, "rb") as stream:
        piped = stream.read(1) in (b"|", b"@")
    if not piped or resource.getrlimit(resource.RLIMIT_CORE)[1] != 0:
        return ()
    return (
        Gap(
            id="dumps",
            reason="when a program crashes, this machine's core-dump handler gets its registers and the names of "
            "its files, but no memory: what stops dumps is a limit of 1 byte, which a hard limit of 0 does not allow",
            fix="start binsafe with another hard limit for core dumps (ulimit -H -c 1)",
        ),
    )
