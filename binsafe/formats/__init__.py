"""Bytes -> Image: what an executable says of itself, checked by our own rules.

    identify.py     which format the first bytes claim
    structure.py    bounds, and the errors for bytes that break them
    elf* macho* pe* one format each: ``*_headers`` decides what is valid, the rest fills in the Slice
    references.py   the addresses that code and data name
    stubs.py        the code that calls through a linkage table; callsites.py, where that is called
    symbols.py      symbol tables
    traits.py       traits that imports show, in ELF and Mach-O alike
    gopclntab.py    Go's own function table
    cli_metadata.py what .NET programs refer to
    eh_frame.py     what the unwinder is told: where functions start and end
    eh_frame_hdr.py its index of them; eh_pointers.py, how its tables write numbers
    exception_table.py  where exceptions are caught, and out of which code
    _lief.py        the one door to LIEF: dynamic symbols and relocations of ELF, which each processor has its own of

LIEF copies a file and makes an object of all that is in it: 584 MB and 1.6 s for a Mach-O of 147 MB, and its import
alone takes longer than most files. So it is asked only where it adds something; imports, bindings and exports of Mach-O
and PE, which are the same for all processors, are walked here as the loaders walk them.

A file that does not hold what its headers promise is refused, not repaired: segments outside of the file or over each
other, load commands of size 0, slices that overlap. What a loader does not need (an ELF's section table) may be wrong;
the wrong part is left out and ``problems`` has a line that begins with the finding's id: ``"section-table: ..."``.

Traits of a Slice, by format. Where one is missing, the format does not say.

======= ======================= ======= ==============================================================================
format  trait                   type    meaning
======= ======================= ======= ==============================================================================
elf     pie                     bool    can be loaded anywhere (type ``ET_DYN``)
elf     executable_stack        bool    ``PT_GNU_STACK`` asks for it, or is missing (then the kernel's age decides)
elf     relro                   bool    ``PT_GNU_RELRO`` has whole pages of a segment write-protected
elf     relro_got               bool    ``DT_PLTGOT``, the table of functions, is in them, or there is none
elf     bind_now                bool    ``DT_BIND_NOW``, ``DF_BIND_NOW`` or ``DF_1_NOW``
elf     textrel                 bool    relocations change read-only segments
elf     rwx_segment             bool    a segment is writable and executable
elf     interpreter             str     path of the program loader (``PT_INTERP``)
elf     soname                  str     the library's own name
elf     rpath_current_folder    bool    ``DT_RPATH`` or ``DT_RUNPATH`` has an empty entry
elf     ibt, shadow_stack       bool    x86: property notes say that Intel CET may be used; arm64: ``bti``, ``pac``
elf     build_id                str     ``NT_GNU_BUILD_ID`` as hex
elf     osabi, machine          int     ``EI_OSABI``, ``e_machine``
mach-o  pie                     bool    ``MH_PIE``, or a library or bundle
mach-o  allow_stack_execution   bool    ``MH_ALLOW_STACK_EXECUTION``
mach-o  no_heap_execution       bool    ``MH_NO_HEAP_EXECUTION``
mach-o  encrypted               bool    ``LC_ENCRYPTION_INFO`` with a cipher, or a segment that the kernel decrypts
mach-o  rwx_segment             bool    a segment may become writable and executable from the start
mach-o  dyld_environment        str     ``LC_DYLD_ENVIRONMENT``: what dyld is told beside the environment
mach-o  uuid                    str     ``LC_UUID``, in its usual form
mach-o  platforms               str     all platforms it was built for, separated by blanks
mach-o  sdk, minimum_os         str     versions of ``LC_BUILD_VERSION`` or ``LC_VERSION_MIN_*``
mach-o  toolchain               str     tools of ``LC_BUILD_VERSION`` with versions
pe      dynamic_base            bool    ASLR: the flag is set and relocations were not stripped
pe      high_entropy_va, nx_compat, force_integrity, no_seh, guard_cf, app_container: bool, ``DllCharacteristics``
pe      security_cookie         bool    the load configuration names a stack cookie
pe      guard_table             bool    the load configuration has the table of functions that Control Flow Guard needs
pe      cet_compat              bool    the debug directory says that shadow stacks may be used
pe      safe_seh                bool    i386 only: a table of exception handlers, or none are used
pe      subsystem               str     ``console``, ``gui``, ``native``, ``efi-application``, ...
pe      dotnet                  bool    has a CLI header
pe      uuid                    str     identity shared with the debugging symbols (CodeView)
pe      toolchain               str     linker's version; newest compiler of the "Rich" header
pe      resources               int     where the resources begin in memory, 0 for none
pe      execution_level         str     ``requestedExecutionLevel`` of its manifest; ``unread`` where that is unclear
pe      coff_symbols_end        int     where the symbols of GNU's and Go's linkers end in the file, 0 for none
pe      rwx_segment             bool    a section is writable and executable
elf, mach-o  stack_canary       bool    imports the function that is called when a stack frame was overwritten
elf, mach-o  fortified_imports  int     imported functions that check their buffers (``__memcpy_chk``)
======= ======================= ======= ==============================================================================
"""

