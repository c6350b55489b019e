"""Whether a filter matches an object: yes, no, or not to be known here.

Objects are what a person writes: a path, ``HOST:PORT``, a service's or variable's name, ``self``. What is not known
stays unknown through ``require-all``, ``require-any`` and ``require-not`` (Kleene's three values).
"""

import ipaddress
import re
from enum import Enum
from typing import Final

from binsafe.containers.names import folded
from binsafe.paths import is_inside
from binsafe.seatbelt import vocabulary
from binsafe.seatbelt.pattern import Pattern, PatternError
from binsafe.seatbelt.program import Filter, Word

LINKS: Final = {"/tmp": "/private/tmp", "/var": "/private/var", "/etc": "/private/etc"}  # noqa: S108 - links of macOS
"""Folders that are links on every Mac: the kernel compares the paths that they lead to."""

_ADDRESS = re.compile(r"(?P<host>\[[^\]]*\]|[^:]*):(?P<port>\*|[0-9]+)")
_ANYWHERE = frozenset({"0.0.0.0", "::"})  # noqa: S104 - compared with, never bound


_OTHER_NAMES = ("/tmp/", "/var/", "/etc/", "/system/volumes/data/", "/.vol/", "/volumes/macintosh hd/")  # noqa: S108 - never written
"""How paths begin, in lower case, that the kernel knows by another name: those are links when `resolved` left them."""

_ON_PATHS = frozenset({"path", "path-prefix", "path-regex", "subpath"})
_OF_LINKS = frozenset({"file-read-metadata", "file-test-existence"})
"""Operations that lstat(2) and readlink(2) ask for: on a link itself."""

_ON_NAMES = frozenset(
    f"{stem}{kind}"
    for stem in ("global-name", "local-name", "xpc-service-name", "sysctl-name", "ipc-posix-name", "preference-domain")
    for kind in ("", "-prefix", "-regex")
)


class Match(Enum):
    """Kleene's three values."""

    NO = 0
    UNKNOWN = 1
    YES = 2


def resolved(path: str) -> str:
    """A path as the kernel sees it, as far as that is known without the Mac."""
    path = re.sub(r"/(?:\.?/)*(?:\.$)?", "/", path)
    path = path.rstrip("/") or "/"
    for link, target in LINKS.items():
        if path == link or path.startswith(link + "/"):
            return target + path[len(link) :]
    return path


def matches(filters: tuple[Filter, ...], operation: str, subject: str | None) -> Match:
    """Whether any of a rule's filters matches; a rule without filters matches everything."""
    if not filters:
        return Match.YES
    return Match(max(_filter(each, operation, subject).value for each in filters))


def _filter(condition: Filter, operation: str, subject: str | None) -> Match:
    inner = [
        _filter(each, operation, subject) if isinstance(each, Filter) else Match.UNKNOWN for each in condition.arguments
    ]
    match condition.name:
        case "require-all":
            return Match(min((each.value for each in inner), default=2))
        case "require-any":
            return Match(max((each.value for each in inner), default=0))
        case "require-not":
            return Match(2 - max((each.value for each in inner), default=0))
        case "local" | "remote":
            return _network(condition, operation, subject)
        case name if subject is None or vocabulary.is_misplaced(name, operation):
            return Match.UNKNOWN
    subjects = [subject]
    if condition.name in _ON_PATHS:
        subject = subject.removeprefix("unix:")
        looked_at = subject in LINKS and operation in _OF_LINKS  # the link itself, or what it leads to
        subjects = [resolved(subject), subject] if looked_at else [resolved(subject)]
    found = [_one(condition.name, argument, each) for argument in condition.arguments for each in subjects]
    return Match(max((each.value for each in found), default=1))


def _one(name: str, argument: object, subject: str) -> Match:
    """One argument of a filter on text or words; paths are resolved."""
    if isinstance(argument, Word):
        return _target(argument.name, subject) if name == "target" else Match.UNKNOWN
    if not isinstance(argument, str) or name not in _ON_NAMES | _ON_PATHS:
        return Match.UNKNOWN
    if name in _ON_PATHS:
        return _path(name, argument, subject) if subject.startswith("/") else Match.NO
    return _text(name, argument, subject)


def _target(wanted: str, process: str) -> Match:
    """A process is in its own sandbox and group; of another one only that it is another is known."""
    if wanted == process or (process == "self" and wanted in {"pgrp", "same-sandbox"}):
        return Match.YES
    return Match.NO if "self" in {wanted, process} else Match.UNKNOWN


