"""ar archives: Debian packages (deb(5)) and static libraries (ar(5); GNU's and BSD's long names)."""

import re
from collections import Counter
from collections.abc import Iterator

from binsafe.containers.budget import Budget
from binsafe.containers.entries import Entry, Trouble, Unreadable
from binsafe.containers.streams import Plain
from binsafe.limits import MAX_NAME_BYTES

MAGIC = b"!<arch>\n"
_HEADER = 60
_BSD = b"#1/"
DEBIAN = "debian-binary"
"""The first member of a package; other archives are libraries."""
_NAME_END = re.compile(rb"[\n\0]")
"""How a long name ends: GNU's tools write a line, Microsoft's a NUL ("PE Format", "Longnames Member")."""


def read(data: memoryview, budget: Budget) -> Iterator[Entry | Trouble]:
    """The members, symbol tables left out."""
    try:
        yield from _members(data, budget)
    except Unreadable as error:
        yield Trouble(error.finding, str(error))


def _members(data: memoryview, budget: Budget) -> Iterator[Entry]:
    at = len(MAGIC)
    names = b""
    seen: Counter[str] = Counter()
    while at < len(data):
        budget.enter()
        header = bytes(data[at : at + _HEADER])
        digits = header[48:58].strip(b" ")
        if len(header) < _HEADER or header[58:] != b"`\n" or not digits.isdigit():
            raise Unreadable("a header of a member is damaged")
        start, size = at + _HEADER, int(digits)
        if start + size > len(data):
            raise Unreadable("it ends in the middle of a member")
        name = header[:16].rstrip(b" ")
        content = data[start : start + size]
        if name.startswith(_BSD) and name[len(_BSD) :].isdigit():
            length = int(name[len(_BSD) :])
            name, content = bytes(content[:length]).rstrip(b"\0"), content[length:]
        if name == b"//":
            names = bytes(content)
        elif name not in {b"/", b"/SYM64/"} and not name.startswith(b"__.SYMDEF"):
            known = _name(name, names)
            seen[known] += 1
            again = seen[known] > 1 and DEBIAN not in seen  # a linker takes all members of one name
            yield Entry(f"{known} ({seen[known]})" if again else known, "file", Plain(content))
        at = start + size + size % 2


def _name(name: bytes, names: bytes) -> str:
    if name.startswith(b"/") and name[1:].isdigit():
        at = int(name[1:])
        name = _NAME_END.split(names[at : at + MAX_NAME_BYTES + 1], maxsplit=1)[0]  # no path has more
    return name.rstrip(b"/").decode("utf-8", "replace")
