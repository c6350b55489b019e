"""Runtime packs: what programs of a known runtime need beside their libraries, as data. Shell: looks at folders.

A pack (``profiles/packs/NAME.yaml``) applies to a program by its name or by a library that it is linked with. Its
``modules`` are folders whose libraries may be mapped (what those need comes along), its ``files`` are read, its
``scratch`` folders are empty ones of its own. ``{prefix}`` is the folder above the ``bin`` that the program is in: who
made the program may have made that as well, so what lies there by a link to elsewhere is not given.

One more pack is made on the spot, for a program that the system's package manager installed: what it put beside it.
"""

import fnmatch
import glob
import posixpath
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

import msgspec
import yaml

from binsafe.distribution import belongings, mode_of
from binsafe.errors import BaselineError, UsageError
from binsafe.formats.elf_needs import needs
from binsafe.intake.libraries import Libraries
from binsafe.intake.owners import is_systems_own
from binsafe.intake.summaries import Summaries, default_folder
from binsafe.intake.tree import Tree
from binsafe.intake.walking import files_below
from binsafe.model import Grant, Report
from binsafe.model.policy import PolicyFile
from binsafe.paths import is_inside
from binsafe.policy.objects import PACK
from binsafe.shipped import shipped

PACK_SCHEMA: Final = "binsafe.pack/1"
_MAY_HOLD_MODULES: Final = ("/usr/lib/", "/usr/libexec/")
MAX_MODULES: Final = 2000
"""Libraries in module folders whose own libraries are looked up."""


