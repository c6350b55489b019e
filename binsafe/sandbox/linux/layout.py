"""Where everything lies inside: the program, what runs with it, what is granted, and what stands in for /etc.

A static program sees itself in /bin, four devices, and what is granted. A dynamic one, be it the program or one that it
may execute, finds its loader and libraries where the loader looks for them, and small stand-ins for the files that C
libraries read, with nothing of this machine in them but the time zone.
"""

import os
import posixpath
from collections.abc import Iterator, Mapping
from typing import Final

import msgspec

from binsafe import kernel
from binsafe.errors import NotEnforceable
from binsafe.model import Policy
from binsafe.model.policy import GrantKind, PolicyFile
from binsafe.paths import is_inside
from binsafe.renderers.profile import pins
from binsafe.sandbox.backends import Order
from binsafe.sandbox.linux import stand_ins
from binsafe.sandbox.linux.cargo import Cargo, Piece

PROGRAM_FOLDER: Final = "/bin"
SCRATCH: Final = "/scratch"
PRIVATE_TMP: Final = "/tmp"  # noqa: S108 - inside
DEVICES: Final = ("/dev/null", "/dev/zero", "/dev/urandom", "/dev/random")
SCRATCH_BYTES: Final = 64 * 1024 * 1024

SYSTEM: Final = ("/usr/", "/opt/", "/bin/", "/sbin/", "/lib/", "/lib64/", "/nix/", "/gnu/", "/snap/")
"""Where programs are installed that find files beside themselves; elsewhere a path says more about its user."""

_MERGED: Final = ("/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32")
"""Folders that are links into /usr on most systems today (file-hierarchy(7))."""

ITSELF: Final = "/proc/self/exe"
"""How a program names itself, to find what lies beside it, or to run once more (BusyBox its applets)."""

_ONES_OWN: Final = (
    *("/proc/self", "/proc/thread-self", "/proc/mounts", "/proc/net"),
    *("/dev/fd", "/dev/stdin", "/dev/stdout", "/dev/stderr"),
)
"""Links to what another process finds to be something else (proc(5)): all but the first two lead into /proc/self."""

_FILES: Final[tuple[GrantKind, ...]] = ("read", "write")

Attributes = int
READ: Final[Attributes] = kernel.MOUNT_ATTR_RDONLY | kernel.MOUNT_ATTR_NODEV
WRITE: Final[Attributes] = kernel.MOUNT_ATTR_NOEXEC | kernel.MOUNT_ATTR_NODEV
DEVICE: Final[Attributes] = kernel.MOUNT_ATTR_NOEXEC
"""Of /dev/zero a program could map the same memory twice, to write here and to execute there."""


class Layout(msgspec.Struct, frozen=True, kw_only=True):
    """The file system inside, as ``root.build_root`` carries it out; ``program`` is the path that is executed."""

    program: str
    pieces: tuple[Piece, ...] = ()
    links: tuple[tuple[str, str], ...] = ()
    mounts: tuple[tuple[str, Attributes], ...] = ()
    scratch: tuple[tuple[str, int], ...] = ()
    folders: tuple[str, ...] = ()
    merged: Mapping[str, str] = {}
    """The folders of the root that are links, and where they lead."""
    stand_ins: frozenset[str] = frozenset()
    """Files in whose place there are others, of our making."""
    grantees: frozenset[str] = frozenset()
    """The paths by which programs may be executed later on: others, or our own once more."""

    @property
    def covered(self) -> tuple[str, ...]:
        """Private copies that a granted folder, or one of its own, would hide."""
        folders = [path for path, _ in (*self.mounts, *self.scratch)]
        return tuple(p.path for p in self.pieces if is_inside(p.path, *folders))

    @property
    def pins(self) -> tuple[str, ...]:
        """Folders that keep their place, each mounted over itself."""
        writable = {path: not attributes & kernel.MOUNT_ATTR_RDONLY for path, attributes in self.mounts}
        return pins(writable | dict.fromkeys(self.covered, False))

    @property
    def executable(self) -> frozenset[str]:
        """Paths of the private copies that may be executed: the program, its loader, what is granted beside them."""
        return frozenset(piece.path for piece in self.pieces if piece.mode & 0o111)


