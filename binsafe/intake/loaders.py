"""Where the program loaders look for libraries: ld.so(8) of glibc, ``ldso/dynlink.c`` of musl."""

import struct
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple, Protocol

from binsafe.formats.elf_needs import Needs
from binsafe.intake.tree import Tree

_CACHE_MAGIC = b"glibc-ld.so.cache1.1"
_CACHE_HEADER, _CACHE_ENTRY = "<20sIIB3xI12x", "<iIIIQ"
"""``struct cache_file_new`` and ``struct file_entry_new`` of glibc's ``sysdeps/generic/dl-cache.h``."""
_MAX_CACHE_ENTRIES = 65_536
_MAX_INCLUDES = 256
TRIPLES = {"x86_64": "x86_64-linux-gnu", "arm64": "aarch64-linux-gnu", "i386": "i386-linux-gnu"}
_MUSL_ARCHITECTURES = {"arm64": "aarch64"}
_MUSL_OWN = ("libc.", "libpthread.", "librt.", "libm.", "libdl.", "libutil.", "libxnet.")
"""Names that musl's loader takes for itself: it is the C library as well."""


_BUILDS_BY_LEVEL = "glibc-hwcaps"
_BUILDS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "x86_64": (_BUILDS_BY_LEVEL, "tls", "haswell", "xeon_phi", "avx512_1", "x86_64"),
        "arm64": ("tls", "atomics", "aarch64"),
    }
)
"""Folders of builds for some processors. All but the first are those of glibc before 2.37, which nests them in this
order (``elf/dl-hwcaps.c``, ``sysdeps/x86/cpu-features.c``, ``sysdeps/unix/sysv/linux/aarch64/dl-procinfo.h``)."""
_LEVELS = ("x86-64-v4", "x86-64-v3", "x86-64-v2")
"""Below ``glibc-hwcaps`` (``sysdeps/x86_64/dl-hwcaps_subdirs.c``)."""


class Candidate(NamedTuple):
    """A path that is tried for a name."""

    path: str
    anywhere: bool = True
    """False where only some processors have it tried."""


class Requester(NamedTuple):
    """An object that asks for libraries."""

    needs: Needs
    origin: str | None
    """The folder it lies in, for ``$ORIGIN``; None outside of the tree."""
    asked_by: "Requester | None"


class Loader(Protocol):
    """One loader's rules."""

    def candidates(self, name: str, requester: Requester) -> Iterator[Candidate]:
        """The paths that are tried for a name, in order."""
        ...

    def folders(self) -> Iterator[str]:
        """Where it looks for everybody's libraries."""
        ...

    def is_itself(self, name: str) -> bool:
        """Whether the loader takes the name for itself, whatever its own soname is."""
        ...


def loader(program: Needs, tree: Tree) -> Loader:
    """The loader that a program names; glibc's rules hold for every other one."""
    if program.interpreter is not None and "/ld-musl-" in program.interpreter:
        return Musl(program.arch, tree)
    return Glibc(program.arch, tree)


class Glibc:
    """``_dl_map_object`` of glibc. The environment is empty: there is no ``LD_LIBRARY_PATH``.

    Builds for newer processors (``glibc-hwcaps``) are tried as on a processor for which all of them are.
    """

    def __init__(self, arch: str, tree: Tree) -> None:
        triple = TRIPLES.get(arch)
        folders = ["/lib64", "/usr/lib64", "/lib", "/usr/lib"]
        self._default = [f"/lib/{triple}", f"/usr/lib/{triple}", *folders] if triple else folders
        self._lib = f"lib/{triple}" if triple and tree.resolve(f"/lib/{triple}") is not None else "lib64"
        self._platform = {"arm64": "aarch64", "i386": "i686"}.get(arch, arch)
        self._tree = tree
        self._words = _BUILDS.get(arch, ())
        self._cached = _cache(tree)
        self._configured = [] if self._cached else list(_configured(tree, "/etc/ld.so.conf", [0]))

    def candidates(self, name: str, requester: Requester) -> Iterator[Candidate]:
        """See `Loader.candidates`; a relative path is not looked up: it depends on the folder one starts in."""
        if "/" in name:
            yield from map(Candidate, self._expanded([name], requester.origin))
            return
        for folder in self._folders(requester):
            yield from self._builds(folder, name)
        dynamic = requester.needs.dynamic
        if dynamic is None or not dynamic.no_default:
            yield from self._cached.get(name, ())
            for folder in (*self._configured, *self._default):
                yield from self._builds(folder, name)

    def _builds(self, folder: str, name: str) -> Iterator[Candidate]:
        """A name in a folder, and before it in those of builds for some processors."""
        yield from (Candidate(f"{each}/{name}", anywhere=False) for each in self._special(folder, self._words))
        yield Candidate(f"{folder}/{name}")

    def _special(self, folder: str, words: Sequence[str]) -> Iterator[str]:
        """The folders below one that are for some processors."""
        for at, word in enumerate(words, 1):
            inner = f"{folder}/{word}"
            if self._tree.resolve(inner) is None:
                continue
            if word == _BUILDS_BY_LEVEL:
                yield from (f"{inner}/{level}" for level in _LEVELS)
            else:
                yield from self._special(inner, words[at:])
                yield inner

    def folders(self) -> Iterator[str]:
        """See `Loader.folders`."""
        yield from (*self._configured, *self._default)
        yield from {each.path.rpartition("/")[0] for found in self._cached.values() for each in found}

    def is_itself(self, name: str) -> bool:
        """Never: programs that need it name it."""
        del name
        return False

    def _folders(self, requester: Requester) -> Iterator[str]:
        """``DT_RPATH`` of the requester and of all that led to it, unless it has a ``DT_RUNPATH``; then that."""
        dynamic = requester.needs.dynamic
        if dynamic is not None and dynamic.runpath:
            yield from self._expanded(dynamic.runpath, requester.origin)
            return
        above: Requester | None = requester
        while above is not None:
            dynamic = above.needs.dynamic
            if dynamic is not None and not dynamic.runpath:
                yield from self._expanded(dynamic.rpath, above.origin)
            above = above.asked_by

    def _expanded(self, paths: Sequence[str], origin: str | None) -> Iterator[str]:
        """With ``$ORIGIN``, ``$LIB`` and ``$PLATFORM`` put in (ld.so(8), "Dynamic string tokens")."""
        values = {"ORIGIN": origin, "LIB": self._lib, "PLATFORM": self._platform}
        for path in paths:
            whole: str | None = path
            for token, value in values.items():
                for form in (f"${{{token}}}", f"${token}"):
                    if whole is not None and form in whole:
                        whole = None if value is None else whole.replace(form, value)
            if whole is not None and whole.startswith("/"):
                yield whole.rstrip("/") or "/"


