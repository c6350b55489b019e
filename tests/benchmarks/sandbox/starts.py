"""Wall-clock time from a command to its end, of a program that does next to nothing.

The sandbox is measured with a policy file and with a policy that it remembers; with the bytecode that an installation
has once it has run (or was made with ``--compile-bytecode``), and without any of ours, as ``PYTHONDONTWRITEBYTECODE``
leaves a fresh one.
"""

import compileall
import os
import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path

import policies

import binsafe

PACKAGE = Path(binsafe.__file__).parent
COMMAND = Path(sys.executable).with_name("binsafe")
"""As it is installed: ``python -m`` first loads what looks for modules, a twentieth of a start."""
BARE = "none"


def print_table(started: list[str], folder: Path, rounds: int) -> None:
    """Print a row for each way to start a program: ``started`` is its path and its arguments."""
    program = Path(started[0])
    run = [sys.executable, str(COMMAND), "run"]
    with_policy = [*run, "--policy", str(policies.derived(program, folder))]
    compiled, plain = _copy(folder / "compiled"), _copy(folder / "plain")
    cached = {
        "PYTHONPATH": str(compiled),
        "PYTHONPYCACHEPREFIX": str(folder / "bytecode"),
        "XDG_CACHE_HOME": str(folder / "cache"),
    }
    compileall.compile_dir(compiled / "binsafe", quiet=2)
    writing = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    without = os.environ | {"PYTHONPATH": str(plain), "PYTHONDONTWRITEBYTECODE": "1"}
    ways = {
        BARE: (started, None),
        "python -c pass": ([sys.executable, "-c", "pass"], None),
        "binsafe --policy": ([*with_policy, *started], writing | cached),
        "  remembered": ([*run, *started], writing | cached),
        "  without bytecode": ([*with_policy, *started], without),
        "bwrap": (["bwrap", "--unshare-all", "--ro-bind", str(program.parent), str(program.parent), *started], None),
        "firejail": (["firejail", "--quiet", "--noprofile", "--net=none", *started], None),
    }
    missing = [name for name, (command, _) in ways.items() if shutil.which(command[0]) is None]
    seconds: dict[str, list[float]] = {name: [] for name in ways if name not in missing}
    for number in range(rounds + 1):
        for name, found in seconds.items():
            command, environment = ways[name]
            begun = time.perf_counter()
            subprocess.run(command, env=environment, capture_output=True, check=True)
            if number:  # the first round fills caches
                found.append(time.perf_counter() - begun)
    left_out = f"; not installed: {', '.join(missing)}" if missing else ""
    print(f"start of {program.name}, ms, of {rounds}{left_out}")
    print(f"  {'':20} {'median':>8} {'over none':>10} {'least':>8} {'over none':>10}")
    for name, found in seconds.items():
        middle, least = ([1000 * of(each) for each in (found, seconds[BARE])] for of in (statistics.median, min))
        print(
            f"  {name:20} {middle[0]:8.1f} {middle[0] - middle[1]:+10.1f} {least[0]:8.1f} {least[0] - least[1]:+10.1f}"
        )


def _copy(place: Path) -> Path:
    """The package without its bytecode, in a folder of its own."""
    shutil.rmtree(place, ignore_errors=True)
    shutil.copytree(PACKAGE, place / "binsafe", ignore=shutil.ignore_patterns("__pycache__"))
    if (PACKAGE.parent / "profiles").is_dir():  # a checkout
        shutil.copytree(PACKAGE.parent / "profiles", place / "profiles")
    return place
