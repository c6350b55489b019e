"""Policy -> a table: what macOS, Linux, and Linux without user namespaces (the fallback) enforce of each line.

A policy is one text for all systems; what a system has no words for must be visible before the program runs, not after.
"""

from collections.abc import Iterator
from typing import Final

import msgspec

from binsafe.model import Denial, Grant, Policy
from binsafe.policy.objects import ARTIFACT, LIBRARY, LOADER, SCRATCH
from binsafe.policy.ports import ranges
from binsafe.renderers import linux, unshared


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One grant or denial (or several of one kind and reason), and how far each system holds it."""

    what: str
    reason: str
    macos: str
    linux: str
    fallback: str


_HELD: Final = "held"
_NOT_FILTERED: Final = "not filtered"
_NEEDS_MOUNTS: Final = "refused: it needs a mount namespace"


def explain(policy: Policy) -> tuple[Row, ...]:
    """The rows, grants first; system calls of one group and ports of one reason share a row."""
    return (*_grants(policy), *_denials(policy.denied))


def _grants(policy: Policy) -> Iterator[Row]:
    grouped: dict[tuple[str, str], list[Grant]] = {}
    for grant in policy.grants:
        alone = grant.kind not in {"syscall", "listen"} and not grant.access
        group = grant.object if alone else grant.reason
        grouped.setdefault((grant.kind, group), []).append(grant)
    missing = {gap.reason for gap in linux.gaps(policy)}
    for (kind, _), grants in grouped.items():
        yield _ROWS[kind](grants, missing)


def _listen(grants: list[Grant], missing: set[str]) -> Row:
    del missing
    ports = ranges(int(grant.object.rpartition(":")[2]) for grant in grants)
    held = "these ports, on 127.0.0.1"
    return Row(
        what=f"listen on {ports}",
        reason=grants[0].reason,
        macos="these ports, on every address",
        linux=held,
        fallback=held,
    )


def _connect(grants: list[Grant], missing: set[str]) -> Row:
    names = ", ".join(grant.object for grant in grants)
    local = all(grant.object.startswith(("localhost:", "127.0.0.1:", "[::1]:")) for grant in grants)
    denied = any(grants[0].object in reason for reason in missing)
    held = "stays denied" if denied else "exactly this, made outside"
    return Row(
        what=f"connect to {names}",
        reason=grants[0].reason,
        macos="this port, on every address of this machine" if local else "this port of every host",
        linux=held,
        fallback=held,
    )


def _file(grants: list[Grant], missing: set[str]) -> Row:
    del missing
    names = ", ".join(dict.fromkeys(grant.object for grant in grants))
    needs_mounts = any(grant.access in {LOADER, LIBRARY} or grant.object == SCRATCH for grant in grants)
    what = f"{grants[0].kind} {names}" if len(grants) == 1 else f"{grants[0].kind} {len(grants)} files: {names}"
    return Row(
        what=what,
        reason=grants[0].reason,
        macos=_HELD,
        linux="held: nothing else is there",
        fallback=_NEEDS_MOUNTS if needs_mounts else "held by Landlock; others can be stat'ed",
    )


def _execute(grants: list[Grant], missing: set[str]) -> Row:
    (grant, *_) = grants
    if grant.object == ARTIFACT:
        return Row(
            what="execute the program itself",
            reason=grant.reason,
            macos="may start itself again",
            linux="once, by the launcher",
            fallback="once, by the launcher",
        )
    held = "stays denied" if any(grant.object in reason for reason in missing) else _HELD
    return Row(what=f"execute {grant.object}", reason=grant.reason, macos=_HELD, linux=held, fallback=_NEEDS_MOUNTS)


def _syscall(grants: list[Grant], missing: set[str]) -> Row:
    del missing
    group, _, reason = grants[0].reason.partition(": ")
    names = list(dict.fromkeys(grant.object for grant in grants))
    tested = sum(bool(grant.when) for grant in grants)
    conditions = f", {tested} of them by arguments" if tested else ""
    counted = f"{len(names)} system calls" if len(names) > 1 else "system call"
    return Row(
        what=f"{counted} {_listed(names)}" if not reason else f"{counted}: {group}{conditions}",
        reason=reason or grants[0].reason,
        macos=_NOT_FILTERED,
        linux="held by seccomp",
        fallback=_without_namespaces(names),
    )


def _without_namespaces(names: list[str]) -> str:
    dropped = [name for name in names if name in unshared.DROPPED]
    if not dropped:
        return "held by seccomp"
    return (
        f"held by seccomp; {_listed(dropped)} denied"
        if len(dropped) < len(names)
        else "stays denied: no namespace holds it"
    )


def _listed(names: list[str], *, most: int = 4) -> str:
    """As many names as a line has room for."""
    return ", ".join(names[:most] + ["..."] * (len(names) > most))


def _environment(grants: list[Grant], missing: set[str]) -> Row:
    del missing
    names = ", ".join(grant.object for grant in grants)
    return _same(f"environment {names}", grants[0].reason, "set by the launcher")


def _limit(grants: list[Grant], missing: set[str]) -> Row:
    del missing
    limits = ", ".join(f"{grant.object} {grant.access}" for grant in grants)
    held = "set by the launcher"
    on_macos = "not set: it would count all of the user's processes"
    is_nproc = any(grant.object == "nproc" for grant in grants)
    return Row(
        what=f"limit {limits}", reason=grants[0].reason, macos=on_macos if is_nproc else held, linux=held, fallback=held
    )


def _same(what: str, reason: str, held: str) -> Row:
    return Row(what=what, reason=reason, macos=held, linux=held, fallback=held)


_ROWS: Final = {
    "listen": _listen,
    "connect": _connect,
    "read": _file,
    "write": _file,
    "execute": _execute,
    "syscall": _syscall,
    "environment": _environment,
    "limit": _limit,
}

_CALL: Final = "system call "
_DENIALS: Final = (
    (_CALL, (_NOT_FILTERED, "held by seccomp", "held by seccomp")),
    (
        "connect out",
        ("held: no network-outbound rule", "held: empty network, seccomp", "held: seccomp, Landlock from Linux 6.7"),
    ),
    ("execute another", ("held: process-exec", "held: supervisor, Landlock", "held: supervisor, Landlock")),
    ("start another process", ("held: process-fork", "held by seccomp", "held by seccomp")),
    ("load ", ("held: not readable", "held: not there", "held by Landlock")),
    ("raw sockets", ("held: no network rule", "held by seccomp", "held by seccomp")),
    ("resolve names", ("held: no mDNSResponder", "held: empty network, seccomp", "held by seccomp")),
)
"""What a denied capability begins with -> what holds it on each system."""


def _denials(denied: tuple[Denial, ...]) -> Iterator[Row]:
    calls: dict[str, list[str]] = {}
    for denial in denied:
        if denial.capability.startswith(_CALL):
            calls.setdefault(denial.reason, []).append(denial.capability.removeprefix(_CALL))
        else:
            yield _denial(denial.capability, denial.reason)
    for reason, names in calls.items():
        yield _denial(f"{_CALL}{_listed(names, most=6)}", reason)


def _denial(capability: str, reason: str) -> Row:
    default = ("held: not in the profile", "held: empty network, seccomp", "held by seccomp")
    macos, here, fallback = next((held for start, held in _DENIALS if capability.startswith(start)), default)
    return Row(what=f"not: {capability}", reason=reason, macos=macos, linux=here, fallback=fallback)