class Musl:
    """``load_library`` of musl: paths of the requester and of all that led to it, then the system's."""

    def __init__(self, arch: str, tree: Tree) -> None:
        name = _MUSL_ARCHITECTURES.get(arch, arch)
        configured = [folder for line in tree.lines(f"/etc/ld-musl-{name}.path") for folder in line.split(":")]
        self._default = configured or ["/lib", "/usr/local/lib", "/usr/lib"]

    def candidates(self, name: str, requester: Requester) -> Iterator[Candidate]:
        """See `Loader.candidates`."""
        if "/" in name:
            yield from [Candidate(name)] if name.startswith("/") else []
            return
        above: Requester | None = requester
        while above is not None:
            dynamic, origin = above.needs.dynamic, above.origin
            for folder in (dynamic.runpath or dynamic.rpath) if dynamic is not None else ():
                if origin is not None or "ORIGIN" not in folder:
                    whole = folder.replace("${ORIGIN}", origin or "").replace("$ORIGIN", origin or "")
                    yield Candidate(f"{whole}/{name}")
            above = above.asked_by
        for folder in self._default:
            yield Candidate(f"{folder}/{name}")

    def folders(self) -> Iterator[str]:
        """See `Loader.folders`."""
        yield from self._default

    def is_itself(self, name: str) -> bool:
        """``libc.so`` and the names that other systems split off from it."""
        return name.startswith(_MUSL_OWN)


def _cache(tree: Tree) -> Mapping[str, tuple[Candidate, ...]]:
    """Name -> paths in ``/etc/ld.so.cache``, which ldconfig(8) makes; empty where there is none that can be read."""
    resolved = tree.resolve("/etc/ld.so.cache")
    mapped = None if resolved is None else tree.map(resolved)
    data = b"" if mapped is None else mapped[:]
    start = data.find(_CACHE_MAGIC, 0, 1 << 20)  # behind a table for loaders of 1998, if there is one
    size = struct.calcsize(_CACHE_HEADER)
    if start < 0 or len(data) < start + size:
        return {}
    _, count, *_ = struct.unpack_from(_CACHE_HEADER, data, start)
    end = start + size + min(count, _MAX_CACHE_ENTRIES) * struct.calcsize(_CACHE_ENTRY)
    found: dict[str, tuple[Candidate, ...]] = {}
    if end <= len(data):
        for _, key, value, _, hwcap in struct.iter_unpack(_CACHE_ENTRY, data[start + size : end]):
            name, path = _string(data, start + key), Candidate(_string(data, start + value), anywhere=not hwcap)
            found[name] = (*found.get(name, ()), path) if path.anywhere else (path, *found.get(name, ()))
    return found


def _string(data: bytes, start: int) -> str:
    return data[start : data.find(b"\0", start, start + 4096)].decode("utf-8", "replace")


def _configured(tree: Tree, path: str, included: list[int]) -> Iterator[str]:
    """Folders of ``/etc/ld.so.conf`` and what it includes (ldconfig(8)); ``included`` counts files, against loops."""
    included[0] += 1
    if included[0] > _MAX_INCLUDES:
        return
    for line in tree.lines(path):
        word, _, rest = line.partition(" ")
        if word == "include":
            pattern = rest.strip()
            whole = pattern if pattern.startswith("/") else f"{path.rpartition('/')[0]}/{pattern}"
            for found in tree.matching(whole):
                yield from _configured(tree, found, included)
        elif line.startswith("/"):
            yield line.rstrip("/")
