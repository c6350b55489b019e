"""Policy -> the seccomp JSON that OCI runtimes read, with the decisions of the filter that we load (``seccomp``)."""

import json
from collections.abc import Iterable, Iterator
from typing import Any, Final

from binsafe.errors import CannotExpress
from binsafe.kernel.filters import ENOSYS, EPERM, RET_ALLOW
from binsafe.model import Condition, Gap, Policy
from binsafe.policy.conditions import multiply_out
from binsafe.renderers.profile import Profile
from binsafe.renderers.seccomp import outcomes

_ARCHITECTURES: Final = {"x86_64": "SCMP_ARCH_X86_64", "arm64": "SCMP_ARCH_AARCH64"}

_RUNTIME: Final = ("close", "fstatfs", "futex", "getdents64", "openat", "write")
"""What runc needs between the filter and the program, given ``process.noNewPrivileges``; crun needs nothing."""

_GAPS: Final = (
    Gap(
        id="oci-exec", reason="a container runtime installs the filter before it starts the program, so execve is open"
    ),
    Gap(
        id="oci-runtime",
        reason="runc itself (with noNewPrivileges) calls these under the filter, so they are allowed: "
        + ", ".join(_RUNTIME),
    ),
    Gap(
        id="seccomp-paths", reason="file names lie in memory, where no filter reads: mounts and Landlock decide on them"
    ),
)

_ANY_PORT: Final = Gap(id="oci-bind", reason="any port can be bound: the address of bind lies in memory")
_BY_LISTENER: Final = Gap(
    id="oci-bind",
    reason="bind waits for a listener (set listenerPath) that must check the port; --allow-partial lets any be bound",
)


def render(policy: Policy, *, binary: str | None = None, allow_partial: bool = False) -> Profile:
    """The ``linux.seccomp`` object of the OCI runtime specification (config-linux.md, "Seccomp").

    Where ports are granted, bind is left to a listener, without which no runtime starts the program; with
    ``allow_partial`` it is allowed instead, on any port.

    Raises:
        CannotExpress: the policy grants connections, which no filter can tell apart (unless ``allow_partial``: then
            they stay denied and are listed).
        UsageError: as `seccomp.compile_filter`.
    """
    del binary  # no path is part of it
    gaps = [*_GAPS]
    for grant in policy.of("connect"):
        if not allow_partial:
            raise CannotExpress(
                f"seccomp cannot name {grant.object}: the address of connect lies in memory",
                hint="use `--for linux`, or --allow-partial to leave it denied",
            )
        gaps.append(Gap(id="seccomp-connect", reason=f"{grant.object} stays denied: a filter cannot read addresses"))
    if policy.listen_ports():
        gaps.append(_ANY_PORT if allow_partial else _BY_LISTENER)
    bind = "SCMP_ACT_ALLOW" if allow_partial else "SCMP_ACT_NOTIFY"
    text = json.dumps(document(policy, bind=bind, runtime=_RUNTIME), indent=2) + "\n"
    return Profile(mechanism="seccomp", text=text, gaps=tuple(gaps))


def document(policy: Policy, *, bind: str = "SCMP_ACT_NOTIFY", runtime: Iterable[str] = ()) -> dict[str, Any]:
    """The same decisions as the filter's, but for execve and for what only a supervisor can answer.

    ``bind`` is what becomes of it where ports are granted; ``runtime`` are calls that the runtime itself makes.
    """
    arch = policy.artifact.arch
    decided = dict.fromkeys(runtime, RET_ALLOW) | dict(outcomes(policy, arch))
    plain = sorted(name for name, outcome in decided.items() if outcome == RET_ALLOW)
    rules: list[dict[str, Any]] = [{"names": [*plain, "execve"], "action": "SCMP_ACT_ALLOW"}]
    for name, outcome in sorted(decided.items()):
        if isinstance(outcome, tuple):
            rules += ({"names": [name], "action": "SCMP_ACT_ALLOW", "args": args} for args in _arguments(outcome))
    if policy.listen_ports():
        rules.append({"names": ["bind"], "action": bind})
    else:
        rules.append({"names": ["bind"], "action": "SCMP_ACT_ERRNO", "errnoRet": EPERM})
    return {
        "defaultAction": "SCMP_ACT_ERRNO",
        "defaultErrnoRet": ENOSYS,
        "architectures": [_ARCHITECTURES[arch]],
        "syscalls": rules,
    }


def _arguments(alternatives: Iterable[tuple[Condition, ...]]) -> Iterator[list[dict[str, Any]]]:
    """A rule for each form: libseccomp takes one comparison per argument and rule, and one value to compare with."""
    for condition in alternatives:
        for tests in multiply_out(condition):
            yield [
                {"index": t.argument, "value": t.mask, "valueTwo": t.values[0], "op": "SCMP_CMP_MASKED_EQ"}
                for t in tests
            ]
