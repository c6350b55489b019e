"""Which tests come out alike for root and for an ordinary user: `.ci/run` has only the user run them.

A test that could tell who runs it fails here, before it is left out anywhere.
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
    "adapters bandit_model containers difference extractors flakyservers formats inspection kernel policy renderers"
    " reports runs seatbelt signatures simulation strategies syscalls".split()
)
"""Folders of tests about bytes and numbers. Who adds to them need not think of this: see `only_tools`."""
FOR_EACH = frozenset(
    {
        "difference/test_difference.py",
        "flakyservers/test_build.py",
        "flakyservers/test_standin.py",
        "formats/test_elf_images.py",
        "formats/test_hostile_commands.py",
        "formats/test_identify.py",
        "policy/test_light_imports.py",
        "renderers/test_kernel.py",
        "renderers/test_systemd.py",
        "reports/test_in_browser.py",
        "reports/test_sarif_report.py",
        "reports/test_text_report.py",
        "runs/test_store.py",
        "signatures/test_macho_signatures.py",
        "simulation/test_cluster.py",
        "simulation/test_ranking.py",
        "simulation/test_simulate_command.py",
        "simulation/test_truth.py",
        "syscalls/linking/test_names_at_run_time.py",
        "syscalls/linking/test_prelinked.py",
        "syscalls/test_budget.py",
        "syscalls/test_dynamic_programs.py",
        "syscalls/test_tables.py",
        "syscalls/test_traps.py",
    }
)
"""Modules of those folders that start programs of ours, which may ask who runs them."""

_ASKING = [(getpass, "getuser")] + [
    (os, name)
    for name in (
        "access chown execv execve fork getegid geteuid getgid getgroups getlogin getresgid getresuid getuid"
        " initgroups posix_spawn posix_spawnp setegid seteuid setgid setgroups setuid"
    ).split()
]
_TOOLS = frozenset("ar as cc clang clang++ g++ gcc go gofmt ld nm objcopy objdump ranlib readelf strip".split())
_MAY_ASK = ("_pytest.", "getpass", "platformdirs.", "shutil", "binsafe.intake.store", "binsafe.intake.tree")
"""Where temporary files and caches lie, which program a name is, the cache of summaries and where libraries lie."""


def is_alike(path: Path) -> bool:
    """Whether a module's tests, or all of a folder's, come out alike for each user."""
    if not any(path.is_relative_to(TESTS / folder) for folder in ALIKE):
        return False
    return not any((TESTS / module).is_relative_to(path) for module in FOR_EACH)


@contextmanager
def only_tools() -> Iterator[None]:
    """Refuse to say who runs this, and to start anything but a compiler's tools."""
    with pytest.MonkeyPatch.context() as patch:
        for module, name in _ASKING:
            if real := getattr(module, name, None):
                patch.setattr(module, name, _refusing(real))
        patch.setattr(subprocess, "Popen", _Tool)
        yield


class _Tool(subprocess.Popen[str]):
    def __init__(self, args: list[str] | str, *rest: object, **options: object) -> None:
        started = os.fsdecode(args if isinstance(args, str | bytes | os.PathLike) else args[0])
        if Path(started).name.rpartition("-")[2] not in _TOOLS:  # musl-gcc, aarch64-linux-gnu-ld
            _refuse(f"starts {started}")
        super().__init__(args, *rest, **options)


def _refusing(real: Callable[..., object]) -> Callable[..., object]:
    def asked(*arguments: object, **options: object) -> object:
        if not sys._getframe(1).f_globals.get("__name__", "").startswith(_MAY_ASK):
            _refuse(f"asks {real.__name__}")
        return real(*arguments, **options)

    return asked


def _refuse(what: str) -> None:
    pytest.fail(f"this test {what}, so root must run it, too: name its module in FOR_EACH of tests/each_user.py")
