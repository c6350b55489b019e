"""Policy -> seccomp: the filter that we load ourselves.

The filter asks the supervisor (``SECCOMP_RET_USER_NOTIF``) about everything that is not plainly granted, so that each
refusal can be answered with the right error and reported. What it decides alone:

    another architecture, or x32           the process is killed: those calls have numbers of their own
    granted, conditions met                allowed
    exit, exit_group, rt_sigreturn, ...    allowed, always (`walls.ALWAYS`)
    clone3                                 ENOSYS, on which libraries fall back to clone, whose flags can be tested
    bind, execve, execveat                 supervisor, always: it decides on the address, and on whose exec it is
    anything else                          supervisor
"""

from collections.abc import Iterable, Mapping
from typing import Final

from binsafe.errors import UsageError
from binsafe.kernel.filters import (
    ENOSYS,
    EPERM,
    RET_ALLOW,
    RET_ERRNO,
    RET_USER_NOTIF,
    Outcome,
    Refusal,
    compile_decided,
)
from binsafe.model import Condition, Policy
from binsafe.policy.walls import ALWAYS, NEEDS_CONDITION, SUPERVISED, WALLS
from binsafe.syscalls import tables

_TO_SUPERVISOR: Final = Refusal(RET_USER_NOTIF, RET_USER_NOTIF)
_ARGUMENTS = range(6)


def compile_filter(policy: Policy, arch: str, *, notify: frozenset[str] = frozenset()) -> bytes:
    """The classic BPF program for ``seccomp(SECCOMP_SET_MODE_FILTER)``: an array of ``struct sock_filter``.

    ``arch`` is the processor that the program is for, as the report names it. Calls of ``notify`` that are granted pass
    by the supervisor, which makes the tests of their arguments and lets them go on.

    Raises:
        UsageError: the policy is another processor's, or grants a call that is unknown there or that is a wall.
        CannotExpress: the filter would be longer than the kernel takes.
    """
    decided = {name: RET_USER_NOTIF if name in notify else outcome for name, outcome in outcomes(policy, arch).items()}
    return compile_decided(decided, arch, _TO_SUPERVISOR)


def compile_alone(policy: Policy, arch: str, *, may_bind: bool, launcher: Iterable[str]) -> bytes:
    """The same for launchers that have no supervisor, and start the program after the filter: execve is open.

    What is not listed is answered ENOSYS, so that libraries fall back; a listed call whose conditions fail, EPERM.
    ``launcher`` are calls that the launcher's own process makes under the filter.

    Raises:
        UsageError, CannotExpress: as `compile_filter`.
    """
    decided = dict(outcomes(policy, arch))
    refused = RET_ERRNO | EPERM
    decided |= {"execve": RET_ALLOW, "execveat": refused, "bind": RET_ALLOW if may_bind else refused}
    decided |= dict.fromkeys(launcher, RET_ALLOW)
    return compile_decided(decided, arch, Refusal(RET_ERRNO | ENOSYS, refused))


def outcomes(policy: Policy, arch: str) -> Mapping[str, Outcome]:
    """Call name -> what becomes of it; calls that are not named go to the supervisor.

    Raises:
        UsageError: as `compile_filter`.
    """
    if policy.artifact.system != "linux" or policy.artifact.arch != arch:
        system = f"{policy.artifact.system} on {policy.artifact.arch}"
        raise UsageError(f"the policy is for {system}, not for linux on {arch}", hint="derive it from the right binary")
    known = tables.numbers(arch)
    result: dict[str, Outcome] = {}
    for grant in policy.of("syscall"):
        _refuse(grant.object, grant.when, known)
        if grant.object in SUPERVISED:
            continue
        before = result.get(grant.object, ())
        result[grant.object] = (*before, grant.when) if grant.when and isinstance(before, tuple) else RET_ALLOW
    fixed = {**dict.fromkeys(ALWAYS, RET_ALLOW), **dict.fromkeys(SUPERVISED, RET_USER_NOTIF)}
    fixed["clone3"] = RET_ERRNO | ENOSYS
    return {**result, **{name: action for name, action in fixed.items() if name in known}}


def _refuse(name: str, when: tuple[Condition, ...], known: Mapping[str, int]) -> None:
    """The last check before the kernel: whatever the policy says, calls that are never granted stay denied."""
    if name not in known:
        raise UsageError(f"no system call {name!r} on this processor", hint="leave it out of the policy")
    if name in WALLS:
        raise UsageError(f"{name} cannot be granted: {WALLS[name]}", hint="leave it out of the policy")
    if name in NEEDS_CONDITION and not when:
        raise UsageError(f"{name} cannot be granted whole", hint="grant it by its arguments, with conditions")
    for test in when:
        if not test.values or test.argument not in _ARGUMENTS or any(v & ~test.mask or v < 0 for v in test.values):
            raise UsageError(f"a condition of {name} can never hold", hint="leave the grant out of the policy")
