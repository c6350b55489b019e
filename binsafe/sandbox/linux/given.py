"""What a program was given: which paths lie inside, and what it may do with them."""

from collections.abc import Iterable, Mapping

from binsafe.paths import is_inside
from binsafe.sandbox.linux.layout import canonical
from binsafe.sandbox.linux.planning import parents


class Given:
    """The paths that lie inside, granted ones and those that lead to them."""

    def __init__(
        self,
        *,
        merged: Mapping[str, str],
        readable: Iterable[str],
        writable: Iterable[str],
        present: Iterable[str],
        scratch: Iterable[str] = (),
        public: Iterable[str] = (),
    ) -> None:
        """``merged`` are the root's links, ``readable`` and ``writable`` granted files and folders.

        ``scratch`` are folders of its own that may be written, too, with nothing of the host's in them;
        ``present`` are single paths that are there; ``public`` those granted folders in which files keep their owners,
        because everybody may read them: what their owner alone may read there, a program that root has started may not.
        """
        self._merged = merged
        self.readable = tuple(readable)
        self._scratch = tuple(scratch)
        self._writable = (*self._scratch, *writable)
        self._public = tuple(public)
        present = set(present)
        seen = (*present, *self.readable, *self._writable)
        self._on_the_way = {parent for path in seen for parent in parents(path)}.difference(seen)
        self.present = present | self._on_the_way

    def canonical(self, path: str) -> str:
        """The path without the root's links."""
        return canonical(path, self._merged)

    def could_read(self, path: str) -> bool:
        """Whether it is granted to be read, or lies in a folder that is."""
        return is_inside(path, *self.readable)

    def could_write(self, path: str) -> bool:
        """Whether it lies in a folder that may be written, and in none below that may only be read, or leads on."""
        nearest = max((folder for folder in self._writable if is_inside(path, folder)), key=len, default="")
        below = (*self.readable, *(self._on_the_way if nearest in self._scratch else ()))
        return bool(nearest) and not any(len(folder) > len(nearest) and is_inside(path, folder) for folder in below)

    def is_itself(self, path: str) -> bool:
        """Whether it is granted by its own name, and so keeps its place: nothing else can come there (rename(2))."""
        return path in self.readable and path not in self._scratch

    def holds(self, path: str) -> bool:
        """Whether it is a granted file, or lies in a granted folder."""
        return self.could_read(path) or self.could_write(path)

    def hides(self, path: str) -> bool:
        """Whether a folder of its own takes the place of the host's that has the path."""
        return not self.could_read(path) and is_inside(path, *self._scratch)

    def leads_on(self, path: str) -> bool:
        """Whether it is a folder on the way to what is granted, of which nobody is told that it is not there."""
        return path in self._on_the_way

    def keeps_owners(self, path: str) -> bool:
        """Whether its owner decides who reads it. Files as private keys are given where they are named themselves."""
        return path not in self.readable and is_inside(path, *self._public)
