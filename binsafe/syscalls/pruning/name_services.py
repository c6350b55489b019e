"""The resolver in static programs of glibc that look up users and groups, and no hosts: it is linked, and never asked.

Since version 2.34 the services ``files`` and ``dns`` are part of glibc. One function puts the addresses of all that a
service can do into a table (``__nss_dns_functions`` in ``resolv/nss_dns_functions.c``, its address is given by
``module_load`` in ``nss/nss_module.c``), and these are found there by their names alone, which stand in an array
(``__nss_module_get_function``). The names are constants of glibc's functions that look something up
(``nss/getXXbyYY_r.c``, ``nss/getaddrinfo.c``). Where those of hosts and networks stand nowhere but in that array,
nothing that ``dns`` can do is ever called by way of the table. Built differently the function is not known, and nothing
is left out.
"""

import re
from collections.abc import Callable, Iterable, Iterator

from binsafe.formats.eh_frame import Extent, Frames
from binsafe.formats.structure import find_all
from binsafe.syscalls.controlflow.program import Program

_LENGTH = 19
"""Bytes of each name, filled up with zeros (``function_name`` in ``nss/nss_module.c``)."""
_FIRST = b"endaliasent".ljust(_LENGTH, b"\0") + b"endetherent".ljust(_LENGTH, b"\0")
_MOST = 128
_RESOLVED = re.compile(rb"(?:get(?:host|net)by\w+|getcanonname_r)\0")
"""What the service ``dns`` can do, see ``resolv/nss_dns``."""
_DNS = b"dns\0"
_TITLES = (b"_nss_dns_", b"_nss_files_")
_FEWEST = 4
"""Functions that are named where a table is filled."""


def unasked(program: Program, told: Frames, naming: Callable[[int, int], Iterable[int]]) -> Extent | None:
    """The function that gives the addresses of what ``dns`` can do, where nobody asks for it; None else.

    ``naming`` gives where code names a place between two.
    """
    arrays = [*_occurrences(program, _FIRST)]
    if len(arrays) != 1:
        return None
    names = _names(program, arrays[0])
    end = arrays[0] + _LENGTH * len(names)
    resolved = [name for name in names if _RESOLVED.fullmatch(name)]
    asked = (address for name in resolved for address in _occurrences(program, name) if not arrays[0] <= address < end)
    if any(not _is_title(program, address) or any(naming(address, address + 1)) for address in asked):
        return None
    return _filling(program, told, arrays[0], len(resolved))


def _occurrences(program: Program, text: bytes) -> Iterator[int]:
    """Addresses in the program's memory at which a text stands."""
    for segment in program.slice.segments:
        data = program.slice.data[segment.offset : segment.offset + segment.file_size]
        yield from (segment.address + at for at in find_all(data, text))


def _is_title(program: Program, address: int) -> bool:
    """Whether a name is the end of a function's own, which an assertion in it says; no pointer leads to it."""
    titled = any(program.slice.read(address - len(title), len(title)) == title for title in _TITLES)
    return titled and not any(program.pointers.to(address))


def _names(program: Program, array: int) -> list[bytes]:
    """What stands in the array, each with one zero."""
    found: list[bytes] = []
    for at in range(array, array + _LENGTH * _MOST, _LENGTH):
        name, _, rest = program.slice.read(at, _LENGTH).partition(b"\0")
        if not re.fullmatch(rb"[a-z]\w+", name) or rest.strip(b"\0"):
            break
        found.append(name + b"\0")
    return found


def _filling(program: Program, told: Frames, array: int, resolved: int) -> Extent | None:
    """The smaller one of the two functions that ``module_load`` names and that name many themselves."""
    loading = {told.holding(source) for source, target, _ in program.references.into(array, array + 1)}
    for extent in loading - {None}:
        named = [] if extent is None else _named(program, extent)
        if extent is None or not any(program.slice.read(place, len(_DNS)) == _DNS for place in named):
            continue
        filling = [each for place in named if (each := _function(told, place)) is not None]
        counts = sorted((len(_functions(program, told, each)), each) for each in filling)
        many = [(count, each) for count, each in counts if count >= _FEWEST]
        if len(many) == 2 and many[0][0] <= resolved < many[1][0] and _is_led_to_by(program, many[0][1], extent):
            return many[0][1]
    return None


def _named(program: Program, extent: Extent) -> list[int]:
    """The places that a function names, by their distance."""
    references = program.references
    inside = (references.sources >= extent.start) & (references.sources < extent.end)
    return sorted({*references.targets[inside].tolist()})


def _function(told: Frames, place: int) -> Extent | None:
    extent = told.holding(place)
    return extent if extent is not None and extent.start == place else None


def _functions(program: Program, told: Frames, extent: Extent) -> list[int]:
    return [place for place in _named(program, extent) if _function(told, place) not in {None, extent}]


def _is_led_to_by(program: Program, extent: Extent, other: Extent) -> bool:
    """Whether nothing leads to a function but the address of it that one other gives."""
    called = any(any(index.into(extent.start, extent.end)) for index in (program.calls, program.jumps))
    named = (source for source, _, _ in program.references.into(extent.start, extent.end))
    return not called and all(
        other.start <= source < other.end for source in named if not extent.start <= source < extent.end
    )
