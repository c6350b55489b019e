"""Files that the program looks for: whether it could have found them, and what would let it.

The kernel decides about files (mounts, Landlock); a call with a path only comes by here on its way, so that a file that
is there on the host and not inside can be named. What the host does not have either is nobody's loss and not reported.

Where there is no mount namespace Landlock lets everybody look (stat, readlink) and tell what is there from what is not.
So there a path that is not granted gets no further than here. That is no wall: a program can change the path after we
have read it, and then sees names, sizes and times. What it opens is Landlock's to decide in any case.
"""

import os
import posixpath
import stat
from typing import Final, NamedTuple

from binsafe.paths import is_inside
from binsafe.sandbox.linux.elsewhere import SEARCHED, is_file, leaves, may_exist
from binsafe.sandbox.linux.expected import OF_THE_SYSTEM, is_expected
from binsafe.sandbox.linux.given import Given
from binsafe.sandbox.linux.layout import PRIVATE_TMP, is_ones_own
from binsafe.sandbox.linux.notifications import Call, Listener
from binsafe.sandbox.linux.offering import ANOTHERS, OF_A_PROCESS, ROOTS, Miss, option
from binsafe.sandbox.linux.owned import as_self
from binsafe.sandbox.linux.pathcalls import PathCall, Way
from binsafe.sandbox.linux.working_folder import WorkingFolder

MAX_LOOKUPS: Final = 20_000
"""Calls with a path that are looked at in one run; a program that makes more is not slowed down for the rest."""
MAX_OF_A_WALKER: Final = 4_000
"""... where whole folders were granted: enough for what it looks for at its start."""

MAX_REMEMBERED: Final = 512
"""Characters of a path whose answer is remembered; 20,000 of the longest would be half a gigabyte."""

_AT_FDCWD: Final = -100 & 0xFFFF_FFFF


class Asked(NamedTuple):
    """The file that a call is about: its plain, absolute path inside, and the path as it was written."""

    path: str
    text: str


