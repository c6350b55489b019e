"""Where a program asks for memory that can be executed: what runs there later is not in its file."""

from collections.abc import Iterator
from itertools import chain

from binsafe.extractors.capabilitynames import CODE_MAKERS
from binsafe.extractors.claims import STATIC
from binsafe.extractors.names import plain_name
from binsafe.extractors.subject import Subject
from binsafe.formats.callsites import call_sites, constant_argument
from binsafe.model import Evidence, Slice

_FROM_ANYWHERE = "mmap"
"""Of which glibc itself never asks it with a constant, as it does of mprotect (relocation of code, the stack)."""
_FUNCTION = 24
"""Bytes that a C library's function has before it enters the kernel: glibc tests the offset of a mapping."""
_DETAIL = "asks for memory that can be executed"


def code_making(subject: Subject) -> Iterator[Evidence]:
    """The calls that plainly ask for it; those of its loader and its libraries are not its own."""
    slice_ = subject.slice
    for entry in slice_.imports:
        maker = plain_name(entry.name, slice_.format)
        sites = subject.sites.get(entry.address, ()) if entry.address is not None else ()
        for site in sites:
            if _asks(slice_, site, maker):
                yield Evidence(via="import", address=hex(site), symbol=entry.name, detail=_DETAIL)
    for maker in CODE_MAKERS:
        places = [int(place, 16) for place in subject.direct_calls.get(maker, ())]
        for site in (*places, *(_callers(subject, places) if maker == _FROM_ANYWHERE else ())):
            if _asks(slice_, site, maker):
                yield Evidence(via="syscall", address=hex(site), symbol=maker, detail=_DETAIL)


def unclear_makers(subject: Subject) -> list[str]:
    """The imported functions that are asked for memory in a way that does not plainly say what it is for."""
    slice_ = subject.slice
    named = ((plain_name(entry.name, slice_.format), entry.address) for entry in slice_.imports)
    asked = {maker: subject.sites.get(address or 0, ()) for maker, address in named if maker in CODE_MAKERS}
    return sorted(
        maker
        for maker, sites in asked.items()
        if not sites or any(constant_argument(slice_, site, CODE_MAKERS[maker][0]) is None for site in sites)
    )


def _callers(subject: Subject, places: list[int]) -> Iterator[int]:
    """Where a static program calls the functions, few instructions long, that make a call for it."""
    if places and subject.slice.linkage in STATIC and not subject.is_go:
        begins = (address for place in places for address in range(place - _FUNCTION, place + 1))
        yield from chain.from_iterable(call_sites(subject.slice, begins).values())


def _asks(slice_: Slice, site: int, maker: str) -> bool:
    number, executable = CODE_MAKERS.get(maker, (0, 0))
    return bool((constant_argument(slice_, site, number) or 0) & executable)
