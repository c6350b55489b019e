"""Where the program loaders look for libraries: ld.so(8) of glibc, ``ldso/dynlink.c`` of musl."""

import struct
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple, Protocol

from binsafe.formats.elf_needs import Needs
from binsafe.intake.tree import Tree

_CACHE_MAGIC = b"glibc-ld.so.cache1.1"
_CACHE_HEADER, _CACHE_ENTRY = "<20sIIB3xI12x", "<iIIIQ"
"""``struct cache_file_new`` and ``struct file_entry_new`` of glibc's ``sysdeps/generic/dl-cache.h``."""
_MAX_CACHE_ENTRIES = 65_536
_MAX_INCLUDES = 256
_TRIPLES = {"x86_64": "x86_64-linux-gnu", "arm64": "aarch64-linux-gnu", "i386": "i386-linux-gnu"}
_MUSL_ARCHITECTURES = {"arm64": "aarch64"}
_MUSL_OWN = ("libc.", "libpthread.", "librt.", "libm.", "libdl.", "libutil.", "libxnet.")
"""Names that musl's loader takes for itself: it is the C library as well."""


class Requester(NamedTuple):
    """An object that asks for libraries."""

    needs: Needs
    origin: str | None
    """The folder it lies in, for ``$ORIGIN``; None outside of the tree."""
    asked_by: "Requester | None"


class Loader(Protocol):
    """One loader's rules."""

    def candidates(self, name: str, requester: Requester) -> Iterator[str]:
        """The paths that are tried for a name, in order."""
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

    Libraries for newer processors (``glibc-hwcaps``) are left out: each of them is another build of one that is here.
    """

    def __init__(self, arch: str, tree: Tree) -> None:
        triple = _TRIPLES.get(arch)
        folders = ["/lib64", "/usr/lib64", "/lib", "/usr/lib"]
        self._default = [f"/lib/{triple}", f"/usr/lib/{triple}", *folders] if triple else folders
        self._lib = f"lib/{triple}" if triple and tree.resolve(f"/lib/{triple}") is not None else "lib64"
        self._platform = {"arm64": "aarch64", "i386": "i686"}.get(arch, arch)
        self._cached = _cache(tree)
        self._configured = [] if self._cached else list(_configured(tree, "/etc/ld.so.conf", [0]))

    def candidates(self, name: str, requester: Requester) -> Iterator[str]:
        """See `Loader.candidates`; a relative path is not looked up: it depends on the folder one starts in."""
        if "/" in name:
            yield from self._expanded([name], requester.origin)
            return
        for folder in self._folders(requester):
            yield f"{folder}/{name}"
        dynamic = requester.needs.dynamic
        if dynamic is None or not dynamic.no_default:
            yield from self._cached.get(name, ())
            for folder in (*self._configured, *self._default):
                yield f"{folder}/{name}"

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

    def candidates(self, name: str, requester: Requester) -> Iterator[str]:
        """See `Loader.candidates`."""
        if "/" in name:
            yield from [name] if name.startswith("/") else []
            return
        above: Requester | None = requester
        while above is not None:
            dynamic, origin = above.needs.dynamic, above.origin
            for folder in (dynamic.runpath or dynamic.rpath) if dynamic is not None else ():
                if origin is not None or "ORIGIN" not in folder:
                    whole = folder.replace("${ORIGIN}", origin or "").replace("$ORIGIN", origin or "")
                    yield f"{whole}/{name}"
            above = above.asked_by
        for folder in self._default:
            yield f"{folder}/{name}"

    def is_itself(self, name: str) -> bool:
        """``libc.so`` and the names that other systems split off from it."""
        return name.startswith(_MUSL_OWN)


def _cache(tree: Tree) -> Mapping[str, tuple[str, ...]]:
    """Name -> paths of ``/etc/ld.so.cache``, which ldconfig(8) makes; empty where there is none that can be read."""
    resolved = tree.resolve("/etc/ld.so.cache")
    mapped = None if resolved is None else tree.map(resolved)
    data = b"" if mapped is None else mapped[:]
    start = data.find(_CACHE_MAGIC, 0, 1 << 20)  # behind a table for loaders of 1998, if there is one
    size = struct.calcsize(_CACHE_HEADER)
    if start < 0 or len(data) < start + size:
        return {}
    _, count, *_ = struct.unpack_from(_CACHE_HEADER, data, start)
    end = start + size + min(count, _MAX_CACHE_ENTRIES) * struct.calcsize(_CACHE_ENTRY)
    found: dict[str, tuple[str, ...]] = {}
    if end <= len(data):
        for _, key, value, _, hwcap in struct.iter_unpack(_CACHE_ENTRY, data[start + size : end]):
            if not hwcap:
                name, path = _string(data, start + key), _string(data, start + value)
                found[name] = (*found.get(name, ()), path)
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
