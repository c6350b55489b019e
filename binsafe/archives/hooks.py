"""Files that are run for their name, and what a package has run without being asked to: at its install, or later.

npm runs the commands of three scripts of a package and of those that it brings along (npm, "scripts", life cycle), and
``node-gyp rebuild`` where there is a ``binding.gyp`` and no script says otherwise. Python runs lines of ``.pth`` files
and two modules, in whatever form, whenever it starts (documentation of its module ``site``). Letters count as small or
large only for some disks, so that they do not here.
"""

import json
import re
from collections.abc import Iterator
from pathlib import PurePosixPath

_NPM = re.compile(r"(?i:(?:[^/]+/)?(?:node_modules/(?:@[^/]+/)?[^/]+/)*(?:package\.json|binding\.gyp))")
_MODULE = r"(?:site|user)customize(?:/__init__)?\.(?:pyc?|(?:[^/]+\.)?(?:so|pyd))"
_PYTHON = re.compile(rf"(?i:(?:|.*\.data/(?:purelib|platlib)/|.*(?:site|dist)-packages/)(?:[^/]+\.pth|{_MODULE}))")
_MAX_JSON = 4 * 1024**2
"""Of a ``package.json``; real ones have up to some 100 KB. What is read of one takes many times its size."""
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


def is_place(name: str) -> bool:
    """Whether a file called ``name`` in its archive may be one of them."""
    return bool(_NPM.fullmatch(name) or _PYTHON.fullmatch(name))


def told(name: str, data: bytes) -> Iterator[str]:
    """What such a file has run, as the end of a sentence that begins with its name."""
    kind = PurePosixPath(name.lower()).suffix
    if kind == ".json":
        yield from _npm(data)
    elif kind == ".gyp":
        yield "has npm run node-gyp rebuild, unless its package.json has it run something else"
    elif kind == ".pth":
        text = data.decode("utf-8-sig", "replace")
        lines = [line for line in text.splitlines() if line.startswith(("import ", "import\t"))]
        if lines:
            yield f"has Python run whenever it starts: {_shown(lines[0])}"
    else:
        yield "runs whenever Python starts"


def _npm(data: bytes) -> Iterator[str]:
    unread = "cannot be read, so that what npm runs of it is not known"
    if len(data) > _MAX_JSON:
        yield unread
        return
    try:
        said = json.loads(data.decode("utf-8", "replace").removeprefix("\ufeff"))
    except (ValueError, RecursionError):  # JavaScript reads some that Python does not
        yield unread
        return
    scripts = said.get("scripts") if isinstance(said, dict) else None
    if not isinstance(scripts, dict):
        return
    for hook in _AT_INSTALL:
        if isinstance(scripts.get(hook), str) and scripts[hook].strip():
            yield f"has npm run at its {hook}: {_shown(scripts[hook])}"


def _shown(command: str) -> str:
    return repr(command if len(command) <= _SHOWN else f"{command[:_SHOWN]}...")
