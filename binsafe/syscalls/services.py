"""What a static program of glibc loads nevertheless: the name services of its system, and all libraries below them.

``getpwnam``, ``getaddrinfo`` and their like load ``libnss_NAME.so.2`` for each service that is configured, by names
that the code builds (``nss/nss_module.c``), and look functions up in them by names that stand in the file.
"""

import msgspec
import numpy as np

from binsafe.model import Slice, Syscalls
from binsafe.syscalls.conventions import CONVENTIONS
from binsafe.syscalls.decoding.code import HIGHEST_ADDRESS
from binsafe.syscalls.dynamic import analyse_dynamic
from binsafe.syscalls.glibc import begins_of_names, configured, names_asked_for, table_of_names
from binsafe.syscalls.linking.exports import Exports
from binsafe.syscalls.linking.provider import Libraries
from binsafe.syscalls.linking.summary import Passed, Summary, Text


def with_services(slice_: Slice, alone: Syscalls, libraries: Libraries) -> Syscalls:
    """What is known of the program ``alone``, and what the name services do that it can load."""
    stand_in = _loading(slice_, configured(libraries.name_services()))
    loaded = analyse_dynamic(lambda _: stand_in, libraries, explain=None)
    return msgspec.structs.replace(
        alone,
        complete=not alone.unresolved and loaded.complete,
        required=tuple(sorted({*alone.required, *loaded.required})),
        likely=tuple(sorted({*alone.likely, *loaded.likely})),
        unresolved=(*alone.unresolved, *loaded.unresolved),
        open_set=loaded.open_set,
    )


def _loading(slice_: Slice, names: set[str]) -> Summary:
    """A program that does nothing but load these libraries and look up what the file names."""
    first = CONVENTIONS[slice_.arch].arguments[0]
    loaded = (bytes(slice_.data[each.offset :][: each.file_size]) for each in slice_.segments)
    asked = sorted({name for data in loaded for name in _asked(data)})
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


def _asked(data: bytes) -> set[str]:
    """The names that stand in a part of the file, but those that do only in glibc's own table of all."""
    named = dict(names_asked_for(data, begins_of_names(data)))
    return {named[at] for at in named.keys() - table_of_names(named.keys())}
