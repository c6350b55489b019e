"""What the extractors read and what they give back."""

from collections.abc import Mapping
from itertools import chain
from types import MappingProxyType
from typing import Generic, Self, TypeVar

import msgspec

from binsafe.extractors import gobuild, texts
from binsafe.extractors.capabilitynames import CAPABILITIES, CODE_MAKERS, TOGETHER
from binsafe.extractors.names import plain_name
from binsafe.extractors.networknames import NETWORK
from binsafe.extractors.runtimenames import RUNTIME_TEXTS
from binsafe.formats.callsites import call_sites
from binsafe.formats.cli_metadata import Metadata, metadata
from binsafe.formats.gopclntab import FunctionTable, functions
from binsafe.model import Finding, GoBuild, Signature, Slice, Syscalls
from binsafe.signatures import verify
from binsafe.syscalls import Libraries, analyse

T = TypeVar("T")


class Subject(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """One slice and what the packages below say of it: asked once here, because several extractors need it.

    ``functions`` and ``go`` are Go's function table and build record, None where there is none; ``syscalls`` is None
    where the analysis does not cover the system or was not wanted; ``libraries`` where nothing is linked to it.
    ``sites`` are the calls to imports that mean something, by the stub or slot they go through; ``managed`` is what
    .NET's metadata refers to; ``texts`` are the telling texts it holds, with their offsets.
    """

    slice: Slice
    signature: Signature
    functions: FunctionTable | None = None
    go: GoBuild | None = None
    syscalls: Syscalls | None = None
    libraries: Libraries | None = None
    sites: Mapping[int, tuple[int, ...]] = MappingProxyType({})
    managed: Metadata | None = None
    texts: Mapping[bytes, int] = MappingProxyType({})

    @property
    def is_go(self) -> bool:
        """Whether Go's runtime is in it: no other program has its tables."""
        return self.functions is not None or self.go is not None

    @property
    def direct_calls(self) -> dict[str, tuple[str, ...]]:
        """System calls that the slice's own instructions make, with their places; not those behind imports (macOS)."""
        behind = {hex(entry.address) for entry in self.slice.imports if entry.address is not None}
        sites = self.syscalls.sites if self.syscalls is not None else {}
        own = {call: tuple(place for place in places if place not in behind) for call, places in sites.items()}
        return {call: places for call, places in own.items() if places}

    @classmethod
    def of(
        cls,
        slice_: Slice,
        *,
        syscalls: bool = True,
        libraries: Libraries | None = None,
        components: Mapping[int, memoryview | None] | None = None,
        explain: str | None = None,
    ) -> Self:
        """Ask the packages below about ``slice_``; ``components`` are the sealed files of its bundle."""
        table, build = functions(slice_), gobuild.read(slice_)
        return cls(
            slice=slice_,
            signature=verify(slice_, components=components),
            functions=table,
            go=build,
            syscalls=analyse(slice_, libraries, explain=explain, go=table) if syscalls else None,
            libraries=libraries,
            sites=_sites(slice_) if table is None else {},  # Go's functions say more than the stubs they call
            managed=metadata(slice_),
            texts=texts.find(slice_, _TEXTS),
        )


_TEXTS = (*NETWORK.texts, *CAPABILITIES.texts, *RUNTIME_TEXTS)
_NAMES = frozenset(
    {
        *NETWORK.imports,
        *CAPABILITIES.imports,
        *CODE_MAKERS,
        *(name for _, sets in TOGETHER for name in chain(*sets)),
    }
)


def _sites(slice_: Slice) -> Mapping[int, tuple[int, ...]]:
    named = (entry for entry in slice_.imports if plain_name(entry.name, slice_.format) in _NAMES)
    return call_sites(slice_, [entry.address for entry in named if entry.address is not None])


class Extracted(msgspec.Struct, Generic[T], frozen=True):
    """A fact and what a person should care about in it. The findings do not know their slice's number yet."""

    value: T
    findings: tuple[Finding, ...] = ()
