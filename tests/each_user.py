"""Which tests come out alike for root and for an ordinary user: `.ci/run` has only the user run them.

They are those in the folders of `ALIKE`, but for tests with the mark ``each_user``. None of them can ask who runs it,
nor start a program that could: it fails instead, before it is left out anywhere. Those with the mark ``once`` start our
commands, and are left out because somebody has read that they are not about users, owners or the sandbox.
"""

import getpass
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
ALIKE = frozenset(
    "adapters balancer bandit_model checks containers dashboard difference extractors flakyservers formats harness"
    " inspection kernel policy profiles renderers reports runs seatbelt signatures simulation strategies"
    " syscalls".split()
)
"""Folders of tests about bytes, numbers, and connections on loopback."""
MARK = "each_user"
ONCE = "once"
APART = frozenset("browser corpus endurance fuzz mac programs".split())
"""Marks of tests that are run by themselves, and once."""

_ASKING = [(getpass, "getuser")] + [
    (os, name)
    for name in (
        "access chown execv execve fork getegid geteuid getgid getgroups getlogin getresgid getresuid getuid"
        " initgroups posix_spawn posix_spawnp setegid seteuid setgid setgroups setuid"
    ).split()
]
_TOOLS = frozenset("ar as cc clang clang++ g++ gcc go gofmt ld nm objcopy objdump ranlib readelf strip".split())
_STANDIN = "flakyservers"
"""The program that is the tests' own, and does not look at who runs it."""
_WATCHER = ["/bin/sh", "-c", "read line; kill -KILL 0"]
"""What ends compilers with whoever started them, and looks at nothing (`bandit_runner.flakyservers.build`)."""
_MAY_ASK = (
    "_pytest.",
    "getpass",
    "platformdirs.",
    "shutil",
    "subprocess",
    "binsafe.intake.store",
    "binsafe.intake.tree",
)
"""Where temporary files and caches lie, which program a name is, the cache of summaries and where libraries lie.

What subprocess starts was asked before (`_Tool`): from Python 3.14 on it does so by posix_spawn.
"""

_refused = False


def is_alike(path: Path) -> bool:
    """Whether no test of a module has to be run by each user."""
    return _is_in_alike(path) and path.suffix == ".py" and MARK not in path.read_text(encoding="utf-8")


def is_alike_for_each(item: pytest.Item) -> bool:
    """Whether one test comes out alike for each user, and fails if it asks."""
    others = APART | {MARK, ONCE}
    return _is_in_alike(item.path) and not any(mark.name in others for mark in item.iter_markers())


def is_left_to_the_user(item: pytest.Item) -> bool:
    """Whether root needs not run a test as well."""
    return is_alike_for_each(item) or item.get_closest_marker(ONCE) is not None


def _is_in_alike(path: Path) -> bool:
    return any(path.is_relative_to(TESTS / folder) for folder in ALIKE)


@contextmanager
def only_tools() -> Iterator[None]:
    """Refuse to say who runs this, and to start anything but a compiler's tools and the stand-in."""
    global _refused  # noqa: PLW0603 - what asks has no other way to know
    before, _refused = _refused, True
    try:
        yield
    finally:
        _refused = before


class _Tool(subprocess.Popen[str]):
    def __init__(self, args: list[str] | str, *rest: object, **options: object) -> None:
        started = os.fsdecode(args if isinstance(args, str | bytes | os.PathLike) else args[0])
        tool = Path(started).name.rpartition("-")[2]  # musl-gcc, aarch64-linux-gnu-ld
        if _refused and tool not in _TOOLS and tool != _STANDIN and args != _WATCHER:
            _refuse(f"starts {started}")
        super().__init__(args, *rest, **options)


def _refusing(real: Callable[..., object]) -> Callable[..., object]:
    def asked(*arguments: object, **options: object) -> object:
        if _refused and not sys._getframe(1).f_globals.get("__name__", "").startswith(_MAY_ASK):
            _refuse(f"asks {real.__name__}")
        return real(*arguments, **options)

    return asked


def _refuse(what: str) -> None:
    pytest.fail(f"this test {what}, so root must run it, too: give it the mark {MARK}")


# Once and for all, before anything of ours is imported: a function that was imported by its name refuses as well.
for _module, _name in _ASKING:
    if _real := getattr(_module, _name, None):
        setattr(_module, _name, _refusing(_real))
subprocess.Popen = _Tool
