"""Bundles: folders that macOS treats as one program, framework or plug-in. Where each keeps its parts.

Three layouts (Apple, "Bundle Programming Guide"): ``Contents/`` (applications, plug-ins), ``Versions/A/`` (frameworks)
and flat (iOS). Paths are relative, with slashes; a provider (:class:`Files`) brings them, from a folder or an archive.
"""

import re
from bisect import bisect_left
from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet
from functools import cached_property
from pathlib import PurePosixPath
from typing import Final, Literal, Protocol

import msgspec

from binsafe.containers.names import decomposed
from binsafe.signatures import plist
from binsafe.signatures.structure import StructureError

MAX_INFO_BYTES: Final = 4 * 1024**2
"""Largest Info.plist; the longest met has 60 KB."""

MAX_DEPTH: Final = 8
"""Bundles inside bundles; browsers have 4 levels."""

SUFFIXES: Final = frozenset(
    {".app", ".appex", ".bundle", ".component", ".dext", ".driver", ".framework", ".kext", ".mdimporter", ".plugin"}
    | {".prefpane", ".qlgenerator", ".saver", ".service", ".systemextension", ".vst", ".vst3", ".xpc"}
)
"""Names of folders that are bundles inside others; at the top a layout is enough, as it is where an Info.plist stands:
plug-ins of other programs have endings of their own."""

_NAMED: Final = rf"[^/](?i:{'|'.join(map(re.escape, sorted(SUFFIXES)))})(?=/)"
_IN_A_BUNDLE: Final = re.compile(rf"{_NAMED}|(?=/Contents/)|^(?=Contents/)")

_SHOWN: Final = 200
"""Characters of a variable that are told."""

_PROGRAM: Final = "CFBundleExecutable"
_PROGRAMS: Final = (f"{_PROGRAM}-", "NSExecutable")
"""How keys begin that come before it on one system (``-macos``), or where it is not there (CoreFoundation)."""


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One name in a tree; folders have none of their own. ``target`` is a link's text, never followed by us."""

    kind: Literal["file", "link", "other"]
    size: int = 0
    target: str = ""


class Files(Protocol):
    """A tree of files. ``entries`` has only relative paths without ``..``."""

    @property
    def entries(self) -> Mapping[str, Entry]:
        """All names, in any order."""

    def read(self, path: str, size: int | None = None) -> memoryview:
        """The bytes of an entry of kind "file", or its first ``size`` ones; raises NotAnalysable where it cannot."""


