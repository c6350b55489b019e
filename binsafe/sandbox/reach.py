"""What must stay out of a program's reach: what holds it and what decides about its next start, if it could be written.

A program that may change a module of ours, the interpreter's, or a policy that is kept for the next start is held by
nothing from then on, whatever mechanism holds it now.
"""

import contextlib
import os
import site
import stat
import sys
from collections.abc import Iterator, Sequence
from typing import Final

import msgspec

from binsafe.errors import NotEnforceable
from binsafe.model import Policy
from binsafe.paths import is_inside

_MAX_STEPS: Final = 4096
"""Names that are looked at on the way to one file; the kernel follows forty links (path_resolution(7))."""


def check_own(policy: Policy) -> None:
    """Raise NotEnforceable where something of ours lies in what is granted to be written, or around it.

    Or where something else could be put there that Python would load in its place.
    """
    for path, folder in _writable(policy):
        for own in map(os.path.realpath, _own_folders()):
            if is_inside(folder, own) or (is_inside(own, folder) and not _holds_nothing(folder)):
                raise NotEnforceable(
                    f"{path} is granted to be written, and what binsafe is made of lies there: {own}",
                    hint="grant only the folders that it needs, or install binsafe elsewhere (a cache: XDG_CACHE_HOME)",
                )
        for searched in map(os.path.realpath, _searched_folders()):
            if is_inside(searched, folder):
                raise NotEnforceable(
                    f"{path} is granted to be written, and Python looks for what binsafe is made of there: {searched}",
                    hint="grant only the folders that it needs",
                )


def is_searched_from_here(policy: Policy) -> bool:
    """Whether ``python -m binsafe``, started again where one is, would look for us first where the program may write.

    So it does for every module; who calls binsafe by its name has no such folder.
    """
    here = _folder_of_module()
    return here is not None and any(is_inside(os.path.realpath(here), folder) for _, folder in _writable(policy))


def check_files(policy: Policy, files: Sequence[str]) -> None:
    """Raise NotEnforceable where one of these files lies in what is granted to be written, or leads there."""
    for path, folder in _writable(policy):
        for file in files:
            if any(is_inside(place, folder) for place in _places(file)):
                raise NotEnforceable(
                    f"{file} lies in {path}, which the program may write: it could change it, or what it leads to",
                    hint="keep it in another folder",
                )


def check_links(policy: Policy) -> None:
    """Raise NotEnforceable where a granted path goes by a link that the program may change, out of what it may write.

    It could let the link lead anywhere, and be granted that at its next start.
    """
    folders = [folder for _, folder in _writable(policy)]
    for grant in (*policy.of("read"), *policy.of("write")):
        leads = os.path.realpath(grant.object)
        if not os.path.isabs(grant.object) or grant.access or is_inside(leads, *folders):
            continue
        for link in _links(grant.object):
            if any(is_inside(link, folder) and link != folder for folder in folders):
                raise NotEnforceable(
                    f"{grant.object} is granted and leads to {leads} by {link}, a link that the program may change",
                    hint=f"name what it leads to instead: {leads}",
                )


def check_other_names(policy: Policy) -> None:
    """Raise NotEnforceable where a file of ours is in what is granted to be written, too, by another name.

    uv and conda install so: what they have in their caches is linked, and not copied.
    """
    granted = [*_writable(policy)]
    linked = [folder for file, folder in _installed() if granted and os.stat(file).st_nlink > 1]
    ours = {identity for folder in linked for _, identity in _identities(folder)}
    for path, folder in granted if ours else ():
        for file, identity in _identities(folder):
            if identity in ours:
                raise NotEnforceable(
                    f"{path} is granted to be written, and {file} is a file that binsafe is made of, by another name",
                    hint="grant only the folders that it needs, or install binsafe by copies (uv: --link-mode copy)",
                )


def _installed() -> Iterator[tuple[str, str]]:
    """A file of each installation that we are made of, and its folder."""
    yield __file__, os.path.dirname(os.path.dirname(__file__))
    yield msgspec.__file__, os.path.dirname(os.path.dirname(msgspec.__file__))
    yield os.__file__, os.path.dirname(os.__file__)


