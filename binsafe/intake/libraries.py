"""The libraries that a dynamic program is linked with at its start: found as its loader finds them, and read.

Names come from the program and from the libraries. A name leads to a file only by the loader's own rules, only to a
regular file that is a library for the same processor, and only for reading.
"""

import hashlib
import mmap
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from binsafe.errors import NotAnalysable
from binsafe.formats.elf_needs import Needs, needs
from binsafe.intake.cached_programs import CachedProgram, Watched
from binsafe.intake.loaders import Loader, Requester, loader
from binsafe.intake.modules import Search
from binsafe.intake.summaries import Known, Summaries
from binsafe.intake.tree import Tree
from binsafe.limits import MAX_LIBRARIES
from binsafe.model import ResolvedLibrary
from binsafe.syscalls.linking.folders import Folder

if TYPE_CHECKING:
    from binsafe.syscalls import Member, Summary

_ACTION = re.compile(r"\[[^]]*\]")
"""``[NOTFOUND=return]`` between two services."""
_PIECE = 16 * 1024 * 1024


class Loaded(NamedTuple):
    """One library: what the report says of it, and its bytes (None where it was not found)."""

    library: ResolvedLibrary
    data: mmap.mmap | None


class _Found(NamedTuple):
    opened_as: str
    path: str
    data: mmap.mmap
    needs: Needs


