"""The rights that a PE file's manifest asks Windows for.

Microsoft, "PE Format", "The .rsrc Section", and "Application manifests", ``requestedExecutionLevel``. A tree that leads
outside of the stored bytes says nothing there: Windows finds no manifest in it either.
"""

import re
from collections.abc import Callable, Iterator
from itertools import islice

_DIRECTORY, _ENTRY = 16, 8
_MANIFEST = 24
_BELOW = 1 << 31
_MAX_MANIFESTS = 64
"""Of all languages; Windows takes one for programs and one for libraries."""
_MAX_BYTES = 1 << 20
"""Of all of them."""
_ENCODINGS = {
    **dict.fromkeys((b"\xff\xfe", b"<\0"), "utf-16-le"),
    **dict.fromkeys((b"\xfe\xff", b"\0<"), "utf-16-be"),
}
"""First bytes of a manifest that is not UTF-8."""
_ASKED = re.compile(r"<(?:[\w.-]+:)?requestedExecutionLevel\b([^>]*)", re.IGNORECASE)
_LEVEL = re.compile(r"\blevel\s*=\s*[\"']([^\"']*)", re.IGNORECASE)
_UNREAD = "unread"
_LEVELS = ("asInvoker", "highestAvailable", "requireAdministrator", _UNREAD)

Stored = Callable[[int], memoryview | None]
"""What the file stores from an address on that counts from its beginning in memory."""


def execution_level(tree: memoryview, stored: Stored) -> str | None:
    """The most that any of its manifests asks for; "unread" for what is not understood, None where none asks."""
    places = [below for kind, below in _entries(tree, 0) if kind == _MANIFEST]
    for _ in ("names", "languages"):
        if len(places) > _MAX_MANIFESTS:
            return _UNREAD
        places = [below for at in places for _, below in islice(_entries(tree, at), _MAX_MANIFESTS + 1)]
    found = [_content(tree, leaf, stored) for leaf in places]
    if len(found) > _MAX_MANIFESTS or sum(map(len, found)) > _MAX_BYTES:
        return _UNREAD
    asked = [level for content in found for level in _asked(bytes(content))]
    return max(asked, key=_LEVELS.index, default=None)


def _asked(content: bytes) -> Iterator[str]:
    text = content.decode(_ENCODINGS.get(content[:2], "utf-8"), "replace")
    for attributes in _ASKED.findall(text):
        # of several, which may stand in another attribute's text, any may be the one that counts
        for said in _LEVEL.findall(attributes) or (_UNREAD,):
            yield next((level for level in _LEVELS if said.lower() == level.lower()), _UNREAD)


def _content(tree: memoryview, leaf: int, stored: Stored) -> memoryview:
    address, size = (int.from_bytes(tree[leaf + at : leaf + at + 4], "little") for at in (0, 4))
    return (stored(address) or memoryview(b""))[:size]


def _entries(tree: memoryview, at: int) -> Iterator[tuple[int, int]]:
    """Number or name of each entry of a directory, and where what it stands for begins."""
    count = sum(int.from_bytes(tree[at + field : at + field + 2], "little") for field in (12, 14))
    rows = tree[at + _DIRECTORY : at + _DIRECTORY + count * _ENTRY]
    for row in range(0, len(rows) - _ENTRY + 1, _ENTRY):
        yield int.from_bytes(rows[row : row + 4], "little"), int.from_bytes(rows[row + 4 : row + 8], "little") % _BELOW