def _path(name: str, argument: str, subject: str) -> Match:
    if ".." in subject.split("/") or folded(subject).startswith(_OTHER_NAMES):
        return Match.UNKNOWN  # leads elsewhere where there is a link before it
    match = _text(name, argument, subject)
    if match is Match.NO and _text(name, folded(argument), folded(subject)) is not Match.NO:
        return Match.UNKNOWN  # most disks take both for one name, and the kernel compares the one that is stored
    return match


def _text(name: str, argument: str, subject: str) -> Match:
    kind = name.rpartition("-")[2]
    if kind == "regex":
        return _pattern(argument, subject)
    if kind == "subpath" and argument.rstrip("/") and argument.endswith("/"):
        return Match.UNKNOWN if f"{subject}/".startswith(argument) else Match.NO  # some say that it matches nothing
    if kind == "subpath":
        return _truth(is_inside(subject, argument))
    return _truth(subject.startswith(argument) if kind == "prefix" else subject == argument)


def _pattern(text: str, subject: str) -> Match:
    try:
        return _truth(Pattern(text).search(subject))
    except PatternError:
        return Match.UNKNOWN


def _truth(holds: bool) -> Match:
    return Match.YES if holds else Match.NO


def _network(condition: Filter, operation: str, subject: str | None) -> Match:
    """An address filter. For an outgoing connection the socket's own end is the any-address: every host matches it.

    Sources: nix PR 10078, sandbox-runtime issue 131 (``local`` under network-outbound), bazel PR 30865 (``remote``
    under network-inbound compiles and decides nothing).
    """
    kind = condition.arguments[0] if condition.arguments else None
    if not isinstance(kind, Word):
        return Match.UNKNOWN
    about_unix = vocabulary.canonical(kind.name) == "unix-socket"
    if subject is not None and about_unix != subject.startswith(("unix:", "/")):
        return Match.NO
    if about_unix:
        paths = tuple(each for each in condition.arguments[1:] if isinstance(each, Filter))
        return matches(paths, operation, subject) if len(paths) == len(condition.arguments) - 1 else Match.UNKNOWN
    own_end, incoming = condition.name == "local", operation in {"network-inbound", "network-bind"}
    found = []
    for address in condition.arguments[1:] or ("*:*",):
        if not isinstance(address, str):
            found.append(Match.UNKNOWN)
        elif incoming == own_end:
            found.append(_address(kind.name, address, subject))
        else:
            found.append(Match.YES if own_end and address.endswith(":*") else Match.UNKNOWN)
    return Match(max(each.value for each in found))


def _address(protocol: str, wanted: str, subject: str | None) -> Match:
    if wanted == "*:*" and protocol == "ip":
        return Match.YES
    if subject is None:
        return Match.UNKNOWN
    spoken, _, address = subject.rpartition(" ")
    parts, given = _ADDRESS.fullmatch(wanted), _ADDRESS.fullmatch(address)
    if parts is None or given is None:
        return Match.UNKNOWN
    if parts["port"] not in ("*", given["port"]):
        return Match.NO
    by_host = Match.YES if parts["host"] == "*" else _is_local(given["host"].strip("[]"))
    return Match(min(by_host.value, _speaks(protocol, spoken, given["host"]).value))


def _is_local(host: str) -> Match:
    """Whether ``localhost`` matches: any address of the machine, of which we know the loopback ones alone."""
    if host in _ANYWHERE:  # binding there: sources disagree (bazel PR 30865: no)
        return Match.UNKNOWN
    try:
        address = ipaddress.ip_address(host)
    except ValueError:  # any other name may lead to the machine, too
        return Match.YES if host == "localhost" else Match.UNKNOWN
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        return Match.NO  # navikt/cplt PR 223
    if address.is_loopback:
        return Match.YES
    return Match.UNKNOWN if address.is_private or address.is_link_local else Match.NO


def _speaks(protocol: str, spoken: str, host: str) -> Match:
    """Whether a filter for a protocol takes the object's; an object without one is a TCP address."""
    spoken = spoken or "tcp"
    if not protocol.startswith(("ip", spoken)):
        return Match.NO
    family = protocol[-1] if protocol[-1] in "46" else ""
    if not family or host in ("localhost", "*"):
        return Match.UNKNOWN if family else Match.YES
    return _truth((":" in host.strip("[]")) == (family == "6"))
