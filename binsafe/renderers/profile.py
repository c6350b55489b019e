"""What a renderer returns, and what several of them cannot express."""

import posixpath
from collections.abc import Iterator, Mapping
from typing import Final

import msgspec

from binsafe.errors import CannotExpress
from binsafe.model import Gap, Grant, Policy
from binsafe.paths import is_inside
from binsafe.policy.objects import LIBRARY

DEVICES: Final = frozenset({"/dev/null", "/dev/zero", "/dev/random", "/dev/urandom"})
"""Devices that every program may have."""

_PIN: Final = "a folder that keeps its place: what may only be read in it would go elsewhere with it"


class Profile(msgspec.Struct, frozen=True, kw_only=True):
    """A policy written for one mechanism, and what that mechanism cannot express of it."""

    mechanism: str
    text: str
    gaps: tuple[Gap, ...] = ()


def comment(text: str, sign: str = "#") -> str:
    """A comment of one line, whatever the text: a line break would let it go on as rules."""
    return f"{sign} " + "".join(character if character.isprintable() else "?" for character in text)


def read_only_below_writable(policy: Policy) -> Iterator[tuple[str, str]]:
    """What is granted to be read alone, and the granted folder that it lies in, which may be written.

    A mount over a part of a folder holds that; rules that only ever add rights do not.
    """
    folders = [grant.object for grant in policy.of("write") if not grant.access]
    for grant in policy.of("read"):
        if not grant.access and grant.object not in folders:
            above = (folder for folder in folders if is_inside(grant.object, folder))
            yield from ((grant.object, folder) for folder in above)


def pins(granted: Mapping[str, bool]) -> tuple[str, ...]:
    """Folders between one that may be written and what may only be read in it: to be mounted over themselves.

    A mount cannot be renamed, the folder that it lies in can, and another would take its name. ``granted`` says of each
    path that is mounted whether it may be written.
    """
    found = set[str]()
    for path in (path for path, writable in granted.items() if not writable):
        above = max((each for each in granted if each != path and is_inside(path, each)), key=len, default="")
        while above and granted[above] and (path := posixpath.dirname(path)) != above:
            found.add(path)
    return tuple(sorted(found))


def granted_files(policy: Policy) -> list[Grant]:
    """Grants of files and folders, and pins as such to be written, outer ones first: what is mounted later hides.

    Folders of modules are among them, and no single library that the artifact names.
    """
    own = {path for file in policy.artifact.files for path in (file.opened_as, file.path)}
    files = [
        grant
        for grant in policy.grants
        if grant.kind in ("read", "write", "execute")
        and (not grant.access or (grant.access == LIBRARY and grant.object not in own))
    ]
    written = {grant.object for grant in files if grant.kind == "write"}
    kept = [grant for grant in files if grant.kind != "read" or grant.object not in written]
    between = pins({grant.object: grant.kind == "write" for grant in kept if grant.object.startswith("/")})
    kept += (Grant(kind="write", object=path, reason=_PIN) for path in between if path not in written)
    return sorted(kept, key=lambda grant: grant.object.rstrip("/").count("/"))


def read_only_gaps(policy: Policy, mechanism: str, *, allow_partial: bool) -> Iterator[Gap]:
    """Gaps of a mechanism whose rules only ever add rights: what is `read_only_below_writable` may be written.

    Raises:
        CannotExpress: there are some, and ``allow_partial`` was not asked for.
    """
    for path, folder in read_only_below_writable(policy):
        if not allow_partial:
            raise CannotExpress(
                f"{path} lies in {folder}, and {mechanism} takes back no right below a folder that has it",
                hint="grant the folders beside it to be written, or add --allow-partial to let it be written as well",
            )
        yield Gap(id=f"{mechanism}-read-only", reason=f"{path} may be written as well: it lies in {folder}")
