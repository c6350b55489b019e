"""The import directories of PE as the loader walks them: which libraries they name, and how much they ask for.

LIEF reads the entries; this is the check before it. Many descriptors may share one list of names, so that a file of
100 KB can ask for millions of imports.
"""

from collections.abc import Iterator

import numpy as np

from binsafe.formats import pe_headers as ph
from binsafe.formats.structure import Memory, Reader, malformed, text
from binsafe.model import Segment

_DESCRIPTORS = {ph.IMPORT: (20, 12, 0, 16), ph.DELAY_IMPORT: (32, 4, 16, 12)}
"""Directory -> size of its descriptors, and where in one are: the library's name, its list of names, its IAT."""
_MAX_LIBRARIES = 4_096
_MAX_IMPORTS = 262_144
_CHUNK = 1_024


def declared_libraries(head: ph.Header, reader: Reader, memory: Memory[Segment]) -> tuple[str, ...]:
    """The names of all libraries that the loader is asked for, at load time or later; empty for one without a name.

    Raises:
        NotAnalysable: a directory lies outside of the stored bytes, or asks for more than any program does.
    """
    names: list[str] = []
    imports = 0
    for directory in _DESCRIPTORS:
        for name, count in _walk(head, reader, memory, directory):
            names.append(name)
            imports += count
            if len(names) > _MAX_LIBRARIES or imports > _MAX_IMPORTS:
                raise malformed("it asks for more imports than any program does")
    return tuple(names)


def _walk(head: ph.Header, reader: Reader, memory: Memory[Segment], directory: int) -> Iterator[tuple[str, int]]:
    """Name and number of imports per descriptor, up to the one without a name; the directory's size is not obeyed."""
    rva, length = head.directory(directory)
    size, name_at, names_at, table_at = _DESCRIPTORS[directory]
    while length:
        place = memory.stored(head.image_base + rva)
        if place is None:
            raise malformed("its import table lies outside of the stored bytes")
        name, names, table = (reader.unpack("I", place[0] + at, "imports")[0] for at in (name_at, names_at, table_at))
        if name == 0 or table == 0:
            return
        at = memory.stored(head.image_base + name)
        yield "" if at is None else text(reader.data, at[0]), _length(head, reader, memory, names or table)
        rva += size


def _length(head: ph.Header, reader: Reader, memory: Memory[Segment], rva: int) -> int:
    """How many words stand before the first 0, or before the stored bytes end: what follows them is 0."""
    place = memory.stored(head.image_base + rva)
    if place is None:
        return 0
    start, end = place
    words = np.frombuffer(reader.data[start:end], dtype=f"<u{head.bits // 8}", count=(end - start) // (head.bits // 8))
    for first in range(0, min(len(words), _MAX_IMPORTS), _CHUNK):
        zeros = np.flatnonzero(words[first : first + _CHUNK] == 0)
        if len(zeros):
            return first + int(zeros[0])
    return len(words)