def lay_out(order: Order, cargo: Cargo, hosts: str) -> Layout:
    """Decide the places and fill the cargo. ``hosts`` are lines for /etc/hosts.

    Raises:
        NotEnforceable: a file that runs with the program is not the one that was inspected.
    """
    policy = order.policy
    _check_present(policy)
    merged = dict(_merged_folders()) if _loads(policy) else {}
    name = posixpath.basename(policy.artifact.name)
    program = _program_path(order, name, merged)
    cargo.copy(msgspec.structs.replace(file, opened_as=file.path) for file in _once(policy) if file.path != program)
    given = stand_ins.processors()
    if _loads(policy) or hosts:
        given |= stand_ins.texts(policy, hosts)
    granted = {*granted_paths(policy, "read"), *granted_paths(policy, "write")}
    given = {path: text for path, text in given.items() if not is_inside(path, *granted)}
    for path, content in given.items():
        cargo.add(path, content)
    cargo.seal()
    size = os.fstat(order.program).st_size
    pieces = [Piece(program, order.program, 0, size, 0o555), *cargo.pieces]
    taken = {canonical(piece.path, merged) for piece in pieces}
    links = [*merged.items(), *_links(policy, merged, taken)]
    called = f"{posixpath.dirname(program)}/{name}"
    if canonical(called, merged) not in taken:
        links.append((called, program))
    again = any(file.execute and file.sha256 == policy.artifact.sha256 for file in policy.artifact.files)
    links.append((ITSELF, program))
    return Layout(
        program=program,
        pieces=tuple(piece._replace(path=canonical(piece.path, merged)) for piece in pieces),
        links=tuple(links),
        mounts=tuple(_mounts(policy, merged)),
        scratch=tuple((path, SCRATCH_BYTES) for path in _scratch(policy)),
        merged=merged,
        grantees=frozenset((*_grantees(policy, merged), *((program, ITSELF) if again else ()))),
        stand_ins=frozenset(given).difference(stand_ins.COPIED),
        folders=tuple(target for target in (canonical(path, merged) for path in _MERGED) if merged),
    )


def canonical(path: str, merged: Mapping[str, str]) -> str:
    """A path with the links of the root followed."""
    first, slash, rest = path[1:].partition("/")
    target = merged.get(f"/{first}")
    return f"/{target}{slash}{rest}" if target else path


def is_ones_own(path: str) -> bool:
    """Whether a path leads each process to something of its own."""
    return is_inside(path, *_ONES_OWN)


def granted_paths(policy: Policy, kind: GrantKind) -> Iterator[str]:
    """Granted paths that must be brought inside: not the program, scratch, devices or files that are copied."""
    own = {"artifact", "scratch", *DEVICES, *(file.path for file in policy.artifact.files)}
    own |= {file.opened_as for file in policy.artifact.files}
    grants = (grant for grant in policy.of(kind) if grant.access != "scratch")
    return (grant.object for grant in grants if grant.object not in own)


def _check_present(policy: Policy) -> None:
    for path in (*granted_paths(policy, "read"), *granted_paths(policy, "write")):
        if path == "/":
            raise NotEnforceable(
                "the whole file system cannot be granted: what runs gets a root of its own",
                hint="name the folders that it needs: --read /usr --read /etc",
            )
        check_present(path)


def check_present(path: str) -> None:
    """Raise NotEnforceable for a path that is granted and cannot be given, because nothing is there for all to see."""
    if is_ones_own(path):
        raise NotEnforceable(
            f"{path} is another file for each process that asks",
            hint="leave it out: its own file, mappings and streams a program is given without a grant; "
            "--read /proc grants the rest, of all processes",
        )
    if not os.path.exists(path):
        raise NotEnforceable(
            f"{path} is granted and does not exist",
            hint="create it, name its folder instead, or leave the grant out",
        )


def _loads(policy: Policy) -> bool:
    """Whether anything that may run here is dynamic: the program, or one that it may execute."""
    return policy.artifact.interpreter is not None or any(not file.execute for file in policy.artifact.files)


def _merged_folders() -> Iterator[tuple[str, str]]:
    for path in _MERGED:
        if os.path.islink(path):
            yield path, os.readlink(path).lstrip("/")


