"""Files that are run for their name, and what a package has run without being asked to: at its install, or later.

npm runs the commands of three scripts of a package and of those that it brings along (npm, "scripts", life cycle), and
``node-gyp rebuild`` where there is a ``binding.gyp`` and no script says otherwise. Python runs lines of ``.pth`` and
``.start`` files and two modules, in whatever form, whenever it starts (documentation of its module ``site``). pip runs
``setup.py`` of a package's sources, or what its ``pyproject.toml`` names (PEP 517). dpkg runs maintainer scripts as
root (Debian Policy, chapter 6; ``config`` is debconf's). cargo builds and runs ``build.rs``, and the compiler runs
macros of a crate in what is built on it (The Cargo Book, "Build Scripts", "The Manifest Format"). Letters count as
small or large only for some disks, so that they do not here.
"""

import json
import re
import tomllib
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Any

_NPM = re.compile(r"(?i:(?:[^/]+/)?(?:node_modules/(?:@[^/]+/)?[^/]+/)*(?:package\.json|binding\.gyp))")
_MODULE = r"(?:site|user)customize(?:/__init__)?\.(?:pyc?|(?:[^/]+\.)?(?:so|pyd))"
_PYTHON = re.compile(
    rf"(?i:(?:|.*\.data/(?:purelib|platlib)/|.*(?:site|dist)-packages/)(?:[^/]+\.(?:pth|start)|{_MODULE}))"
)
_LINES = {".pth": re.compile(r"import[ \t]"), ".start": re.compile(r"\s*[^\W\d][\w.]*:[^\W\d][\w.]*\s*$")}
"""What Python runs of them: statements, and functions by their names (PEP 829)."""
_SOURCES = re.compile(r"(?i:(?:[^/]+/)?(?:setup\.py|pyproject\.toml|build\.rs|Cargo\.toml))")
_BUILT = (".whl",)
"""How names of archives end that may have such files, and that nothing is built of; pip takes ``.WHL`` for sources."""
_BACKEND = "setuptools.build_meta:__legacy__"
"""What pip takes where none is named: it runs modules that ``setup.cfg`` or the same file name (PEP 517)."""
_CONTROL = re.compile(r"control\.tar(?:\.\w+)?")
"""The member of a Debian package that has its maintainer scripts (deb(5))."""
_MAINTAINER = frozenset({"preinst", "postinst", "prerm", "postrm", "config"})
_MAX_TEXT = 4 * 1024**2
"""Of a description; real ones have up to some 100 KB. What is read of one takes many times its size."""
_MAX_TOML = 512 * 1024
_DEEP_KEY = re.compile(
    rb"""(?:^|[{,])[ \t\[]*+(?:(?:[\w-]++|"(?:\\.|[^"\\\n])*+"|'[^'\n]*+')[ \t]*+\.[ \t]*+){64}""", re.MULTILINE
)
"""A name of 64 parts where names begin; for each part Python's reader keeps all that stand before it."""
_SCRIPTS = frozenset(
    ".py .pyc .pyw .js .cjs .mjs .jse .rb .pl .pm .php .lua .tcl .sh .bash .zsh .command .bat .cmd .ps1 .psm1 .vbs .vbe"
    " .wsf .hta .scpt .desktop .lnk .asar .crx".split()
)
"""How names of scripts, byte code and packs of such end that nothing but their name shows."""
_AT_INSTALL = ("preinstall", "install", "postinstall")
_SHOWN = 200
"""Characters of a command that are shown."""


def is_script(path: str) -> bool:
    """Whether its name is that of a script or of byte code."""
    return PurePosixPath(path.lower()).suffix in _SCRIPTS


def is_place(name: str, archive: str) -> bool:
    """Whether a file called ``name`` in an archive of that name may be one of them."""
    sources = not archive.endswith(_BUILT) and _SOURCES.fullmatch(name)
    return bool(sources or _NPM.fullmatch(name) or _PYTHON.fullmatch(name)) or _is_maintainers(name, archive)


def told(name: str, archive: str, data: bytes) -> Iterator[str]:
    """What such a file has run, as the end of a sentence that begins with its name."""
    last = PurePosixPath(name.lower())
    if _is_maintainers(name, archive):
        yield "is run by dpkg, as root, when it is installed or removed"
    elif last.name == "setup.py":
        yield "is run by pip when it is installed from these sources"
    elif last.name == "build.rs":
        yield "is run by cargo when it is built, unless its Cargo.toml says otherwise"
    elif last.suffix == ".toml":
        yield from _toml(last.name, data)
    elif last.suffix == ".json":
        yield from _npm(data)
    elif last.suffix == ".gyp":
        yield "has npm run node-gyp rebuild, unless its package.json has it run something else"
    elif last.suffix in _LINES:
        lines = [line for line in _text(data).splitlines() if _LINES[last.suffix].match(line)]
        if lines:
            yield f"has Python run whenever it starts: {_shown(lines[0])}"
    else:
        yield "runs whenever Python starts"


def _is_maintainers(name: str, archive: str) -> bool:
    return name in _MAINTAINER and _CONTROL.fullmatch(PurePosixPath(archive).name) is not None


def _toml(name: str, data: bytes) -> Iterator[str]:
    try:
        said = None if len(data) > _MAX_TOML or _DEEP_KEY.search(data) else tomllib.loads(data.decode("utf-8"))
    except (ValueError, RecursionError):
        said = None
    if said is None:
        yield "cannot be read, so that what is run when it is built is not known"
    elif name == "pyproject.toml":
        backend = _below(said, "build-system").get("build-backend", _BACKEND)
        if isinstance(backend, str):
            yield f"has pip build it with {_shown(backend)} when it is installed from these sources"
    else:
        for script in (_below(said, package).get("build") for package in ("package", "project")):
            if isinstance(script, str):
                yield f"has cargo run when it is built: {_shown(script)}"
        if _has_macros(_below(said, "lib")):
            yield "has the compiler run its macros in whatever is built on it"


def _has_macros(library: dict[str, Any]) -> bool:
    kinds = [library.get(key) for key in ("crate-type", "crate_type")]
    listed = any(isinstance(kind, list) and "proc-macro" in kind for kind in kinds)
    return listed or any(library.get(key) is True for key in ("proc-macro", "proc_macro"))


def _below(said: dict[str, Any], key: str) -> dict[str, Any]:
    found = said.get(key)
    return found if isinstance(found, dict) else {}


def _npm(data: bytes) -> Iterator[str]:
    unread = "cannot be read, so that what npm runs of it is not known"
    if len(data) > _MAX_TEXT:
        yield unread
        return
    try:
        said = json.loads(_text(data))
    except (ValueError, RecursionError):  # JavaScript reads some that Python does not
        yield unread
        return
    scripts = said.get("scripts") if isinstance(said, dict) else None
    if not isinstance(scripts, dict):
        return
    for hook in _AT_INSTALL:
        if isinstance(scripts.get(hook), str) and scripts[hook].strip():
            yield f"has npm run at its {hook}: {_shown(scripts[hook])}"


def _text(data: bytes) -> str:
    """Without the mark of a byte order that may stand before it."""
    return data.decode("utf-8", "replace").removeprefix("\ufeff")


def _shown(command: str) -> str:
    return repr(command if len(command) <= _SHOWN else f"{command[:_SHOWN]}...")
