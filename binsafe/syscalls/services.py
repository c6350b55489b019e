"""What a static program of glibc loads nevertheless: the name services of its system, and all libraries below them.

``getpwnam``, ``getaddrinfo`` and their like load ``libnss_NAME.so.2`` for each service that is configured, by names
that the code builds (``nss/nss_module.c``), and look functions up in them by names that stand in the file.
"""

from collections.abc import Collection, Iterator

import msgspec
import numpy as np

from binsafe.formats.structure import find_all
from binsafe.model import Slice, Syscalls
from binsafe.syscalls.controlflow.index import pieces
from binsafe.syscalls.conventions import CONVENTIONS
from binsafe.syscalls.decoding.code import HIGHEST_ADDRESS, Code
from binsafe.syscalls.dynamic import analyse_dynamic
from binsafe.syscalls.glibc import begins_of_names, configured, names_asked_for, table_of_names
from binsafe.syscalls.linking.exports import Exports
from binsafe.syscalls.linking.provider import Libraries
from binsafe.syscalls.linking.summary import Passed, Summary, Text
from binsafe.syscalls.machines.machine import Machine
from binsafe.syscalls.sets import among

_TITLES = (b"_nss_files_", b"_nss_dns_")
"""How the names of functions begin that glibc has of services: an assertion in one says its name."""
_MOST_TITLES = 64
"""Titles for which it is asked whether anything leads to their ends: glibc has one or two."""


def with_services(slice_: Slice, machine: Machine, alone: Syscalls, libraries: Libraries) -> Syscalls:
    """What is known of the program ``alone``, and what the name services do that it can load."""
    stand_in = _loading(slice_, machine, configured(libraries.name_services()))
    loaded = analyse_dynamic(lambda _: stand_in, libraries, explain=None)
    return msgspec.structs.replace(
        alone,
        complete=not alone.unresolved and loaded.complete,
        required=tuple(sorted({*alone.required, *loaded.required})),
        likely=tuple(sorted({*alone.likely, *loaded.likely})),
        unresolved=(*alone.unresolved, *loaded.unresolved),
        open_set=loaded.open_set,
    )


def _loading(slice_: Slice, machine: Machine, names: set[str]) -> Summary:
    """A program that does nothing but load these libraries and look up what the file names."""
    first = CONVENTIONS[slice_.arch].arguments[0]
    asked = sorted(_asked(slice_, machine))
    return Summary(
        arch=slice_.arch,
        functions=1,
        starts=np.array([min(slice_.entry, HIGHEST_ADDRESS)], np.int64).tobytes(),
        firsts=np.zeros(2, np.int32).tobytes(),
        targets=b"",
        entry=0,
        mapped=False,
        roots=np.zeros(1, np.int32).tobytes(),
        imports=(),
        exports=Exports(),
        calls=(),
        gaps=(),
        wrappers=(),
        passed=tuple(Passed("dlopen", first, 0, slice_.entry, None, name) for name in sorted(names)),
        texts=tuple(Text(0, name) for name in asked),
        fatal=(),
    )


def _asked(slice_: Slice, machine: Machine) -> set[str]:
    """The names that stand in the program, but those that do only in glibc's own table of all, or in titles."""
    asked: set[str] = set()
    titled: dict[int, str] = {}
    for segment in slice_.segments:
        data = bytes(slice_.data[segment.offset :][: segment.file_size])
        named = dict(names_asked_for(data, begins_of_names(data)))
        for at in named.keys() - table_of_names(named.keys()):
            known = machine.names_absolutely and segment.address + at <= HIGHEST_ADDRESS and len(titled) < _MOST_TITLES
            if known and data.endswith(_TITLES, 0, at):
                titled[segment.address + at] = named[at]
            else:
                asked.add(named[at])
    return asked | {titled[address] for address in _led_to(slice_, machine, titled)}


def _led_to(slice_: Slice, machine: Machine, addresses: Collection[int]) -> Iterator[int]:
    """Those of some addresses that an instruction or a word names, or bytes that look like one.

    The linker makes one string of two of which one ends like the other.
    """
    wanted = np.array(sorted(addresses), np.int64)
    for piece in pieces(Code(slice_).ranges) if len(wanted) else ():
        targets = machine.references(piece, fixed=False).targets
        yield from targets[among(targets, wanted)].tolist()
    for address in wanted.tolist():
        if next(find_all(slice_.data, (address & 0xFFFF_FFFF).to_bytes(4, "little")), None) is not None:
            yield address