class Libraries:
    """The closure of one program. It only grows: what is loaded at run time is added behind the rest."""

    def __init__(
        self, program: Needs, path: Path, tree: Tree, summaries: Summaries, own: CachedProgram | None = None
    ) -> None:
        """Load what ``program``, which lies at ``path``, needs: breadth first, as ``_dl_map_object_deps`` does."""
        self._program = program
        self._tree = tree
        self._summaries = summaries
        self._own = CachedProgram() if own is None else own
        self._summarised = Known(self.payload)
        self._loader: Loader = loader(program, tree)
        self._loaded: list[Loaded] = []
        self._known: set[str] = set()
        self._paths: set[str] = set()
        inside = tree.inside(path)
        self._resolved = None if inside is None else tree.resolve(inside)
        self._root = Requester(program, None if inside is None else inside.rpartition("/")[0] or "/", None)
        wanted: list[tuple[str, str, Requester]] = []
        if program.interpreter is not None:
            self._load_interpreter(program.interpreter)
            preloaded = [word for line in tree.lines("/etc/ld.so.preload") for word in line.replace(":", " ").split()]
            wanted += [(name, "interpreter", self._root) for name in preloaded]
        self._load([*wanted, *_asked(self._root, "program")])  # what those need comes behind what the program needs

    @property
    def resolved(self) -> tuple[ResolvedLibrary, ...]:
        """What the report says of them."""
        return tuple(loaded.library for loaded in self._loaded)

    def members(self, watched: Watched = frozenset()) -> "tuple[Member, ...]":
        """All libraries so far with their summaries, which are made when they are first asked for.

        ``watched`` are functions of one library that another one may call, and the register that matters then.
        """
        from binsafe.syscalls import Member

        return tuple(Member(loaded.library, self._summarised.of(at, watched)) for at, loaded in enumerate(self._loaded))

    def payload(self, at: int, watched: Watched, anew: bool) -> bytes:
        """The summary of the library with that number, for `binsafe.intake.summaries.Known`."""
        library, data = self._loaded[at]
        if data is None:
            return b""
        try:
            if watched:
                return self._summaries.made(library, memoryview(data), watched)
            return self._summaries.payload(library, memoryview(data), anew=anew)
        finally:
            _drop_pages(data)

    def program(self, watched: Watched, make: "Callable[[], Summary]") -> "Summary":
        """The summary of the program itself: one that was kept, or what ``make`` gives."""
        return self._own.of(watched, make)

    def add(self, name: str, needed_by: str) -> None:
        """Load another one by name, as dlopen(3) called by the program would, with all that it needs.

        One that is not there is no member: at run time it would not be there either.
        """
        if name not in self._known and self._find(name, self._root):
            self._load([(name, needed_by, self._root)])

    def add_file(self, path: Path) -> None:
        """Load a file of this system that the user named; one that is no library for this program counts as missing."""
        found = self._read(str(path), Tree())
        if found is None:
            self._loaded.append(_missing(str(path), "--with"))
        elif found.path not in self._paths:
            self._keep(str(path), "--with", found)
            self._load(_asked(Requester(found.needs, str(path.parent), self._root), str(path)))

    def modules(self, named: Sequence[str]) -> tuple[Folder, ...]:
        """Folders in which the program may have modules, of those ``named`` in its files and of its own."""
        search = Search(self._tree, self._loader.folders())
        return tuple(search.folders(self._resolved, self._program.arch, named))

    def name_services(self) -> tuple[str, ...]:
        """Services that ``/etc/nsswitch.conf`` names for any database (nsswitch.conf(5)), each once."""
        lines = [line.partition(":")[2] for line in self._tree.lines("/etc/nsswitch.conf")]
        words = " ".join(_ACTION.sub(" ", line) for line in lines).split()
        return tuple(dict.fromkeys(word for word in words if word.isidentifier()))

    def exists(self, path: str) -> bool:
        """Whether anything is at an absolute path of the tree that is looked into."""
        return self._tree.exists(path)

    def _load(self, wanted: Iterable[tuple[str, str, Requester]]) -> None:
        queue = list(wanted)
        for name, needed_by, requester in queue:  # grows while it is walked
            if name in self._known or self._loader.is_itself(name):
                continue
            self._known.add(name)
            if len(self._loaded) >= MAX_LIBRARIES:
                self._loaded.append(_missing(f"{name}, and more than {MAX_LIBRARIES} others", needed_by))
                return
            builds = self._find(name, requester)
            if not builds:
                self._loaded.append(_missing(name, needed_by))
            for found in builds:
                if found.path not in self._paths:
                    self._keep(name, needed_by, found)
                    here = Requester(found.needs, found.opened_as.rpartition("/")[0] or "/", requester)
                    queue += _asked(here, name)

    def _load_interpreter(self, path: str) -> None:
        found = self._read(path, linked=False)
        self._known.add(path)
        if found is None:
            self._loaded.append(_missing(path, "program"))
        else:
            self._keep(path, "program", found)

    def _keep(self, name: str, needed_by: str, found: _Found) -> None:
        self._paths.add(found.path)
        if found.needs.dynamic is not None and found.needs.dynamic.soname is not None:
            self._known.add(found.needs.dynamic.soname)
        library = ResolvedLibrary(
            name=name,
            path=found.path,
            opened_as=found.opened_as,
            sha256=_hashed(found.data),
            build_id=found.needs.build_id,
            needed_by=needed_by,
        )
        self._loaded.append(Loaded(library, found.data))

    def _find(self, name: str, requester: Requester) -> list[_Found]:
        """The first candidate that is a library for this processor: the loader passes over the others, too.

        Behind it come builds that other processors of the same kind have tried before it.
        """
        builds: list[_Found] = []
        for path, anywhere in self._loader.candidates(name, requester):
            found = self._read(path)
            if found is not None and anywhere:
                return [found, *builds]
            builds += [found] if found is not None else []
        return builds

    def _read(self, opened_as: str, tree: Tree | None = None, *, linked: bool = True) -> _Found | None:
        """The file at a path, if it is for this processor and, where asked for, can be linked by a loader."""
        tree = tree or self._tree
        path = tree.resolve(opened_as)
        data = None if path is None else tree.map(path)
        if path is None or data is None:
            return None
        try:
            wanted = needs(memoryview(data))
        except NotAnalysable:
            return None
        same = (wanted.arch, wanted.bits) == (self._program.arch, self._program.bits)
        return _Found(opened_as, path, data, wanted) if same and (wanted.dynamic is not None or not linked) else None


def _hashed(data: mmap.mmap) -> str:
    """The SHA-256 of a file, of which no more is in memory than a piece."""
    digest = hashlib.sha256()
    with memoryview(data) as view:
        for start in range(0, len(data), _PIECE):
            digest.update(view[start : start + _PIECE])
            _drop_pages(data)
    return digest.hexdigest()


def _drop_pages(data: mmap.mmap) -> None:
    """Give back the memory of a file that was read to its end: a browser's libraries have a gigabyte together."""
    if hasattr(mmap, "MADV_DONTNEED"):
        data.madvise(mmap.MADV_DONTNEED)


def _asked(requester: Requester, name: str) -> Iterator[tuple[str, str, Requester]]:
    dynamic = requester.needs.dynamic
    return ((library.name, name, requester) for library in (dynamic.libraries if dynamic is not None else ()))


def _missing(name: str, needed_by: str) -> Loaded:
    return Loaded(ResolvedLibrary(name=name, path=None, needed_by=needed_by), None)