class Tree:
    """A provider's files with their folders, in order."""

    def __init__(self, files: Files) -> None:
        self.files = files
        self.entries = files.entries

    @cached_property
    def paths(self) -> list[str]:
        """All names, sorted."""
        return sorted(self.entries)

    @cached_property
    def folders(self) -> list[str]:
        """All folders that something is in, sorted."""
        return sorted(self._folders)

    @cached_property
    def _folders(self) -> frozenset[str]:
        found: set[str] = set()
        for path in self.entries:
            parent = path.rpartition("/")[0]
            while parent and parent not in found:
                found.add(parent)
                parent = parent.rpartition("/")[0]
        return frozenset(found)

    @cached_property
    def _folded(self) -> frozenset[str]:
        return frozenset(path.lower() for path in self.entries)

    def has(self, path: str) -> bool:
        """Whether there is something of that name, in any letters, for most disks of Macs, or below a link."""
        small = path.lower()
        while small not in self._folded:
            small = small.rpartition("/")[0]
            if not small:
                return False
        return True

    @cached_property
    def _decomposed(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for path in self.entries:
            if not path.isascii():
                found.setdefault(decomposed(path), []).append(path)
        return found

    def spelled(self, path: str) -> str:
        """The name here that a Mac's disk takes for ``path``, where accents are written otherwise; else ``path``."""
        others = [] if path.isascii() or path in self.entries else self._decomposed.get(decomposed(path), [])
        return others[0] if len(others) == 1 else path

    def below(self, folder: str) -> list[str]:
        """The files and links inside a folder, at any depth."""
        return _range(self.paths, folder)

    def folders_below(self, folder: str) -> list[str]:
        """The folders inside a folder, at any depth."""
        return _range(self.folders, folder)

    def is_folder(self, path: str) -> bool:
        """Whether something is in a folder of that name."""
        return path in self._folders

    def is_file(self, path: str) -> bool:
        """Whether there is a regular file of that name."""
        entry = self.entries.get(path)
        return entry is not None and entry.kind == "file"

    def read(self, path: str) -> memoryview | None:
        """A file's bytes; None where there is no such file."""
        return self.files.read(path) if self.is_file(path) else None


def _range(paths: list[str], folder: str) -> list[str]:
    """The part of a sorted list that is inside a folder; "0" is the character after the slash."""
    return paths[bisect_left(paths, f"{folder}/") : bisect_left(paths, f"{folder}0")] if folder else paths


class Bundle(msgspec.Struct, frozen=True, kw_only=True):
    """One bundle and where its parts are, or would be; ``executable`` is None where it has no program.

    ``base`` is the folder that the resource seal counts from.
    """

    root: str
    base: str
    info_plist: str
    executable: str | None
    code_resources: str
    ticket: str
    problem: str | None = None
    """Why the Info.plist could not be used."""
    environment: tuple[str, ...] = ()
    """Variables of the loader that its Info.plist sets (``LSEnvironment``), with their values."""


def find(tree: Tree, root: str = "", *, name: str | None = None) -> Bundle | None:
    """The bundle that a folder is; None if it is none. ``name`` is the folder's, where ``root`` does not say it."""
    name = PurePosixPath(root).name if name is None else name
    if tree.is_folder(join(root, "Contents")):
        base = join(root, "Contents")
        return _bundle(tree, root, base, join(base, "Info.plist"), join(base, "MacOS"), name)
    if (version := _version(tree, root)) is not None:
        return _bundle(tree, root, version, join(version, "Resources/Info.plist"), version, name)
    if tree.is_file(join(root, "Info.plist")) and is_named(name):
        return _bundle(tree, root, root, join(root, "Info.plist"), root, name)
    return None


def versions(tree: Tree, current: Bundle) -> Iterator[Bundle]:
    """The other versions of a framework: whoever names one loads it, and each has a seal of its own."""
    place = join(current.root, "Versions")
    for version in _versions(tree, place) if current.base.startswith(f"{place}/") else ():
        if version != current.base:
            info = join(version, "Resources/Info.plist")
            yield _bundle(tree, version, version, info, version, PurePosixPath(current.root).name)


def inner(tree: Tree, folder: str) -> Iterator[str]:
    """The bundles inside a folder that are in no other bundle inside it, in order."""
    last = None
    for candidate in tree.folders_below(folder):
        if last is not None and candidate.startswith(f"{last}/"):
            continue
        named = is_named(candidate) or tree.is_file(join(candidate, "Contents/Info.plist"))
        if named and find(tree, candidate) is not None:
            last = candidate
            yield candidate


def join(folder: str, name: str) -> str:
    """A path below a folder, which may be the top."""
    return f"{folder}/{name}" if folder else name


def suffix(path: str) -> str:
    """The ending of a folder's name, in small letters."""
    stem, dot, ending = path.rpartition("/")[2].rpartition(".")
    return f"{dot}{ending}".lower() if stem and ending else ""


def is_named(path: str) -> bool:
    """Whether a folder is called as a bundle is."""
    return suffix(path) in SUFFIXES


def outermost(path: str) -> str | None:
    """The first folder of a path that is called as a bundle is, or has a ``Contents``; None where there is none.

    It is "" for the top: there an archive has ``Contents`` that ditto made without ``--keepParent``.
    """
    found = _IN_A_BUNDLE.search(path)
    return path[: found.end()] if found else None


def is_inside(path: str, folders: AbstractSet[str]) -> bool:
    """Whether a path is one of some folders, or below one."""
    while path:
        if path in folders:
            return True
        path = path.rpartition("/")[0]
    return False


def _version(tree: Tree, root: str) -> str | None:
    """The current version of a framework. Archives may have lost the link ``Current``: then the last version."""
    versions = join(root, "Versions")
    if not tree.is_folder(versions):
        return None
    named = join(versions, "Current")
    current = tree.entries.get(named)
    if current is not None and current.kind == "link" and tree.is_folder(join(versions, current.target)):
        return join(versions, current.target)
    found = _versions(tree, versions)
    return named if named in found else found[-1] if found else None


def _versions(tree: Tree, folder: str) -> list[str]:
    return [one for one in tree.folders_below(folder) if one.rpartition("/")[0] == folder]


def _bundle(tree: Tree, root: str, base: str, info_plist: str, programs: str, folder: str) -> Bundle:
    name, named, problem = PurePosixPath(folder).stem, False, None
    environment: list[str] = []
    try:
        info = tree.read(info_plist)
        if info is None and tree.has(info_plist):
            raise StructureError("the Info.plist is there in other letters, or as a link that is not followed")
        values = {} if info is None else plist.read(info, "the Info.plist", most=MAX_INFO_BYTES, once=True)
        named = _PROGRAM in values
        variables = values.get("LSEnvironment")
        if isinstance(variables, dict):
            said = [f"{name}={value}" for name, value in variables.items() if str(name).startswith("DYLD_")]
            environment = [one if len(one) <= _SHOWN else f"{one[:_SHOWN]}..." for one in said]
        name = _file_name(values.get(_PROGRAM, name))
        others = [key for key, one in values.items() if str(key).startswith(_PROGRAMS) and one != name]
        problem = f"the Info.plist names another program as its {others[0]!r}" if others else None
    except StructureError as error:
        problem = str(error)
    executable = join(programs, name)
    if problem is None and named and not tree.is_file(executable) and (not root or _holds(tree, root, name)):
        problem = f"the Info.plist names {name!r} as its program, and there is no file of that name"
    return Bundle(
        root=root,
        base=base,
        info_plist=info_plist,
        executable=executable if name and tree.is_file(executable) else None,
        code_resources=join(base, "_CodeSignature/CodeResources"),
        ticket=join(base, "CodeResources"),
        problem=problem,
        environment=tuple(environment),
    )


def _holds(tree: Tree, root: str, name: str) -> bool:
    """Whether something of that name, in any letters, is inside; bundles of resources often name what they lack."""
    return any(path.rpartition("/")[2].lower() == name.lower() for path in tree.below(root))


def _file_name(value: object) -> str:
    """A name from an Info.plist: only one that stays in its folder."""
    if not isinstance(value, str) or "/" in value or value in {"", ".", ".."}:
        raise StructureError(f"the Info.plist names {value!r} as its program")
    return value
