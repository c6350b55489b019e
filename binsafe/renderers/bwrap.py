"""Policy -> bubblewrap: a shell script that builds the sandbox with bwrap(1), the filter included.

bwrap puts the program into namespaces of its own and shows it what is bound there; it has no supervisor. So what only a
supervisor can decide is missing, and is named as a gap: which ports may be bound, what may be executed.
"""

import base64
import posixpath
from collections.abc import Iterator
from typing import Final

from binsafe.errors import CannotExpress
from binsafe.model import Gap, Policy
from binsafe.policy.objects import ARTIFACT, SCRATCH, SEARCHED
from binsafe.renderers.profile import DEVICES, Profile, comment, granted_files
from binsafe.renderers.seccomp import compile_alone
from binsafe.reports.escape import shell_word

SCRATCH_FOLDER: Final = "/scratch"
_FILTER_DESCRIPTOR: Final = 9
_INIT: Final = ("wait4", "write", "close")
"""What bwrap's own pid 1, which is under the same filter, needs to wait for the program and say how it ended."""


_GAPS: Final = (
    Gap(
        id="bwrap-exec",
        reason="bwrap starts the program after the filter, so execve is open: it may execute what it can see and map",
    ),
    Gap(id="bwrap-noexec", reason="folders that it may write are not mounted noexec: what it writes, it can execute"),
    Gap(id="bwrap-environ", reason="bwrap keeps the launcher's environment in its own memory, as pid 1 of the sandbox"),
)


def render(policy: Policy, *, binary: str | None = None, allow_partial: bool = False) -> Profile:
    """The script: ``sh PROFILE [ARGUMENTS]``. ``binary`` is the program's resolved path; without it, ``$BINARY`` is.

    Raises:
        CannotExpress: the policy grants ports or connections (unless ``allow_partial``: ports are opened in the host's
            network, where none is told from another; connections stay denied), or more calls than a filter holds.
    """
    ports, gaps = policy.listen_ports(), [*_GAPS]
    if ports and not allow_partial:
        raise CannotExpress(
            "bwrap has no words for ports: its network is empty, or the host's whole one",
            hint="--allow-partial shares the host's network: any port can be bound, connecting stays denied",
        )
    if ports:
        reason = "the host's network is shared: any port can be bound, on any address; connecting out stays denied"
        gaps.append(Gap(id="bwrap-ports", reason=reason))
    for grant in policy.of("connect"):
        if not allow_partial:
            raise CannotExpress(f"bwrap cannot name {grant.object}", hint="leave --connect out, or add --allow-partial")
        gaps.append(Gap(id="bwrap-connect", reason=f"{grant.object} stays denied: no filter reads addresses"))
    lines = (*_head(policy, binary), *_arguments(policy, shares_network=bool(ports)), *_end(policy, bool(ports)))
    return Profile(mechanism="bwrap", text="\n".join(lines) + "\n", gaps=tuple(gaps))


def _head(policy: Policy, binary: str | None) -> Iterator[str]:
    yield "#!/bin/sh"
    artifact = policy.artifact
    yield comment(f"{policy.schema} for {artifact.name} ({artifact.arch}), sha256 {artifact.sha256}")
    yield comment(f"baseline {policy.baseline}; what is not bound or listed below is not there")
    for denial in policy.denied:
        yield comment(f"could, may not: {denial.capability}")
    yield "set -eu"
    yield f"binary={shell_word(binary)}" if binary else "binary=${BINARY:?the resolved path of the program}"
    yield "program=" + shell_word(f"/bin/{posixpath.basename(policy.artifact.name)}")
    yield 'set -- -- "$program" "$@"'


def _arguments(policy: Policy, *, shares_network: bool) -> Iterator[str]:
    """In front of the program's own arguments, last first: each ``set`` puts its options before all others."""
    rules = list(_rules(policy, shares_network=shares_network))
    for reason, options in reversed(rules):
        yield ""
        yield comment(reason)
        yield f'set -- {" ".join(options)} "$@"'


def _rules(policy: Policy, *, shares_network: bool) -> Iterator[tuple[str, list[str]]]:
    namespaces = ("user", "ipc", "pid", "uts", "cgroup-try", *(() if shares_network else ("net",)))
    yield (
        "namespaces of its own, all capabilities dropped, no terminal, and it ends with its launcher",
        [
            *(f"--unshare-{name}" for name in namespaces),
            *("--cap-drop", "ALL", "--new-session", "--die-with-parent"),
            *("--uid", "65534", "--gid", "65534", "--hostname", "sandbox"),
        ],
    )
    variables = [word for grant in policy.of("environment") for word in ("--setenv", grant.object, grant.access)]
    yield (
        "an empty environment but for what is granted",
        ["--clearenv", "--setenv", "PATH", SEARCHED, *map(shell_word, variables)],
    )
    yield "the program itself", ["--ro-bind", '"$binary"', '"$program"']
    loaded = [" ".join(map(shell_word, ("--ro-bind", file.path, file.opened_as))) for file in policy.artifact.files]
    if loaded:
        yield "its loader and libraries", loaded
    yield "what every program may have of devices", [w for d in sorted(DEVICES) for w in ("--dev-bind", d, d)]
    for grant in granted_files(policy):
        if grant.object == SCRATCH:
            yield grant.reason, ["--perms", "0700", "--tmpfs", SCRATCH_FOLDER]
        elif grant.object not in DEVICES and grant.object != ARTIFACT:
            option = "--bind" if grant.kind == "write" else "--ro-bind"
            yield grant.reason, [option, shell_word(grant.object), shell_word(grant.object)]
    yield "the rest is empty and stays so", ["--remount-ro", "/", "--chdir", "/"]
    yield "system calls: the filter below", ["--seccomp", str(_FILTER_DESCRIPTOR)]


def _end(policy: Policy, may_bind: bool) -> Iterator[str]:
    limits = " ".join(f"--{grant.object}={int(grant.access)}" for grant in policy.of("limit"))
    yield ""
    yield comment("the filter, as struct sock_filter[] in base64; `binsafe profile --for seccomp` shows it readably")
    yield "filter=$(mktemp)"
    yield "base64 -d >\"$filter\" <<'END'"
    compiled = compile_alone(policy, policy.artifact.arch, may_bind=may_bind, launcher=_INIT)
    yield from _wrapped(base64.b64encode(compiled).decode())
    yield "END"
    yield f'exec {_FILTER_DESCRIPTOR}<"$filter"'
    yield 'rm -f "$filter"'
    yield f'exec prlimit {limits} -- bwrap "$@"' if limits else 'exec bwrap "$@"'


def _wrapped(text: str, width: int = 100) -> Iterator[str]:
    return (text[at : at + width] for at in range(0, len(text), width))
