"""Finding what FILE means: a path, a command, an artifact that the user stored, or one this distribution declares."""

import importlib
import os
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from binsafe._version import __version__
from binsafe.errors import NotAnalysable, NotFound

DISTRIBUTION = "binsafe"
ARTIFACT_GROUP = "binsafe.artifacts"


class Found(NamedTuple):
    """An artifact's name as the user typed it and the file it means, links resolved."""

    name: str
    path: Path


def readable(path: str) -> str:
    """A path as text: bytes that are no UTF-8 (lone surrogates, PEP 383) are escaped, so that it can be written."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def find(name: str, *, progress: Callable[[str], None] | None = None) -> Found:
    """What ``name`` means; raises NotFound. An artifact that is declared may have to be built, telling ``progress``."""
    if not name:
        raise NotFound("an empty name is no file and no command", hint='is a "$VARIABLE" not set?')
    for path in _candidates(name):
        if os.path.lexists(path):
            return Found(name, _resolved(path))
    declared = _declared()
    if name in declared:
        return Found(name, declared[name]()(progress=progress).resolve())
    hint = f"give its path, or one of the artifacts known by name: {', '.join(sorted(declared)) or 'none'}"
    raise NotFound(f"{name!r} is no file and no command", hint=hint)


def _resolved(path: Path) -> Path:
    """Where a path leads; raises NotAnalysable for links that lead to each other."""
    resolved = os.path.realpath(path)  # pathlib's own tells of such links until Python 3.12 only
    if os.path.islink(resolved):  # noqa: PTH114 - that of pathlib raises where a folder cannot be searched
        raise NotAnalysable(f"{path} is a link that leads nowhere", hint="name the file itself")
    return Path(resolved)


def _candidates(name: str) -> list[Path]:
    path = Path(name)
    if "/" in name or path.is_absolute() or len(path.parts) != 1 or (os.path.lexists(path) and not path.is_dir()):
        return [path]
    if (found := command(name)) is not None:
        return [found]
    import platformdirs

    return [platformdirs.user_data_path(DISTRIBUTION) / "artifacts" / name, path]  # a folder here, as a bundle, is last


def command(name: str) -> Path | None:
    """The program that a shell starts for a name: as `shutil.which`, which loads compressors for it."""
    found = (Path(folder, name) for folder in os.get_exec_path())
    return next((each for each in found if os.access(each, os.X_OK) and not each.is_dir()), None)


def _declared() -> dict[str, Callable[[], Any]]:
    """What this distribution alone declares: no other package's code is ever loaded by a name on the command line.

    Read from where installers put it (entry points specification, packaging.python.org), if it is there.
    """
    for folder in sys.path:
        try:
            text = Path(folder, f"{DISTRIBUTION}-{__version__}.dist-info", "entry_points.txt").read_text("utf-8")
        except OSError:
            continue
        group = text.partition(f"[{ARTIFACT_GROUP}]\n")[2].partition("\n[")[0]
        lines = (line.partition("=") for line in group.splitlines() if "=" in line)
        return {name.strip(): partial(_loaded, value.strip()) for name, _, value in lines}
    import importlib.metadata  # it takes longer to load than all else that starts a program

    try:
        distribution = importlib.metadata.distribution(DISTRIBUTION)
    except importlib.metadata.PackageNotFoundError:
        return {}
    return {entry.name: entry.load for entry in distribution.entry_points if entry.group == ARTIFACT_GROUP}


def _loaded(reference: str) -> Any:
    """What a reference like ``package.module:name`` names."""
    module, _, name = reference.partition(":")
    return getattr(importlib.import_module(module), name)
