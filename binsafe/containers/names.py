"""What is wrong with the names of an archive's entries: where a program that unpacks them may be led."""

from collections.abc import Iterator
from itertools import groupby
from posixpath import dirname, join, normpath
from unicodedata import combining, normalize

from binsafe.containers.entries import Entry, Trouble
from binsafe.limits import MAX_NAME_BYTES

_Folders = dict[str, "_Folders"]
_LINK: _Folders = {}


class Names:
    """What is wrong with the names of one archive's entries, looked at in their order."""

    def __init__(self) -> None:
        self._seen: set[str] = set()
        self._links: _Folders = {}
        self._outward: _Folders = {}

    def check(self, entry: Entry) -> Iterator[Trouble]:
        """What a program that unpacks this entry might be led to do.

        All of it is looked at all the same, but for names that are longer than paths are (their trouble is "lost").
        """
        name = entry.name
        if len(name) > MAX_NAME_BYTES:
            yield Trouble("archive-entry", f"{name[:64]!r}... is a name of {len(name):,} characters, which no path has")
            return
        if leads_outside(name):
            yield Trouble("archive-entry", f"{name!r} would be written outside of the folder", lost=False)
        elif not name or not name.isprintable():
            yield Trouble("archive-entry", f"{name!r} has characters that no file name needs", lost=False)
        path = clean(name)
        if _through_a_link(self._links, path.split("/")[:-1]):
            yield Trouble("archive-entry", f"{name!r} would be written through a link", lost=False)
        elif path not in self._seen and _through_a_link(self._outward, folded(path).split("/")):
            detail = f"{name!r} would be written through a link where letters' case does not count, as on macOS"
            yield Trouble("archive-entry", detail, lost=False)
        if entry.kind != "folder" and path in self._seen:
            yield Trouble(
                "archive-entry", f"{name!r} is there twice: which one counts is up to who unpacks", lost=False
            )
        if entry.kind == "other":
            yield Trouble("archive-entry", f"{name!r} is a device, a pipe or the like", lost=False)
        if entry.kind == "link":
            _note_link(self._links, path)
            if normpath(join(dirname(path), entry.target)).startswith(("/", "..")):
                _note_link(self._outward, folded(path))
        self._seen.add(path)


def _through_a_link(links: _Folders, parts: list[str]) -> bool:
    """Whether a folder of the path is a link; linear, as an archive may have many links and long names."""
    for part in parts:
        found = links.get(part)
        if found is None:
            return False
        if found is _LINK:
            return True
        links = found
    return False


def _note_link(links: _Folders, path: str) -> None:
    *folders, last = path.split("/")
    for part in folders:
        links = links.setdefault(part, {})
        if links is _LINK:
            return
    links[last] = _LINK


def folded(path: str) -> str:
    """What is one name where neither letters' case counts nor how accents are written."""
    return decomposed(decomposed(path).casefold())


def decomposed(text: str) -> str:
    """Unicode's form NFD, letter by letter: of all at once the time would grow with the square of a run of accents."""
    if text.isascii():
        return text
    letters = "".join(normalize("NFD", one) for one in text)
    runs = groupby(letters, lambda one: combining(one) > 0)
    return "".join(one for accents, run in runs for one in (sorted(run, key=combining) if accents else run))


def leads_outside(name: str) -> bool:
    """Whether it is the name of something outside of the folder that an archive is unpacked into."""
    return name.startswith(("/", "\\")) or name[1:2] == ":" or ".." in name.replace("\\", "/").split("/")


def clean(name: str) -> str:
    """The name in its shortest form."""
    return normpath(name).lstrip("/") if name else name
