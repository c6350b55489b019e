"""The rights that a PE file's manifest asks Windows for.

Microsoft, "PE Format", "The .rsrc Section", and "Application manifests", ``requestedExecutionLevel``. A tree that leads
outside of the stored bytes says nothing there: Windows finds no manifest in it either.
"""

import re
from collections.abc import Callable, Iterator

_DIRECTORY, _ENTRY = 16, 8
_MANIFEST = 24
_BELOW = 1 << 31
_MAX_ENTRIES = 64
"""Manifests, and languages of one, that are looked at; Windows takes one for programs and one for libraries."""
_MAX_BYTES = 1 << 20
_ENCODINGS = {b"\xff\xfe": "utf-16-le", b"\xfe\xff": "utf-16-be"}
_ASKED = re.compile(r"<(?:[\w.-]+:)?requestedExecutionLevel\b([^>]*)", re.IGNORECASE)
_LEVEL = re.compile(r"\blevel\s*=\s*[\"'](\w+)[\"']", re.IGNORECASE)
_LEVELS = ("asInvoker", "highestAvailable", "requireAdministrator", "unread")

Stored = Callable[[int], memoryview | None]
"""What the file stores from an address on that counts from its beginning in memory."""


def execution_level(tree: memoryview, stored: Stored) -> str | None:
    """The most that any of its manifests asks for; "unread" for what is not understood, None where none asks."""
    asked = [_level(attributes) for text in _manifests(tree, stored) for attributes in _ASKED.findall(text)]
    return max(asked, key=_LEVELS.index, default=None)


def _level(attributes: str) -> str:
    said = _LEVEL.search(attributes)
    return next((level for level in _LEVELS if said and said[1].lower() == level.lower()), _LEVELS[-1])


def _manifests(tree: memoryview, stored: Stored) -> Iterator[str]:
    for kind, names in _entries(tree, 0):
        for _, languages in _entries(tree, names) if kind == _MANIFEST else ():
            for _, leaf in _entries(tree, languages):
                address, size = (int.from_bytes(tree[leaf + at : leaf + at + 4], "little") for at in (0, 4))
                content = bytes((stored(address) or b"")[: min(size, _MAX_BYTES)])
                yield content.decode(_ENCODINGS.get(content[:2], "utf-8"), "replace")


def _entries(tree: memoryview, at: int) -> Iterator[tuple[int, int]]:
    """Number or name of each entry of a directory, and where what it stands for begins."""
    count = sum(int.from_bytes(tree[at + field : at + field + 2], "little") for field in (12, 14))
    rows = tree[at + _DIRECTORY : at + _DIRECTORY + min(count, _MAX_ENTRIES) * _ENTRY]
    for row in range(0, len(rows) - _ENTRY + 1, _ENTRY):
        yield int.from_bytes(rows[row : row + 4], "little"), int.from_bytes(rows[row + 4 : row + 8], "little") % _BELOW