import importlib
from collections.abc import Mapping
from types import MappingProxyType

from binsafe.errors import NotAnalysable
from binsafe.formats.identify import HEAD_BYTES, Kind, identify, interpreter
from binsafe.limits import MAX_ARTIFACT_BYTES
from binsafe.model import Image

__all__ = ["FORMATS", "HEAD_BYTES", "identify", "not_executable", "parse", "stranger"]

FORMATS: Mapping[Kind, str] = MappingProxyType({"elf": "elf", "mach-o": "macho", "pe": "pe"})
"""Format -> the module here whose ``read`` makes an Image of it, loaded when a file of that format is met."""


_OTHERS = {
    b"\0asm": "a WebAssembly module",
    b"\xca\xfe\xba\xbe": "a Java class",
    b"dex\n": "code for Android's runtime (DEX)",
    b"\x01\xdf\0": "a program for AIX (XCOFF)",
    b"\x01\xf7\0": "a program for AIX (XCOFF)",
}
"""What people take for executables and is not read here, by its first bytes."""


def parse(data: memoryview) -> Image:
    """The Image of an executable; its slices hold views of ``data``, not copies.

    Raises:
        NotAnalysable: empty, a script, an archive, unknown, cut off or malformed; ``finding`` says which.
    """
    data = data.cast("B") if data.format != "B" or data.ndim != 1 else data
    if not len(data):
        raise NotAnalysable("the file is empty", hint="fetch it again", finding="empty")
    if len(data) > MAX_ARTIFACT_BYTES:
        raise NotAnalysable(
            f"the file has {len(data):,} bytes, more than {MAX_ARTIFACT_BYTES:,}",
            hint="nothing of that size is looked at",
            finding="too-large",
        )
    kind = identify(data)
    if kind not in FORMATS:
        raise not_executable(kind, data)
    image: Image = importlib.import_module(f"binsafe.formats.{FORMATS[kind]}").read(data)
    return image


def not_executable(kind: Kind, data: bytes | memoryview) -> NotAnalysable:
    """Why a file of another kind is not analysed; the first 512 bytes are enough."""
    if kind == "script":
        name = interpreter(data) or "no interpreter at all"
        return NotAnalysable(
            f"the file is a script for {name}, not an executable",
            hint="read it; what it does is in its text, and what runs is its interpreter",
            finding="script",
        )
    if kind == "archive":
        return NotAnalysable(
            "the file is an archive, not an executable",
            hint="unpack it and inspect what is in it",
            finding="archive",
        )
    other = stranger(data)
    if other is not None:
        return NotAnalysable(
            f"the file is {other}, no ELF, Mach-O or PE executable",
            hint="nothing is known about it; such files are not read here",
            finding="unknown-format",
        )
    return NotAnalysable(
        "the file is no ELF, Mach-O or PE executable",
        hint="nothing is known about it; its first bytes are of no format that is read here",
        finding="unknown-format",
    )


def stranger(head: bytes | memoryview) -> str | None:
    """What a file is that can be run and is not read here, by its first bytes; None where they are of no such kind."""
    return next((name for magic, name in _OTHERS.items() if bytes(head[: len(magic)]) == magic), None)
