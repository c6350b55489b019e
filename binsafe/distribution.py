"""What the system's package manager put beside a program for it: data, plugins, settings. Shell: reads its records.

Programs of a distribution find their data by paths that their packagers chose, in folders of their own:
/usr/share/NAME, /usr/lib/NAME, /etc/NAME. The package manager knows which: what belongs to the program's package, to
those of its libraries, and to those that these depend on, as far as they hold no commands of their own (those are
programs, the others are data). The records are root's, so nothing here is chosen by the bytes that are inspected.

Known are the records of dpkg (dpkg-query(1), deb-control(5)); elsewhere nothing is found, and a program's look-ups are
reported with the grants that they would need.
"""

import re
import stat
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Final, NamedTuple

MAX_RECORD_BYTES: Final = 64 * 1024 * 1024
MAX_PATHS: Final = 400
"""Folders and files of one program; each is a mount."""

_DATA: Final = ("/usr/share/", "/usr/lib/", "/usr/libexec/", "/etc/")
_COMMANDS: Final = ("/bin/", "/sbin/", "/usr/bin/", "/usr/sbin/", "/usr/games/")
_LINKED: Final = (*_DATA, "/var/lib/")
_SETTINGS: Final = "/etc/"
_INSTALLED: Final = ("/usr/", "/bin/", "/sbin/", "/opt/")
_ASIDE: Final = (
    r"/usr/share/(?:aclocal|applications|apport|apps|bash-completion|binfmts|bug|doc|doc-base|fish|gdb/auto-load|icons"
    r"|info|initramfs-tools|lintian|locale|man|menu|metainfo|omf|pixmaps|pkgconfig|polkit-1|texmf|zsh)(?:/|$)"
    r"|/usr/lib/(?:binfmt\.d|debug|initcpio|mime|modprobe\.d|modules-load\.d|systemd|sysctl\.d|sysusers\.d|tmpfiles\.d"
    r"|udev)(?:/|$)"
    r"|/usr/lib/(?:[^/]+-linux-gnu/)?(?:pkgconfig/.*|cmake/.*|[^/]+\.(?:chk|so(?:\.[^/]*)?))$"
    r"|/usr/lib/.*\.(?:a|la|o)$"
    r"|/etc/(?:X11|apparmor\.d|apt|bash_completion\.d|cron\.[a-z]+|default|dpkg|init|init\.d|insserv\.conf\.d"
    r"|ld\.so\.conf\.d|logcheck|logrotate\.d|network|pam\.d|ppp|profile\.d|rc[0-9S]\.d|rsyslog\.d|security"
    r"|sudoers\.d|sysctl\.d|systemd|ufw|xdg)(?:/|$)"
)
"""What is for people, for the system's start and for other programs; and libraries, of which those that are needed are
found by linking."""

_NAME: Final = re.compile(r"\s*([a-z0-9][a-z0-9+.-]*)")


class Belongings(NamedTuple):
    """Folders that belong to a program's packages alone, and single files where they share one."""

    packages: tuple[str, ...] = ()
    folders: tuple[str, ...] = ()
    files: tuple[str, ...] = ()


def belongings(program: str, libraries: Iterable[str], loader: str | None, system: Path = Path("/")) -> Belongings:
    """What lies beside ``program`` for it and its ``libraries``; all are resolved paths, and so is what comes back.

    The package of the ``loader`` is the C library's, which all programs share: it is left out.
    """
    records = system / "var/lib/dpkg"
    if not program.startswith(_INSTALLED) or not records.is_dir():
        return Belongings()
    lists = _lists(records / "info")
    wanted = {name: path for path in (program, loader, *libraries) if path for name in _spellings(path)}
    owners = {wanted[name]: package for package, paths in lists.items() for name in paths if name in wanted}
    if program not in owners:
        return Belongings()
    everybodys = owners.get(loader or "")
    status = _status(records / "status")

    def depends(package: str) -> Iterator[str]:
        return _dependencies(status.get(package, ""), recommended=package == owners[program])

    packages = _with_data({*owners.values()} - {everybodys}, everybodys, depends, lists)
    return Belongings(tuple(sorted(packages)), *_places(packages, lists, system))


def _spellings(path: str) -> tuple[str, ...]:
    """/usr/bin/x, and /bin/x as packages from before the merge of both folders call it (file-hierarchy(7))."""
    return (path, path.removeprefix("/usr")) if path.startswith("/usr/") else (path,)


def _lists(folder: Path) -> Mapping[str, list[str]]:
    """Package -> the paths that it installed, for each installed package; as lists, since most are looked at once."""
    found: dict[str, list[str]] = {}
    for path in folder.glob("*.list"):
        package = path.stem.partition(":")[0]
        lines = path.read_bytes().decode("utf-8", "surrogateescape").split("\n")
        found.setdefault(package, []).extend(lines)  # of another processor's, too
    return found


