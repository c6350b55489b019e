"""What the extractors read and what they give back."""

from collections.abc import Mapping
from typing import Generic, Self, TypeVar

import msgspec

from binsafe.extractors import gobuild
from binsafe.formats.gopclntab import FunctionTable, functions
from binsafe.model import Finding, GoBuild, Signature, Slice, Syscalls
from binsafe.signatures import verify
from binsafe.syscalls import Libraries, analyse

T = TypeVar("T")


class Subject(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """One slice and what the packages below say of it: asked once here, because several extractors need it.

    ``functions`` and ``go`` are Go's function table and build record, None where there is none; ``syscalls`` is None
    where the analysis does not cover the system or was not wanted; ``libraries`` where nothing is linked to it.
    """

    slice: Slice
    signature: Signature
    functions: FunctionTable | None = None
    go: GoBuild | None = None
    syscalls: Syscalls | None = None
    libraries: Libraries | None = None

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
        components: Mapping[int, memoryview] | None = None,
    ) -> Self:
        """Ask the packages below about ``slice_``; ``components`` are the sealed files of its bundle."""
        return cls(
            slice=slice_,
            signature=verify(slice_, components=components),
            functions=functions(slice_),
            go=gobuild.read(slice_),
            syscalls=analyse(slice_) if syscalls else None,
            libraries=libraries,
        )


class Extracted(msgspec.Struct, Generic[T], frozen=True):
    """A fact and what a person should care about in it. The findings do not know their slice's number yet."""

    value: T
    findings: tuple[Finding, ...] = ()
