"""A Mach-O slice -> Syscalls: the calls behind what it imports from libSystem, and those that it makes itself.

These are facts for the report. The list is complete only for a program that loads nothing and whose every number could
be told: all others run dyld and libraries whose code is not in the file, and those are named in ``open_set``.
"""

from collections.abc import Iterable, Iterator

from binsafe.limits import MAX_EVIDENCE
from binsafe.model import Import, Slice, Syscalls, Unresolved
from binsafe.syscalls.darwin import direct
from binsafe.syscalls.darwin.tables import Table, table
from binsafe.syscalls.dataflow.wrappers import Gap, Number

_LIBSYSTEM = (
    "/usr/lib/libSystem.",
    "/usr/lib/system/",
    "/usr/lib/libresolv.",
    "/usr/lib/libpthread.",
    "/usr/lib/libc.",
)
"""Libraries whose functions the table lists; a program may have its own ``write`` in any other."""
_LINKER = "/usr/lib/dyld"
_UNKNOWN_SHOWN = 50
_INDIRECT = "syscall"
"""Call 0, and the function of that name: the number to call is their first argument."""


def analyse_macho(slice_: Slice, *, max_instructions: int) -> Syscalls | None:
    """See `binsafe.syscalls.analyse`; None for other processors and for files that are not linked yet."""
    machine = direct.MACHINES.get(slice_.arch)
    if machine is None or slice_.linkage is None:
        return None
    known = table()
    numbers, gaps = direct.find(slice_, machine, max_instructions=max_instructions)
    sites: dict[str, dict[int, None]] = {}
    # The program's own come first, so that the cap on places shown never hides them behind imports.
    for call, address in (*sorted(_made(slice_, known, numbers)), *_imported(slice_, known)):
        places = sites.setdefault(call, {})
        if address is not None:
            places[address] = None
    if _INDIRECT in sites:
        gaps |= {
            Gap(address, "an indirect call: its number is an argument") for address in sites[_INDIRECT] or {0: None}
        }
    opened = tuple(_open_set(slice_, known))
    required = tuple(sorted(sites))
    return Syscalls(
        abi=machine.abi,
        complete=not gaps and not opened,
        required=required,
        likely=required,
        unresolved=tuple(Unresolved(address=hex(gap.address), reason=gap.reason) for gap in sorted(gaps)),
        open_set=opened,
        sites={
            call: tuple(map(hex, sorted(places)[:MAX_EVIDENCE])) for call, places in sorted(sites.items()) if places
        },
    )


def _imported(slice_: Slice, known: Table) -> Iterator[tuple[str, int | None]]:
    """Calls behind imports, each with the stub or pointer that the function is reached through."""
    for entry in slice_.imports:
        for call in (known.behind(entry.name, slice_.arch) if _is_libsystem(entry) else None) or ():
            yield call, entry.address


def _made(slice_: Slice, known: Table, numbers: Iterable[Number]) -> Iterator[tuple[str, int]]:
    """Calls that the program makes itself; a number that the kernel does not have fails there, and is left out."""
    for number in numbers:
        call = direct.name(known, slice_.arch, number.value)
        if call is not None:
            yield call, number.address


def _open_set(slice_: Slice, known: Table) -> Iterator[str]:
    """Code that runs with the program and is not in its file, and functions that the table does not have."""
    if slice_.linkage == "dynamic":
        yield _LINKER
    yield from (library.name for library in slice_.libraries if not library.name.startswith(_LIBSYSTEM))
    unknown = sorted(
        {
            entry.name
            for entry in slice_.imports
            if _is_libsystem(entry) and known.behind(entry.name, slice_.arch) is None
        }
    )
    yield from (f"function {name}" for name in unknown[:_UNKNOWN_SHOWN])
    if len(unknown) > _UNKNOWN_SHOWN:
        yield f"{len(unknown) - _UNKNOWN_SHOWN:,} more functions"


def _is_libsystem(entry: Import) -> bool:
    """Whether the table speaks of this import: the flat name space may mean any library, so libSystem's too."""
    return entry.library is None or entry.library.startswith(_LIBSYSTEM)
