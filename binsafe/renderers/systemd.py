"""Policy -> a systemd service unit with its hardening options (systemd.exec(5), systemd.resource-control(5)).

systemd is a supervisor of the kernel's own means: it knows ports (SocketBindAllow), files by mounts and system calls by
name. It does not look at arguments, so each condition of the policy is a gap of the unit, and is named.
"""

import ipaddress
import posixpath
from collections.abc import Iterator
from typing import Final

from binsafe.errors import CannotExpress
from binsafe.model import Condition, Gap, Policy
from binsafe.policy.conditions import multiply_out
from binsafe.policy.constants import CONSTANTS
from binsafe.policy.objects import ARTIFACT, LIBRARY, SCRATCH
from binsafe.policy.walls import ALWAYS
from binsafe.renderers.profile import DEVICES, Profile, comment, granted_files

_OWNER: Final = (
    Gap(
        id="systemd-owner",
        reason="its own user may write only where everybody may: put User= and the owner in place of DynamicUser=yes",
    ),
)
_LIMITS: Final = {
    "nofile": "LimitNOFILE",
    "nproc": "LimitNPROC",
    "core": "LimitCORE",
    "fsize": "LimitFSIZE",
    "cpu": "LimitCPU",
    "as": "LimitAS",
}

_MAKING_CODE: Final = (
    ("mmap", CONSTANTS["PROT_WRITE"] | CONSTANTS["PROT_EXEC"]),
    ("mprotect", CONSTANTS["PROT_EXEC"]),
    ("pkey_mprotect", CONSTANTS["PROT_EXEC"]),
)
"""What MemoryDenyWriteExecute= refuses: call, protection."""

_SEEN_BY_OPTIONS: Final = frozenset(call for call, _ in _MAKING_CODE)
_PARTLY_SEEN: Final = {
    "clone": "makes processes, not threads alone, in no namespaces of their own",
    "socket": "makes sockets of every kind in the families named, for datagrams too",
}
"""Call -> what of it no option tells apart."""

_ALWAYS: Final = (
    (
        "a user of its own that owns nothing, and no way to become another",
        ("DynamicUser=yes", "NoNewPrivileges=yes", "RestrictSUIDSGID=yes", "PrivateUsers=yes"),
    ),
    ("no capability", ("CapabilityBoundingSet=", "AmbientCapabilities=")),
    (
        "no namespaces, realtime, foreign architectures or personalities",
        ("RestrictNamespaces=yes", "RestrictRealtime=yes", "LockPersonality=yes", "SystemCallArchitectures=native"),
    ),
    (
        "nothing of the kernel, the clock, the host's name, its messages or other processes",
        (
            *("ProtectKernelTunables=yes", "ProtectKernelModules=yes", "ProtectKernelLogs=yes"),
            *("ProtectControlGroups=yes", "ProtectClock=yes", "ProtectHostname=yes", "ProtectProc=invisible"),
            *("ProcSubset=pid", "KeyringMode=private", "RemoveIPC=yes", "PrivateIPC=yes"),
        ),
    ),
    (
        "no devices but the harmless ones, no home, nobody else's temporary files",
        ("PrivateDevices=yes", "DevicePolicy=closed", "ProtectHome=tmpfs", "PrivateTmp=yes", "UMask=0077"),
    ),
)


def render(policy: Policy, *, binary: str | None = None, allow_partial: bool = False) -> Profile:
    """The unit's text. ``binary`` is the program's resolved path; without it, ``/usr/local/bin/NAME`` is written.

    Raises:
        CannotExpress: a path has characters that a unit cannot hold safely, or a connect grant names a host by name
            (unless ``allow_partial``: then every address is open, and listed).
    """
    gaps = list(_argument_gaps(policy))
    program = binary or f"/usr/local/bin/{posixpath.basename(policy.artifact.name)}"
    sections = (
        *_head(policy, program),
        *_files(policy, program),
        *_network(policy, gaps, allow_partial=allow_partial),
        *_calls(policy),
        *_limits(policy),
        ("[Install]", ("WantedBy=multi-user.target",)),
    )
    heads = (reason if reason.startswith("[") else comment(reason) for reason, _ in sections)
    lines = [line for head, (_, options) in zip(heads, sections, strict=True) for line in ("", head, *options)]
    gaps += _OWNER if any(grant.object.startswith("/") for grant in policy.of("write")) else ()
    gaps.append(Gap(id="systemd-exec", reason="execve is always open in a unit: NoExecPaths= decides what it reaches"))
    gaps.append(Gap(id="systemd-version", reason="some options need systemd 249 (SocketBindAllow=, ExecPaths=)"))
    return Profile(mechanism="systemd", text="\n".join(lines[1:]) + "\n", gaps=tuple(gaps))


_Section = tuple[str, tuple[str, ...]]


def _head(policy: Policy, program: str) -> Iterator[_Section]:
    name = _plain(posixpath.basename(policy.artifact.name), "the program's name")
    artifact = policy.artifact
    could = tuple(comment(f"could, may not: {denial.capability}") for denial in policy.denied)
    yield f"{policy.schema} for {artifact.name} ({artifact.arch}), sha256 {artifact.sha256}", could
    yield "[Unit]", (f"Description={name}, under the policy that binsafe derived ({policy.baseline})",)
    yield "[Service]", (f"ExecStart={_path(program)}", "StandardInput=null")
    variables = policy.of("environment")
    if variables:
        yield (
            "the environment: this and nothing else",
            tuple(f'Environment="{grant.object}={_plain(grant.access, grant.object)}"' for grant in variables),
        )
    yield from _ALWAYS