class Variable(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A variable that the runtime wants."""

    name: str
    value: str


class Pack(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One pack, as its file says."""

    schema: str
    name: str
    description: str
    programs: tuple[str, ...] = ()
    libraries: tuple[str, ...] = ()
    modules: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    scratch: tuple[str, ...] = ()
    environment: tuple[Variable, ...] = ()
    jit: bool = False
    segments: bool = False


def available() -> dict[str, Pack]:
    """The shipped packs by name.

    Raises:
        BaselineError: a file says something that has no meaning.
    """
    packs = {}
    for entry in sorted(shipped("packs").glob("*.yaml")):
        try:
            pack = msgspec.convert(yaml.safe_load(entry.read_text(encoding="utf-8")), Pack)
        except (yaml.YAMLError, msgspec.ValidationError) as error:
            raise BaselineError(f"{entry.name}: {error}", hint=f"expected a {PACK_SCHEMA}") from error
        packs[pack.name] = pack
    return packs


def choose(report: Report, names: Iterable[str] = ()) -> tuple[Pack, ...]:
    """The packs for a program: what its name or libraries ask for, what is named, and what belongs to its package.

    Raises:
        UsageError: there is no pack of that name.
    """
    packs = available()
    for name in names:
        if name not in packs:
            raise UsageError(f"there is no pack {name!r}", hint=f"shipped: {', '.join(packs)}")
    program = posixpath.basename(report.artifact.path)
    linked = {library.name for each in report.slices for library in each.resolved}
    chosen = tuple(
        pack
        for pack in packs.values()
        if pack.name in names
        or any(fnmatch.fnmatchcase(program, pattern) for pattern in pack.programs)
        or any(fnmatch.filter(linked, pattern) for pattern in pack.libraries)
    )
    return (*chosen, *_installed_with(report, chosen))


def _installed_with(report: Report, chosen: Iterable[Pack]) -> Iterator[Pack]:
    """What the package manager put beside the program for it and its libraries, as far as no pack has it."""
    if report.format != "elf":
        return
    libraries = {library.opened_as: library.path for each in report.slices for library in each.resolved if library.path}
    loader = next((libraries.get(each.interpreter) for each in report.slices if each.interpreter), None)
    found = belongings(report.artifact.path, libraries.values(), loader)
    others = [path for pack in chosen for path in _present((*pack.modules, *pack.files), report.artifact.path)]
    paths = [(path, f"{glob.escape(path)}/") for path in found.folders]
    paths += [(path, glob.escape(path)) for path in found.files]
    new = [pattern for path, pattern in paths if not is_inside(path, *others)]
    modules = tuple(pattern for pattern in new if pattern.startswith(_MAY_HOLD_MODULES))
    files = tuple(pattern for pattern in new if pattern not in modules)
    if new:
        description = "what the package manager installed for it and its libraries"
        yield Pack(schema=PACK_SCHEMA, name="installed", description=description, modules=modules, files=files)


def grants(packs: Iterable[Pack], program: str) -> Iterator[Grant]:
    """What the packs grant on this machine; ``program`` is the resolved path of the program."""
    for pack in packs:
        reason = f"{PACK}{pack.name}: {pack.description}"
        for kind, patterns in (("library", pack.modules), ("", pack.files)):
            for path in _present(patterns, program):
                yield Grant(kind="read", object=path, access=kind, reason=reason)
        for path in pack.scratch:
            yield Grant(kind="write", object=path, access="scratch", reason=reason)
        for variable in pack.environment:
            yield Grant(kind="environment", object=variable.name, access=variable.value, reason=reason)


def holding(paths: Iterable[str]) -> list[str]:
    """The names of the packs that would grant several of the paths to any program, wherever it lies.

    One is enough where it is code: that can be loaded only with what it is linked with, which the pack looks up.
    """
    wanted = [f"{path}/" for path in paths]
    names = []
    for name, pack in available().items():
        code, data = (
            tuple(f"{folder}/" for folder in _present((each for each in kind if "{prefix}" not in each), "/"))
            for kind in (pack.modules, pack.files)
        )
        held = sum(path.startswith(code + data) for path in wanted)
        if held > 1 or any(path.startswith(code) and path.endswith(".so/") for path in wanted):
            names.append(name)
    return names


def libraries(packs: Iterable[Pack], program: str) -> tuple[PolicyFile, ...]:
    """What the libraries in the packs' module folders are linked with, as far as it lies elsewhere."""
    folders = sorted({path for pack in packs for path in _present(pack.modules, program)})
    named = (path for folder in folders for path in files_below(folder) if ".so" in posixpath.basename(path))
    modules = [path for path in named if stat.S_ISREG(mode_of(Path(path)))]
    data = Tree().map(program)
    if data is None or not modules:
        return ()
    closure = Libraries(needs(memoryview(data)), Path(program), Tree(), Summaries(default_folder()))
    for module in modules[:MAX_MODULES]:
        closure.add(module, "pack")
    return tuple(
        PolicyFile(opened_as=posixpath.normpath(library.opened_as), path=library.path, sha256=library.sha256)
        for library in closure.resolved
        if library.opened_as is not None and library.path is not None and library.sha256 is not None
        if not is_inside(library.path, *folders)
    )


def _present(patterns: Iterable[str], program: str) -> list[str]:
    """The resolved paths that the patterns lead to; a pattern that ends in a slash asks for folders."""
    prefix, folder = posixpath.split(posixpath.dirname(program))
    found: dict[str, None] = {}
    for pattern in patterns:
        beside = "{prefix}" in pattern
        if beside and (prefix == "/" or folder != "bin"):
            continue
        for path in sorted(glob.glob(pattern.replace("{prefix}", glob.escape(prefix)))):  # noqa: PTH207 - strings in and out
            if pattern.endswith("/") == stat.S_ISDIR(mode_of(Path(path))):
                resolved = str(Path(path).resolve())
                if beside and not resolved.startswith(f"{prefix}/") and not is_systems_own(path):
                    continue
                found[resolved] = None
                if stat.S_ISLNK(mode_of(Path(path), follow=False)):  # the program asks for it by this name
                    found[posixpath.normpath(path)] = None
    return [path for path in found if not any(path != other and is_inside(path, other) for other in found)]