def _with_data(
    first: set[str], without: str | None, depends: Callable[[str], Iterable[str]], lists: Mapping[str, list[str]]
) -> set[str]:
    """The packages and what they depend on, from one to the next, as far as that is installed and holds no commands."""
    found, waiting = set(first), list(first)
    while waiting:
        for package in depends(waiting.pop()):
            paths = lists.get(package)
            if package in found or package == without or paths is None:
                continue
            if not any(path.startswith(_COMMANDS) for path in paths):
                found.add(package)
                waiting.append(package)
    return found


def _status(status: Path) -> Mapping[str, str]:
    """Package -> its fields; of another processor's, too."""
    found: dict[str, str] = {}
    with status.open(encoding="utf-8", errors="replace") as stream:
        text = stream.read(MAX_RECORD_BYTES)
    for record in f"\n{text}".split("\nPackage: ")[1:]:
        package, _, fields = record.partition("\n")
        found[package] = fields
    return found


def _dependencies(fields: str, *, recommended: bool) -> Iterator[str]:
    """The names of packages that one depends on, alternatives included; on demand also what it recommends."""
    kinds = "(?:Pre-)?Depends|Recommends" if recommended else "(?:Pre-)?Depends"
    stated = re.findall(rf"^(?:{kinds}): (.*)$", fields, re.MULTILINE)
    names = (_NAME.match(part) for part in re.split(r"[,|]", ",".join(stated)))
    return (name[1] for name in names if name)


def _places(
    packages: set[str], lists: Mapping[str, list[str]], system: Path
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The outermost folders that only these packages have, the files outside of them, and where links lead."""
    own = {_merged(path) for package in packages for path in lists[package]}
    own = {path for path in own if path.startswith(_DATA) and not re.match(_ASIDE, path)}
    spellings = own | {path.removeprefix("/usr") for path in own if path.startswith("/usr/lib/")}
    others = (path for package in lists.keys() - packages for path in lists[package] if path in spellings)
    shared = {_merged(path) for path in others}
    folders: list[str] = []
    files: list[str] = []
    for path in sorted(own | _targets(own, system)):
        if folders and path.startswith(f"{folders[-1]}/"):
            continue
        place = system / path[1:]
        mode = mode_of(place)
        if stat.S_ISREG(mode) and mode & stat.S_IROTH and not _is_program(path, mode):
            files.append(path)
        elif stat.S_ISDIR(mode) and path not in shared and _is_public(place, path) and not _holds_programs(place):
            folders.append(path)
    return tuple(folders[:MAX_PATHS]), tuple(files[: MAX_PATHS - len(folders[:MAX_PATHS])])


def _targets(own: set[str], system: Path) -> set[str]:
    """Where packaged links lead, if that is a file: the administrator's choice, or what was made at installation."""
    links = (system / path[1:] for path in own)
    targets = {link.resolve() for link in links if stat.S_ISLNK(mode_of(link, follow=False))}
    files = (target for target in targets if target.is_relative_to(system) and stat.S_ISREG(mode_of(target)))
    paths = {f"/{target.relative_to(system)}" for target in files}
    return {path for path in paths if path.startswith(_LINKED) and not re.match(_ASIDE, path)}


def _merged(path: str) -> str:
    return f"/usr{path}" if path.startswith("/lib/") else path


def mode_of(path: Path, *, follow: bool = True) -> int:
    """The mode of what is there; 0 where nothing is, or where we may not look: is_file() and the like raise there."""
    try:
        return path.stat(follow_symlinks=follow).st_mode
    except OSError:
        return 0


def _is_program(path: str, mode: int) -> bool:
    """Whether it is there to be executed, which no pack lets: to see it would end the search for one that may run."""
    return bool(mode & stat.S_IXOTH) and ".so" not in path.rpartition("/")[2]


def _holds_programs(folder: Path) -> bool:
    """Whether a folder is one of programs, as /usr/lib/git-core is: then what else it holds is given piece by piece."""
    modes = [(each.name, mode_of(each)) for each in folder.iterdir()]
    files = [_is_program(name, mode) for name, mode in modes if stat.S_ISREG(mode)]
    return 2 * sum(files) > len(files)


def _is_public(place: Path, path: str) -> bool:
    """Whether everybody may look into a folder and, of settings, read all that lies there: they may hold keys."""
    looked_at = [place, *place.rglob("*")] if path.startswith(_SETTINGS) else [place]
    return all(mode_of(each) & stat.S_IROTH for each in looked_at)
