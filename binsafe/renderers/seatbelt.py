"""Policy -> SBPL, the profile language of macOS's Seatbelt (sandbox-exec, sandbox_init).

Nothing here has run on a Mac yet; each rule rests on the profiles that Chromium, Codex and Nix ship and on published
measurements. What those teach, and what this module keeps to:

    Order       Sources disagree whether the first or the last matching rule decides, so there is one ``(deny default)``
                and then only allows that do not overlap: the question arises for the last point below alone, which
                browsers have answered.
    Egress      ``(allow network-outbound (local ip))`` lets every connection out, because ``local`` looks at the
                socket's own end and every socket has one (nix PR 10078, bazel 10068). So there is no network-outbound
                rule at all unless a connect grant asks for one, and that one names the remote end.
    Addresses   The host of an address filter is ``*`` or ``localhost``, the port one number or ``*``: a range does not
                compile, so each port is a filter of its own.
    Paths       The kernel compares resolved paths. Callers resolve them; what could end a string is refused. Who asks
                where a path leads (realpath, getcwd) looks at each folder on the way, and only at those.
    The rest    ``(deny default)`` leaves some families open, the one that shows other processes' environment among
                them: Chromium, Firefox and WebKit deny those by name, before anything is allowed, and so do we.
"""

import re
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Final

from binsafe.errors import CannotExpress
from binsafe.model import Gap, Grant, Policy
from binsafe.policy.libraries import placed_by_the_mac
from binsafe.policy.objects import ARTIFACT, LIBRARY, LOADER, SCRATCH
from binsafe.renderers.profile import Profile, comment, read_only_gaps
from binsafe.renderers.sbplneeds import DYLD_FOLDERS, EVERY_PROGRAM, NOT_BY_DEFAULT, ROSETTA, SEEN_ANYWAY
from binsafe.renderers.sbplrules import Rule, without_overlaps

