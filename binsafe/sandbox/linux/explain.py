"""What a step that failed means for the user: why this machine refuses, and what would change that."""

import errno
from typing import Any

from binsafe.errors import BinsafeError, MechanismRefused, NotEnforceable, NotExecutable

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
    "mounts": "use a kernel of 5.12 or later, and an LSM or container profile that allows mounts in a user namespace",
    "landlock": "use a kernel of 5.13 or later with 'landlock' in its list of LSMs (boot parameter lsm=landlock,...)",
    "seccomp": "use a kernel of 5.19 or later (seccomp notifications that a signal does not restart)",
    "listener": (
        "allow tracing of one's own children (kernel.yama.ptrace_scope below 3; in a container: --cap-add SYS_PTRACE)"
    ),
}


_NAMESPACE_STEPS = frozenset({"namespaces", "user namespace maps"})


def reason_and_fix(report: dict[str, Any]) -> tuple[str, str]:
    """A stage's failure report as (what could not be done, what to do about it)."""
    step = str(report.get("step", "stage"))
    return f"{step}: {report.get('detail', 'no reason given')}", _FIXES.get(step, "report this: it is a bug in binsafe")


def explain(report: dict[str, Any]) -> BinsafeError:
    """The error that a stage's failure report stands for."""
    reason, fix = reason_and_fix(report)
    if report.get("step") == "execute":
        if report.get("errno") == errno.ENOENT:  # the file is there: its interpreter (the dynamic loader) is not
            hint = "it needs a dynamic loader and libraries, which this version does not put into the sandbox yet"
            return NotEnforceable("the program cannot start without its loader", hint=hint)
        return NotExecutable(f"the kernel does not execute it: {reason}", hint="inspect it: binsafe inspect FILE")
    refused = MechanismRefused if _refuses_namespaces(report) else NotEnforceable
    return refused(f"the sandbox cannot be built here: {reason}", hint=fix)


def _refuses_namespaces(report: dict[str, Any]) -> bool:
    """Whether it is the machine that does not let us have namespaces.

    AppArmor's restriction on Ubuntu lets a namespace be made and takes the right to do anything in it.
    """
    step, number = report.get("step"), report.get("errno")
    return step in _NAMESPACE_STEPS or (step == "mounts" and number in (errno.EPERM, errno.EACCES))
