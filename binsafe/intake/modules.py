"""Where a program may have modules that it loads by names which its settings say, and which ones lie there.

Folders come from two places. Constant strings in the program and its libraries name some; and a program in
``PREFIX/bin`` has what is its alone in ``PREFIX/lib/NAME`` (File System Hierarchy 3.0, 4.7). Bytes that nobody trusts
choose the first kind, so these have to lie below the system's folders of code; so do the others where they are links.
None is taken of either kind that the loader looks through for everybody, or that holds such a folder: what lies there
are libraries, of all programs.

Nothing is opened here. The files are read as all libraries are (`binsafe.intake.libraries`).
"""

import re
from collections.abc import Iterable, Iterator, Sequence

from binsafe.intake.loaders import TRIPLES
from binsafe.intake.tree import Tree
from binsafe.limits import MAX_MODULE_BYTES, MAX_MODULE_ENTRIES, MAX_MODULES, MAX_NAMED_FOLDERS
from binsafe.paths import is_inside
from binsafe.syscalls.linking.folders import Folder

_OF_SYSTEM = re.compile(r"(?!.*/\.\.(?:/|$))/(?:usr/(?:local/)?)?lib(?:32|64|exec)?/.+")
"""Nothing elsewhere is even looked at: a name can have a far-away file system mounted (autofs(5))."""
_PROGRAMS = ("bin", "sbin", "games")
_MODULE = re.compile(r".+\.so(?:\.[0-9.]+)?", re.DOTALL)


class Search:
    """One program's search; what it looks at and finds is bounded."""

    def __init__(self, tree: Tree, linked: Iterable[str]) -> None:
        """``linked`` are the folders that the loader looks through for everybody."""
        self._tree = tree
        self._shared = {resolved for folder in linked if (resolved := tree.resolve(folder)) is not None}
        self._entries, self._modules, self._bytes = MAX_MODULE_ENTRIES, MAX_MODULES, MAX_MODULE_BYTES
        self._seen: set[str] = set()

    def folders(self, program: str | None, arch: str, named: Sequence[str]) -> Iterator[Folder]:
        """Those of the folders that hold modules, the program's own first."""
        own = () if program is None else own_folders(program, arch)
        wanted = [*own, *(path for path in named[:MAX_NAMED_FOLDERS] if _OF_SYSTEM.fullmatch(path))]
        for path in wanted:
            place = self._tree.resolve(path)
            if place is None or self._is_shared(place) or not self._tree.is_folder(place):
                continue
            if not path.isprintable() or not (_OF_SYSTEM.fullmatch(place) or (path in own and place == path)):
                continue
            found, whole = self._modules_in(place)
            if found or not whole:
                yield Folder(path, found, whole)

    def _is_shared(self, place: str) -> bool:
        return any(is_inside(shared, place) for shared in self._shared)

    def _modules_in(self, place: str) -> tuple[tuple[str, ...], bool]:
        """Paths of what could be modules below a folder, each once; and whether these are all."""
        found: list[str] = []
        whole = True
        for path in (each for each in self._files(place) if _MODULE.fullmatch(each.rpartition("/")[2])):
            target = self._tree.resolve(path)
            size = None if target is None or target in self._seen else self._tree.size(target)
            if target is None or size is None:
                continue
            self._seen.add(target)
            if not self._modules or size > self._bytes or not target.isprintable():  # what no answer can name
                whole = False
                continue
            self._modules -= 1
            self._bytes -= size
            found.append(target)
        return tuple(found), whole and self._entries > 0

    def _files(self, place: str) -> Iterator[str]:
        """Paths of what is no folder below one; links to other folders are not followed."""
        waiting = [place]
        for folder in waiting:  # grows while it is walked
            for path, is_folder in self._tree.entries(folder, self._entries):
                self._entries -= 1
                if self._entries <= 0:
                    return
                if is_folder:
                    waiting.append(path)
                else:
                    yield path


def own_folders(program: str, arch: str) -> tuple[str, ...]:
    """Where a program has what is its alone, by its resolved path."""
    folder, _, name = program.rpartition("/")
    prefix, _, last = folder.rpartition("/")
    if last not in _PROGRAMS:
        return ()
    triple = TRIPLES.get(arch)
    kinds = ("lib", "lib64", "libexec", *([f"lib/{triple}"] if triple else []))
    return tuple(f"{prefix}/{kind}/{name}" for kind in kinds)