def _files(policy: Policy, program: str) -> Iterator[_Section]:
    loaded = {file.opened_as: file.path for file in policy.artifact.files}
    binds = [f"{_path(program)}", *(f"{_path(path)}:{_path(opened)}" for opened, path in loaded.items())]
    yield (
        "the file system: the program with its loader and libraries, and what follows",
        (
            "TemporaryFileSystem=/:ro",
            f"BindReadOnlyPaths={' '.join(binds)}",
            "NoExecPaths=/",
            f"ExecPaths={' '.join(map(_path, (program, *loaded)))}",
        ),
    )
    for grant in granted_files(policy):
        if grant.object in DEVICES or grant.object == ARTIFACT:
            continue
        if grant.kind == "write" and grant.object == SCRATCH:
            yield grant.reason, ("TemporaryFileSystem=/scratch:noexec,nosuid,nodev,size=64M,mode=0777",)
        elif grant.kind == "write":
            yield grant.reason, (f"BindPaths={_path(grant.object)}", f"ReadWritePaths={_path(grant.object)}")
        elif grant.access == LIBRARY:
            yield grant.reason, (f"BindReadOnlyPaths={_path(grant.object)}", f"ExecPaths={_path(grant.object)}")
        elif grant.kind == "read":
            yield grant.reason, (f"BindReadOnlyPaths={_path(grant.object)}",)
        elif grant.kind == "execute":
            yield grant.reason, (f"BindReadOnlyPaths={_path(grant.object)}", f"ExecPaths={_path(grant.object)}")


def _network(policy: Policy, gaps: list[Gap], *, allow_partial: bool) -> Iterator[_Section]:
    ports, connects = policy.listen_ports(), policy.of("connect")
    if not ports and not connects:
        yield "no network at all", ("PrivateNetwork=yes", "RestrictAddressFamilies=none", "IPAddressDeny=any")
        return
    allowed = ["IPAddressAllow=localhost"] if ports else []
    for grant in connects:
        host, _, port = grant.object.rpartition(":")
        try:
            address = "localhost" if host == "localhost" else str(ipaddress.ip_address(host.strip("[]")))
        except ValueError:
            if not allow_partial:
                raise CannotExpress(
                    f"a unit cannot name {host}: IPAddressAllow= takes addresses",
                    hint="name its address, or --allow-partial to let every address be reached",
                ) from None
            address = "any"
        allowed.append(f"IPAddressAllow={address}")
        reason = f"{grant.object}: every port of {address} can be reached, not {port} alone"
        gaps.append(Gap(id="systemd-connect", reason=reason))
    binds = [
        "SocketBindDeny=any",
        *(f"SocketBindAllow=tcp:{port}" if port else "SocketBindAllow=tcp" for port in ports),
    ]
    if ports:
        reason = "ports can be bound on every address of the machine; packets pass on loopback alone"
        gaps.append(Gap(id="systemd-loopback", reason=reason))
    yield (
        "TCP, to and from this machine, on the granted ports",
        (
            f"RestrictAddressFamilies={' '.join(_families(policy)) or 'none'}",
            "IPAddressDeny=any",
            *dict.fromkeys(allowed),
            *binds,
        ),
    )


def _families(policy: Policy) -> list[str]:
    """The families of which a grant lets sockets be made: those that a baseline names, or what was proved of them."""
    return [
        name
        for name, value in CONSTANTS.items()
        if name.startswith("AF_")
        and any(
            multiply_out((*grant.when, Condition(argument=0, values=(value,))))
            for grant in policy.of("syscall")
            if grant.object == "socket"
        )
    ]


def _calls(policy: Policy) -> Iterator[_Section]:
    names = {grant.object for grant in policy.of("syscall")} | set(ALWAYS) | {"execve"}
    if policy.of("connect"):
        names.add("connect")
    makes_code = any(
        multiply_out((*grant.when, Condition(argument=2, mask=protection, values=(protection,))))
        for call, protection in _MAKING_CODE
        for grant in policy.of("syscall")
        if grant.object == call
    )
    yield (
        "system calls: these, by name; others get EPERM",
        (
            f"SystemCallFilter={' '.join(sorted(names))}",
            "SystemCallErrorNumber=EPERM",
            f"MemoryDenyWriteExecute={'no' if makes_code else 'yes'}",
        ),
    )


def _limits(policy: Policy) -> Iterator[_Section]:
    limits = tuple(f"{_LIMITS[grant.object]}={int(grant.access)}" for grant in policy.of("limit"))
    if limits:
        yield "limits", limits


def _argument_gaps(policy: Policy) -> Iterator[Gap]:
    for name in dict.fromkeys(grant.object for grant in policy.of("syscall") if grant.when):
        if name not in _SEEN_BY_OPTIONS:
            what = _PARTLY_SEEN.get(name, "is allowed whole")
            yield Gap(id=f"systemd-{name}", reason=f"{name} {what}: a unit's filter does not look at arguments")


def _path(path: str) -> str:
    """A path in a unit: quoted where it must be, specifiers doubled."""
    if ":" in path:
        raise CannotExpress(f"a unit cannot hold the path {path!r}: it has a colon", hint="rename it")
    text = _plain(path, "the path")
    return f'"{text}"' if " " in text else text


def _plain(text: str, what: str) -> str:
    if any(character in "\"\\'$;#" or not character.isprintable() for character in text):
        raise CannotExpress(
            f"a unit cannot hold {what} {text!r} safely", hint="rename it: no quotes, backslashes, $, ; or #"
        )
    return text.replace("%", "%%")