def _identities(folder: str) -> Iterator[tuple[str, tuple[int, int]]]:
    """The files of a folder, or the one that it is, each with what it is whatever its name."""
    for file in _files(folder):
        with contextlib.suppress(OSError):  # it has gone
            status = os.lstat(file)
            if stat.S_ISREG(status.st_mode):
                yield file, (status.st_dev, status.st_ino)


def check_lent_rights(policy: Policy) -> None:
    """Raise NotEnforceable where a program might write a file that lends its owner's rights to who starts it.

    Who writes a file takes those from it, and who maps it to write does not (mmap(2)): whatever the program left there
    would run outside, as its owner. What our user may not write, no program of theirs can.
    """
    kept = [os.path.realpath(grant.object) for grant in policy.of("read") if os.path.isabs(grant.object)]
    for path, folder in _writable(policy):
        below = [each for each in kept if each != folder and is_inside(each, folder)]
        for file in _files(folder):
            if not is_inside(file, *below) and _lends_rights(file) and os.access(file, os.W_OK):
                raise NotEnforceable(
                    f"{path} is granted to be written, and {file} there lends its owner's rights to whoever starts it",
                    hint=f"take those from it (chmod ug-s, setcap -r), or grant it to be read: --read {file}",
                )


def _files(path: str) -> Iterator[str]:
    from binsafe.intake.walking import files_below  # few policies grant a folder

    yield path
    yield from files_below(path)


def _lends_rights(path: str) -> bool:
    """Whether it is a program with the set-user-ID or set-group-ID bit, or with capabilities of its own."""
    try:
        mode = os.lstat(path).st_mode
        if not stat.S_ISREG(mode) or not mode & 0o111:
            return False
        return bool(mode & (stat.S_ISUID | stat.S_ISGID)) or "security.capability" in os.listxattr(path)
    except OSError:  # it has gone, or its file system has no attributes
        return False


def _links(path: str) -> Iterator[str]:
    """The links on the way to what a path leads to, each where it is itself."""
    waiting, place = path.split("/")[::-1], "/"
    for _ in range(_MAX_STEPS):
        if not waiting:
            return
        name = waiting.pop()
        if name == "..":
            place = os.path.dirname(place)
        elif name not in ("", "."):
            step = os.path.join(place, name)
            if os.path.islink(step):
                yield step
                leads = os.readlink(step)
                waiting += leads.split("/")[::-1]
                place = "/" if leads.startswith("/") else place
            else:
                place = step


def _writable(policy: Policy) -> Iterator[tuple[str, str]]:
    """What is granted to be written, and where that leads; not what only the sandbox has."""
    for grant in policy.of("write"):
        if os.path.isabs(grant.object) and not grant.access:
            yield grant.object, os.path.realpath(grant.object)


def _own_folders() -> Iterator[str]:
    """Where code and rules of ours are loaded from, and where policies are kept."""
    from binsafe.intake.store import cache_folder  # few policies grant a folder

    package = os.path.dirname(os.path.dirname(__file__))
    yield package
    yield os.path.join(os.path.dirname(package), "profiles")  # of a checkout; installed ones lie in the package
    yield os.path.dirname(os.path.dirname(msgspec.__file__))  # site-packages
    yield os.path.dirname(os.__file__)
    yield os.path.dirname(sys.executable)
    yield os.path.join(sys.prefix, "pyvenv.cfg")  # which says where a virtual environment's Python has its library
    yield str(cache_folder())


def _searched_folders() -> Iterator[str]:
    """Where Python will look for modules at our next start, wherever that is, and whether or not we are there."""
    here = _folder_of_module()
    yield from (folder for folder in sys.path if folder != here)
    if site.ENABLE_USER_SITE:
        yield site.getusersitepackages()  # which need not be there yet


def _folder_of_module() -> str | None:
    """The folder that ``python -m`` was called in, which is searched first; None for who was called by name."""
    first = sys.path[0] if sys.path and not sys.flags.safe_path else None
    return first if first == os.getcwd() else None


def _places(file: str) -> Iterator[str]:
    """Where a file is, and where it leads."""
    folder, name = os.path.split(os.path.abspath(file))
    yield os.path.join(os.path.realpath(folder), name)
    yield os.path.realpath(file)


def _holds_nothing(path: str) -> bool:
    """Whether it is there and no folder: some users' home is /dev/null."""
    return os.path.exists(path) and not os.path.isdir(path)