def _program_path(order: Order, name: str, merged: Mapping[str, str]) -> str:
    """Its own path where something beside it matters, else /bin: a path of a user's tells who they are.

    Not in /bin where a granted folder takes its place, or another program has that name.
    """
    path, policy, plain = order.path, order.policy, f"{PROGRAM_FOLDER}/{name}"
    if path is None:
        return plain
    others = [each for kind in _FILES for each in granted_paths(policy, kind)]
    others += [each for file in policy.artifact.files for each in (file.path, file.opened_as)]
    if any(is_inside(canonical(plain, merged), canonical(other, merged)) for other in others):
        return path
    beside = any(not file.path.startswith(SYSTEM) for file in policy.artifact.files)
    return path if policy.artifact.interpreter and (path.startswith(SYSTEM) or beside) else plain


def _once(policy: Policy) -> Iterator[PolicyFile]:
    """Each file once, by its resolved path; executable if it is so under any name."""
    files: dict[str, PolicyFile] = {}
    for file in policy.artifact.files:
        if file.path not in files or file.execute:
            files[file.path] = file
    yield from files.values()


def _links(policy: Policy, merged: Mapping[str, str], taken: set[str]) -> Iterator[tuple[str, str]]:
    """Names by which copies are opened: as they were found, and in the folder where the loader always looks."""
    files = policy.artifact.files
    default = next((posixpath.dirname(f.opened_as) for f in files if f.opened_as.endswith("/libc.so.6")), None)
    for file in files:
        names = [file.opened_as]
        if default is not None and file.opened_as != policy.artifact.interpreter and not file.execute:
            names.append(f"{default}/{posixpath.basename(file.opened_as)}")
        for name in (canonical(name, merged) for name in names):
            if name not in taken:
                taken.add(name)
                yield name, canonical(file.path, merged)


def _grantees(policy: Policy, merged: Mapping[str, str]) -> Iterator[str]:
    asked = {grant.object for grant in policy.of("execute")}
    granted = [
        path
        for file in policy.artifact.files
        if file.execute and (file.opened_as != policy.artifact.interpreter or file.path in asked)
        for path in (file.opened_as, file.path)
    ]
    for path in granted:
        real = canonical(path, merged)
        yield from (path, real)
        for link, target in merged.items():  # /bin/sh is /usr/bin/sh, whichever was granted
            if is_inside(real, f"/{target}"):
                yield link + real.removeprefix(f"/{target}")


def _scratch(policy: Policy) -> tuple[str, ...]:
    own = tuple(grant.object for grant in policy.of("write") if grant.access == "scratch")
    if any(grant.object == "scratch" for grant in policy.of("write")):
        own = (*own, SCRATCH, PRIVATE_TMP)
    if own and _loads(policy):
        own = (*own, "/dev/shm")  # noqa: S108 - inside
    return tuple(dict.fromkeys(own))


def _mounts(policy: Policy, merged: Mapping[str, str]) -> Iterator[tuple[str, Attributes]]:
    """Devices and granted paths, outer folders first so that none hides another."""
    modules = {grant.object for grant in policy.of("read") if grant.access == "library"}
    found = dict.fromkeys(DEVICES, DEVICE)
    for path in granted_paths(policy, "read"):
        loaded = any(is_inside(os.path.realpath(path), os.path.realpath(folder)) for folder in modules)  # a pack's, too
        found[canonical(path, merged)] = READ if loaded else READ | kernel.MOUNT_ATTR_NOEXEC
    for path in granted_paths(policy, "write"):
        found[canonical(path, merged)] = WRITE
    for path in [path for path in found if _is_there_already(path, found)]:
        del found[path]
    yield from sorted(found.items(), key=lambda item: (item[0].count("/"), item[0]))


def _is_there_already(path: str, found: Mapping[str, Attributes]) -> bool:
    """Whether it is in the folder above: by a link to what is mounted, or to be written as all there is.

    What is mounted by itself keeps its place, and programs replace files (zip). A mount has one owner (`idmaps`), and
    another file system's in the folder is a mount that is left as it is.
    """
    above = max((other for other in found if other != path and is_inside(path, other)), key=len, default=None)
    if above is None or os.path.realpath(path) != path:
        return above is not None
    ours, theirs = ((status.st_dev, status.st_uid, status.st_gid) for status in map(os.stat, (path, above)))
    return found[path] == found[above] == WRITE and ours == theirs