_UNQUOTABLE = re.compile(r"[\"\\()\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_LINKS = frozenset({"etc", "tmp", "var"})
"""Names in / that lead into /private: the kernel compares paths without links, and another system has not these."""
_LOCAL_HOSTS = frozenset({"localhost", "127.0.0.1", "[::1]"})
_WIDTH = 116

_READING: Final = ("file-read*", "file-test-existence")
_WRITING: Final = (
    *("file-write-create", "file-write-data", "file-write-flags", "file-write-mode", "file-write-owner"),
    *("file-write-times", "file-write-unlink", "file-write-xattr"),
)
"""All of ``file-write*`` but mounting, access lists and ``file-write-setugid``: a folder that the program may write
must not come to hold files that run as their owner, whoever starts them."""

_COVERED_DEVICES: Final = frozenset({"/dev/null", "/dev/random", "/dev/urandom"})

_GAPS: Final = (
    Gap(id="seatbelt-localhost", reason="'localhost' also matches the machine's other addresses, not only 127.0.0.1"),
    Gap(
        id="seatbelt-syscalls",
        reason="system calls are not filtered: SBPL names operations, and Linux's list is void here",
    ),
    Gap(id="seatbelt-limits", reason="limits and environment are not part of a profile: the launcher sets them"),
    Gap(id="seatbelt-exec", reason="the program may start itself again, under the same profile"),
    Gap(id="seatbelt-memory", reason="code may be made in memory: which programs need that is not known here"),
)


def render(
    policy: Policy, *, binary: str | None = None, allow_partial: bool = False, terminal: str | None = None
) -> Profile:
    """The profile as text, each rule under its reason.

    ``binary`` is the program's resolved path. Without it the profile takes it as a parameter:
    ``sandbox-exec -D BINARY=/resolved/path -f PROFILE /resolved/path``. A scratch folder always is one (``SCRATCH``),
    and so is the folder of libraries that only the Mac knows, as those beside the program (``LIBRARIES``).
    ``terminal`` is the device that is its standard input or output: it may be asked whether it is one, and how large.

    Raises:
        CannotExpress: a path has characters that SBPL strings cannot hold safely, or a connect grant names a host other
            than this machine (unless ``allow_partial``: then its port is opened to every host, and listed), or a path
            that may only be read lies in a folder that may be written (unless, as before).
    """
    gaps = [*_GAPS, *read_only_gaps(policy, "seatbelt", allow_partial=allow_partial)]
    rules = [*_program(binary), *EVERY_PROGRAM, *_network(policy, allow_partial=allow_partial, gaps=gaps)]
    rules += (
        *_files(policy, binary),
        *_libraries_beside(policy),
        *_other_programs(policy, binary),
        *_folders_above(policy, binary),
    )
    if "x86_64" in policy.artifact.arch:
        rules.append(ROSETTA)
    if terminal is not None:
        rules.append(_terminal(terminal))
    body = (line for rule in without_overlaps(rules) for line in ("", *_lines(rule)))
    text = "\n".join((*_head(policy), *body)) + "\n"
    return Profile(mechanism="seatbelt", text=text, gaps=tuple(gaps))


def _head(policy: Policy) -> Iterator[str]:
    artifact = policy.artifact
    yield "(version 1)"
    yield comment(f"{policy.schema} for {artifact.name} ({artifact.arch}), sha256 {artifact.sha256}", ";")
    yield comment(f"baseline {policy.baseline}; what is not allowed below is denied", ";")
    for denial in policy.denied:
        places = ", ".join(item.address or item.symbol or item.via for item in denial.evidence)
        yield comment(f"could, may not: {denial.capability}" + (f" (at {places})" if places else ""), ";")
    yield "(deny default)"
    yield ""
    yield comment(
        "what the line above leaves allowed: other processes' arguments and environment, devices, any code", ";"
    )
    yield f"(deny {' '.join(NOT_BY_DEFAULT)})"


def _program(binary: str | None) -> Iterator[Rule]:
    program = (f"(literal {_string(binary)})" if binary else '(literal (param "BINARY"))',)
    yield Rule(
        reason="the program itself, and nothing else, may be executed",
        operations=("process-exec*",),
        filters=program,
    )
    yield Rule(
        reason="the kernel and dyld read and map the program",
        operations=(*_READING, "file-map-executable"),
        filters=program,
    )


def _terminal(device: str) -> Rule:
    return Rule(
        reason="the terminal that it was given: whether it is one, and of which size",
        operations=("file-ioctl", "file-read-metadata"),
        filters=(f"(literal {_string(device)})",),
    )


def _folders_above(policy: Policy, binary: str | None) -> Iterator[Rule]:
    """The folders that lead to what is granted; no more than that they are there, and what is noted of them."""
    named = [binary] if binary else []
    named += [each.object for kind in ("read", "write", "execute") for each in policy.of(kind)]
    folders = {str(folder) for name in named if name.startswith("/") for folder in PurePosixPath(name).parents}
    read = tuple(f"{folder}/" for folder in DYLD_FOLDERS)
    unnamed = sorted(folder for folder in folders - SEEN_ANYWAY if not f"{folder}/".startswith(read))
    if unnamed:
        yield Rule(
            reason="looks at the folders that lead to what it was granted",
            operations=("file-read-metadata", "file-test-existence"),
            filters=tuple(f"(literal {_string(folder)})" for folder in unnamed),
        )


def _network(policy: Policy, *, allow_partial: bool, gaps: list[Gap]) -> Iterator[Rule]:
    by_reason: dict[str, list[int]] = {}
    for grant in policy.of("listen"):
        by_reason.setdefault(grant.reason, []).append(int(grant.object.rpartition(":")[2]))
    for reason, ports in by_reason.items():
        yield Rule(
            reason=f"listen and accept: {reason}",
            operations=("network-bind", "network-inbound"),
            # Port 0 is checked before the kernel picks a number, so only the wildcard allows it.
            filters=tuple(f'(local tcp "localhost:{port or "*"}")' for port in sorted(ports)),
        )
    if by_reason:
        yield Rule(
            reason="Go: how many connections may wait to be accepted",
            operations=("sysctl-read",),
            filters=('(sysctl-name "kern.ipc.somaxconn")',),
        )
    for grant in policy.of("connect"):
        host, _, port = grant.object.rpartition(":")
        if host not in _LOCAL_HOSTS:
            if not allow_partial:
                raise CannotExpress(
                    f"SBPL cannot name {host}: the host of an address is * or localhost",
                    hint=f"leave --connect {grant.object} out, or --allow-partial to open port {port} to every host",
                )
            gaps.append(Gap(id="seatbelt-host", reason=f"{grant.object}: port {port} is open to every host"))
        remote = "localhost" if host in _LOCAL_HOSTS else "*"
        yield Rule(
            reason=f"connect: {grant.reason}",
            operations=("network-outbound",),
            filters=(f'(remote tcp "{remote}:{port}")',),
        )


def _files(policy: Policy, binary: str | None) -> Iterator[Rule]:
    written = {grant.object for grant in policy.of("write")}
    for kind, operations in (("read", _READING), ("write", (*_READING, *_WRITING))):
        for grant in policy.grants:
            skip = grant.object == ARTIFACT or grant.object in _COVERED_DEVICES or grant.object == binary
            if grant.kind == kind and not skip and not (kind == "read" and grant.object in written):
                yield _file_rule(grant, operations)


def _libraries_beside(policy: Policy) -> Iterator[Rule]:
    """Without its libraries dyld aborts: where those lie that are beside it, whoever starts it has to say."""
    if placed_by_the_mac(policy):
        yield Rule(
            reason="the libraries beside it, in the folder that is named",
            operations=(*_READING, "file-map-executable"),
            filters=('(subpath (param "LIBRARIES"))',),
            only_if="LIBRARIES",
        )


def _other_programs(policy: Policy, binary: str | None) -> Iterator[Rule]:
    others = [grant for grant in policy.of("execute") if grant.object not in {ARTIFACT, binary}]
    if others:
        yield Rule(reason="starts the programs below", operations=("process-fork",), filters=())
    for grant in others:
        path = (f"(literal {_string(grant.object)})",)
        yield Rule(reason=grant.reason, operations=("process-exec*",), filters=path)
        yield Rule(reason=grant.reason, operations=(*_READING, "file-map-executable"), filters=path)


def _file_rule(grant: Grant, operations: tuple[str, ...]) -> Rule:
    if grant.object == SCRATCH:
        folder = ('(subpath (param "SCRATCH"))',)
        return Rule(reason=grant.reason, operations=operations, filters=folder, only_if="SCRATCH")
    if grant.access in {LIBRARY, LOADER}:
        path = (f"(literal {_string(grant.object)})",)
        return Rule(reason=grant.reason, operations=(*operations, "file-map-executable"), filters=path)
    return Rule(reason=grant.reason, operations=operations, filters=(f"(subpath {_string(grant.object)})",))


def _lines(rule: Rule) -> Iterator[str]:
    yield comment(rule.reason, ";")
    opening = f'(if (param "{rule.only_if}") (allow' if rule.only_if else "(allow"
    closing = "))" if rule.only_if else ")"
    short = " ".join((opening, *rule.operations, *rule.filters)) + closing
    if len(short) <= _WIDTH:
        yield short
        return
    yield " ".join((opening, *rule.operations))
    yield from (f"  {line}" for line in rule.filters[:-1])
    yield f"  {rule.filters[-1]}{closing}"


def _string(path: str) -> str:
    if not path.startswith("/") or _UNQUOTABLE.search(path):
        raise CannotExpress(
            f"SBPL cannot hold the path {path!r}: quotes, backslashes, parentheses and control characters are refused",
            hint="move or rename it, and name its absolute path",
        )
    return f'"/private{path}"' if path.split("/")[1] in _LINKS else f'"{path}"'
