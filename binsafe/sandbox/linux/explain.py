"""What a step that failed means for the user: why this machine refuses, and what would change that."""

import errno
from typing import NamedTuple

from binsafe.errors import BinsafeError, MechanismRefused, NotEnforceable, NotExecutable
from binsafe.sandbox.linux import messages

_FIXES = {
    "granted folders": (
        "the file system of a granted folder knows no id-mapped mounts: start it as the folder's owner, "
        "or name a folder that everybody may write"
    ),
    "granted files": (
        "start it as their owner, or grant what everybody may use: without namespaces nothing lends it a right"
    ),
    "user id": "start it as an ordinary user",
    "namespaces": (
        "allow unprivileged user namespaces: sysctl user.max_user_namespaces=15000, on Debian "
        "kernel.unprivileged_userns_clone=1, on Ubuntu 24.04 an AppArmor profile with 'userns,' or "
        "kernel.apparmor_restrict_unprivileged_userns=0; in a container: profiles that allow unshare"
    ),
    "user namespace maps": "allow unprivileged user namespaces (an LSM or container profile forbids writing uid_map)",
    "processes": "the user may have no more of them: allow more (ulimit -u unlimited)",
    "mounts": "use a kernel of 5.12 or later, and an LSM or container profile that allows mounts in a user namespace",
    "landlock": "use a kernel of 5.13 or later with 'landlock' in its list of LSMs (boot parameter lsm=landlock,...)",
    "seccomp": "use a kernel of 5.19 or later (seccomp notifications that a signal does not restart)",
    "listener": (
        "allow tracing of one's own children (kernel.yama.ptrace_scope below 3; in a container: --cap-add SYS_PTRACE, "
        "and a profile that knows pidfd_open and pidfd_getfd)"
    ),
}


_FILTERED = "a filter of system calls in force (a container's profile) refuses what any process may do: allow it"
_NAMESPACE_STEPS = frozenset({"namespaces", "user namespace maps"})
_NOT_ALLOWED = frozenset({errno.EPERM, errno.EACCES})
_UNCONDITIONAL = frozenset({"stage", "limits", "privileges", "seccomp"})
"""Steps that the kernel itself lets everybody take."""
OF_FILTERS = frozenset({errno.EPERM, errno.ENOSYS})
"""How such a filter refuses a call, by habit."""


class Failure(NamedTuple):
    """A step that could not be done; ``errno`` is 0 where no call failed."""

    step: str = "stage"
    errno: int = 0
    detail: str = "it ended without a word"


def failure_in(message: bytes) -> Failure | None:
    """The failure that a message of the stage's reports, if it does."""
    told = messages.decode(message, "failed", 3)
    if told is None or not told[1].isdecimal():
        return None
    return Failure(told[0], int(told[1]), told[2])


def explain(failure: Failure) -> BinsafeError:
    """The error that a stage's failure stands for."""
    reason = f"{failure.step}: {failure.detail}"
    if failure.step == "execute":
        if failure.errno == errno.ENOENT:  # the file is there: its interpreter (the dynamic loader) is not
            hint = "binsafe inspect says which loader it names: install that, and derive the policy again"
            return NotEnforceable("the program cannot start without its loader", hint=hint)
        return NotExecutable(f"the kernel does not execute it: {reason}", hint="inspect it: binsafe inspect FILE")
    refused = MechanismRefused if _refuses_namespaces(failure) else NotEnforceable
    fix = _FIXES.get(failure.step, "report this: it is a bug in binsafe")
    if failure.step in _UNCONDITIONAL and failure.errno in OF_FILTERS:
        fix = _FILTERED
    if failure.step == "granted folders" and failure.errno in _NOT_ALLOWED:
        fix = "root may not mount here (a container without CAP_SYS_ADMIN): start it as the folder's owner"
    if failure.step == "seccomp" and failure.errno == errno.EBUSY:
        fix = "a supervisor's own filter is in force already, and the kernel takes one: start it outside of that"
    return refused(f"the sandbox cannot be built here: {reason}", hint=fix)


def _refuses_namespaces(failure: Failure) -> bool:
    """Whether it is the machine that does not let us have namespaces.

    AppArmor's restriction on Ubuntu lets a namespace be made and takes the right to do anything in it.
    """
    refused = failure.step in ("mounts", "granted folders") and failure.errno in _NOT_ALLOWED
    return failure.step in _NAMESPACE_STEPS or refused