class Lookups:
    """Knows what lies inside, and names what a call would not find there."""

    def __init__(
        self,
        given: Given,
        *,
        refuses: bool = False,
        walks: bool,
        working_folder: str,
    ) -> None:
        """``refuses`` says that nothing but what was given can be seen (see above), ``walks`` that whole folders were.

        ``working_folder`` is its user's, where that is not there inside; else empty.
        """
        self.given = given
        self.working_folder = WorkingFolder(working_folder, given)
        self.refuses = refuses
        self._walks = walks
        self._most = MAX_OF_A_WALKER if walks else MAX_LOOKUPS
        self._looked = 0
        self._last = ("", "")
        self._searching = False
        """Whether the last call looked for what the one before had looked for elsewhere on the PATH, as shells do."""
        self._known: dict[tuple[str, Way, str], Miss | None] = {}

    def asked(self, listener: Listener, call: Call, kind: PathCall) -> Asked | None:
        """What the call is about; None where that cannot be known, or where we looked often enough to have said it all.

        What is opened and where a link leads is looked at in any case: it may be the program's own (`owned`).
        """
        self._looked += 1
        if self._has_looked_enough and kind.flags is None and kind.buffer is None:
            return None
        try:
            text = listener.read_text(call, call.arguments[kind.path])
        except OSError:
            return None
        path = resolve(call, text, kind.folder)
        if path is None:
            return None
        asked = Asked(as_self(call, self.given.canonical(path)), text)
        before, self._last = self._last, posixpath.split(asked.path)
        folders = {before[0], self._last[0]}
        self._searching = before[1] == self._last[1] and len(folders) == 2 and folders.issubset(SEARCHED)
        return asked

    def miss(self, call: Call, kind: PathCall, asked: Asked) -> Miss | None:
        """What the call will not find; None where it may, or where we looked often enough."""
        if self._has_looked_enough:
            return None
        path, text = asked
        way = kind.way(call.arguments)
        if kind.makes and path in self.given.present:
            return None
        if self.given.could_write(path) and not self.given.could_read(path):
            return _hidden(call, path, writes=way.writes)
        relative = self.working_folder.relative(path, text)
        key = (path, way, relative)
        if key in self._known:
            return self._known[key]
        missed = self._missing(call, path, way)
        stays = missed is not None or not self.refuses
        if not stays:
            missed = self._judge(_resolved(path), writes=way.writes)  # a link that the program may have made
        if missed is not None:
            missed = self.working_folder.as_meant(path, relative, missed)
        if stays and len(self._known) < MAX_LOOKUPS and len(path) + len(relative) <= MAX_REMEMBERED:
            self._known[key] = missed
        return missed

    def is_usual(self, missed: Miss, kind: PathCall, *, starts: bool) -> bool:
        """Whether programs do without it. Those that go through folders look at much.

        But a shell looks for programs, and nginx for what it shall serve. ``starts`` says that it could be a helper, of
        which many ask whether it is there (w3m, git, perl) and few want it: who searches the PATH for it wants it.
        """
        if starts and not self._searching:
            return True
        if missed.expected or not (self._walks and kind.looks):
            return missed.expected
        users = not missed.path.startswith(OF_THE_SYSTEM)
        return not (is_file(missed.path) and (users or os.access(missed.path, os.X_OK)))

    @property
    def _has_looked_enough(self) -> bool:
        return self._looked > self._most and (self._walks or not self.refuses)

    def _missing(self, call: Call, path: str, way: Way) -> Miss | None:
        """What is missed of the path itself."""
        if way.entry and (kept := self._in_place(path)):
            return kept
        missed = self._judge(path, writes=way.writes)
        if missed is None and way.opens and not way.writes:
            return self._closed(call, path)
        if missed is None and way.asks_to_write and not self.refuses:
            return self._only_read(path)
        return missed

    def _closed(self, call: Call, path: str) -> Miss | None:
        """What is there and cannot be opened: a folder on the way to others, or a file that is its owner's alone.

        Those above the folder that it is in are opened by who looks there for settings (esbuild, oxlint).
        """
        if self.given.leads_on(path) and not self.given.could_read(path):
            expected = is_expected(path) or _is_above(call, path)
            return Miss(path, option(path, writes=False), expected, there=True)
        if not self.given.keeps_owners(path) or leaves(path) or is_ones_own(path):
            return None
        try:
            private = not os.stat(path).st_mode & stat.S_IROTH
        except OSError:
            return None
        if not private:
            return None
        if OF_A_PROCESS.match(path):
            return Miss(path, ANOTHERS, expected=True, there=True)
        return Miss(path, ROOTS if is_inside(path, "/proc") else f"--read {path}", expected=False, there=True)

    def _in_place(self, path: str) -> Miss | None:
        """What is granted by its own name, and so cannot be taken away or replaced."""
        folder = posixpath.dirname(path)
        wanted = path if self.given.could_write(folder) else folder
        if not self.given.is_itself(path):
            return None
        return Miss(path, f"--write {wanted}", expected=False, there=True, writes=True)

    def _only_read(self, path: str) -> Miss | None:
        """What its user may write and it may not: for most that ask the answer is enough, some give up there."""
        if self.given.could_write(path) or leaves(path) or not os.access(path, os.W_OK):
            return None
        return Miss(path, option(path, writes=True), expected=True, there=True, writes=True)

    def _judge(self, path: str, *, writes: bool) -> Miss | None:
        if self.given.could_write(path):
            return None
        if not writes and path in self.given.present:
            return None
        if not writes and self.given.could_read(path):
            path = self.given.canonical(_resolved(path))  # a link may lead out of a granted folder
            if path in self.given.present or self.given.could_read(path) or not may_exist(path):
                return None
        folder = posixpath.dirname(path)
        there = may_exist(path) or (writes and may_exist(folder))
        expected = is_expected(path) and (not writes or is_inside(path, "/proc/self"))
        if writes and path.startswith("/dev/"):
            expected = path in ("/dev/tty", "/dev/console")  # where syslog(3) says what it cannot say elsewhere
        homeless = writes and folder == "/" and not may_exist(path)
        return Miss(path, self._home() if homeless else option(path, writes=writes), expected, there, writes)

    def _home(self) -> str:
        """What lets a program whose user has no home keep something there."""
        kept = "--write FOLDER --env HOME=FOLDER"
        return f"{kept}, or --env HOME={PRIVATE_TMP} for what may go" if self.given.could_write(PRIVATE_TMP) else kept


def _is_above(call: Call, path: str) -> bool:
    """Whether the folder that the program is in lies in another."""
    try:
        here = os.readlink(f"/proc/{call.pid}/cwd")
    except OSError:
        return False
    return here != path and is_inside(here, path)


def _resolved(path: str) -> str:
    """Where it leads; the path itself where we may not know (a link of another user's process in /proc)."""
    try:
        return leaves(path) or os.path.realpath(path)
    except (OSError, RecursionError):  # of more links in a row than Python follows; the kernel follows 40
        return path


def _hidden(call: Call, path: str, *, writes: bool) -> Miss | None:
    """A file of the host's whose place has been taken by a folder of the program's own, where nothing has its name.

    Of one that is to be written it is its folder that has to be there.
    """
    wanted, root = posixpath.dirname(path) if writes else path, f"/proc/{call.pid}/root"
    if not may_exist(wanted) or leaves(wanted, root):
        return None
    try:
        os.lstat(f"{root}{wanted}")
    except (FileNotFoundError, NotADirectoryError):
        return Miss(path, option(path, writes=writes), expected=False, there=True, writes=writes)
    except OSError:
        pass
    return None


def resolve(call: Call, path: str, folder: int | None) -> str | None:
    """The absolute, plain form of a path as the program means it; None where that cannot be known."""
    if not path:
        return None
    if not path.startswith("/"):
        here = call.arguments[folder] & 0xFFFF_FFFF if folder is not None else _AT_FDCWD
        link = "cwd" if here == _AT_FDCWD else f"fd/{here}"
        try:
            base = os.readlink(f"/proc/{call.pid}/{link}")
        except OSError:
            return None
        if not base.startswith("/"):
            return None
        path = f"{base}/{path}"
    plain = posixpath.normpath(path)
    return plain[1:] if plain.startswith("//") else plain
