"""Mach-O, thin and universal -> Image."""

from collections.abc import Mapping

from binsafe.formats import macho_commands as mc
from binsafe.formats import macho_headers as mh
from binsafe.formats.macho_segments import MachSegment
from binsafe.formats.macho_symbols import names
from binsafe.formats.structure import Memory, malformed
from binsafe.formats.traits import import_traits
from binsafe.model import Image, Import, Section, Segment, Slice
from binsafe.model.image import Linkage

_ARCHES: Mapping[int, str] = {
    0x7: "i386",
    0x0100_0007: "x86_64",
    0xC: "arm",
    0x0100_000C: "arm64",
    0x0200_000C: "arm64_32",
    0x12: "ppc",
    0x0100_0012: "ppc64",
}
_ARM64, _ARM64E = 0x0100_000C, 2
_KINDS: Mapping[int, str] = {
    1: "object",
    2: "executable",
    4: "core",
    5: "preloaded",
    6: "library",
    7: "loader",
    8: "bundle",
    9: "library-stub",
    10: "debug-symbols",
    11: "kernel-extension",
    12: "file-set",
}
_UNLINKED = (1, 4, 9, 10)
"""File types that are never loaded."""
_PLATFORMS: Mapping[int, str] = {
    1: "macos",
    2: "ios",
    3: "tvos",
    4: "watchos",
    5: "bridgeos",
    6: "mac-catalyst",
    7: "ios-simulator",
    8: "tvos-simulator",
    9: "watchos-simulator",
    10: "driverkit",
    11: "visionos",
    12: "visionos-simulator",
}
_DYLDLINK, _ALLOW_STACK_EXECUTION, _PIE, _NO_HEAP_EXECUTION = 0x4, 0x2_0000, 0x20_0000, 0x100_0000
_VM_READ, _VM_WRITE, _VM_EXECUTE = 1, 2, 4
_CODE_ATTRIBUTES = 0x8000_0400
"""S_ATTR_PURE_INSTRUCTIONS and S_ATTR_SOME_INSTRUCTIONS."""


def read(data: memoryview) -> Image:
    """The Image of a Mach-O file: one slice, or all slices of a universal file in its order.

    Raises:
        NotAnalysable: a slice or one of its load commands breaks a rule. One bad slice spoils the file: which one a
            machine runs is the machine's choice.
    """
    if int.from_bytes(data[:4], "big") not in {mh.FAT_MAGIC, mh.FAT_MAGIC_64}:
        return Image(format="mach-o", slices=(_slice(data),))
    slices, members = [], list(mh.members(data))
    for member in members:
        head, _ = mh.header(member.data)
        if (head.cpu, head.subtype & mh.SUBTYPE_MASK) != (member.cpu, member.subtype & mh.SUBTYPE_MASK):
            raise malformed("a slice is for another processor than the universal header says")
        slices.append(_slice(member.data, member.offset))
    stray = mh.stray_bytes(data, members)
    problems = (f"appended-data: {stray:,} bytes that belong to no slice",) if stray else ()
    return Image(format="mach-o", slices=tuple(slices), problems=problems)


def _slice(data: memoryview, offset: int = 0) -> Slice:
    head, listed = mh.header(data)
    found = mc.commands(head, listed, data)
    named = names(head, found, data)
    return Slice(
        format="mach-o",
        arch=_arch(head),
        bits=head.bits,
        byte_order=head.byte_order,
        system=_platform(found.builds[0][0]) if found.builds else "macos",
        kind=_KINDS.get(head.file_type, f"type-{head.file_type}"),
        linkage=_linkage(head, found),
        entry=_entry(found),
        data=data,
        segments=tuple(_segment(head, segment) for segment in found.segments),
        sections=tuple(
            Section(
                name=section.name,
                address=section.address,
                size=section.size,
                offset=section.offset,
                executable=bool(section.flags & _CODE_ATTRIBUTES),
            )
            for section in found.sections
        ),
        libraries=tuple(found.libraries),
        rpaths=tuple(found.rpaths),
        imports=named.imports,
        symbols=named.symbols,
        traits=_traits(head, found, named.imports),
        signature_range=found.signature,
        offset=offset,
    )


def _arch(head: mh.Header) -> str:
    if head.cpu == _ARM64 and head.subtype & mh.SUBTYPE_MASK == _ARM64E:
        return "arm64e"
    return _ARCHES.get(head.cpu, f"cpu-{head.cpu:#x}")


def _platform(number: int) -> str:
    return _PLATFORMS.get(number, f"platform-{number}")


def _linkage(head: mh.Header, found: mc.Commands) -> Linkage | None:
    if head.file_type in _UNLINKED:
        return None
    return "dynamic" if found.dylinker or found.libraries or head.flags & _DYLDLINK else "static"


def _entry(found: mc.Commands) -> int:
    """The address of the first instruction; 0 where the file has none.

    ``LC_MAIN`` counts from where the header is in memory (dyld, ``Header::getEntry``), whatever that segment's name is.
    """
    if found.entry_offset is None:
        return found.program_counter or 0
    start = next((segment.address for segment in found.segments if not segment.offset and segment.file_size), None)
    if start is None or Memory(found.segments).stored(start + found.entry_offset) is None:
        raise malformed("the entry point lies outside of the code")
    return start + found.entry_offset


def _segment(head: mh.Header, segment: MachSegment) -> Segment:
    """A segment as it is loaded; an object file has one with all rights, which the linker takes apart."""
    return Segment(
        name=segment.name,
        address=segment.address,
        memory_size=segment.memory_size,
        offset=segment.offset,
        file_size=min(segment.file_size, segment.memory_size),
        readable=bool(segment.protection & _VM_READ),
        writable=bool(segment.protection & _VM_WRITE) and head.file_type != mh.OBJECT,
        executable=bool(segment.protection & _VM_EXECUTE),
    )


def _traits(head: mh.Header, found: mc.Commands, imports: tuple[Import, ...]) -> dict[str, bool | int | str]:
    both = _VM_WRITE | _VM_EXECUTE
    traits: dict[str, bool | int | str] = {
        "pie": bool(head.flags & _PIE) or head.file_type in {mh.DYLIB, mh.BUNDLE},
        "allow_stack_execution": bool(head.flags & _ALLOW_STACK_EXECUTION),
        "no_heap_execution": bool(head.flags & _NO_HEAP_EXECUTION),
        "encrypted": found.encrypted or any(segment.encrypted for segment in found.segments),
        "rwx_segment": head.file_type != mh.OBJECT
        and any(segment.protection & both == both for segment in found.segments),
        **import_traits(imports),
    }
    if found.uuid is not None:
        traits["uuid"] = found.uuid
    if found.dyld_environment:
        traits["dyld_environment"] = "\n".join(found.dyld_environment)
    if found.builds:
        _, minimum, sdk, tools = found.builds[0]
        traits["platforms"] = " ".join(_platform(build[0]) for build in found.builds)
        traits["minimum_os"] = mc.version(minimum)
        if sdk:  # 0.0 is what linkers write that have none
            traits["sdk"] = mc.version(sdk)
        if tools:
            traits["toolchain"] = tools
    return traits
