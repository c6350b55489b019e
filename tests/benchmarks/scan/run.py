"""A scan beside blint on the same real files, in one run: python tests/benchmarks/scan/run.py --files 100 --blint PATH.

Files are taken from a folder (``/usr`` by default) and copied, so that both see the same. Time is wall-clock and CPU of
the whole command; memory is the sum over its processes, sampled. Without blint only our own figures are printed.
"""

import argparse
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import NamedTuple

from binsafe.scan import Coverage, walk


class Figures(NamedTuple):
    """What one command took."""

    seconds: float
    cpu: float
    mebibytes: float
    status: int


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=2_000)
    parser.add_argument("--root", default="/usr")
    parser.add_argument("--blint", help="the program blint; it takes about a second a file")
    parser.add_argument("--limit", type=float, default=7_200, help="seconds after which a command is ended")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        count = copy(asked.root, asked.files, folder / "files")
        ours = [sys.executable, "-m", "binsafe", "scan", str(folder / "files"), "--output", str(folder / "lines.jsonl")]
        rows = {"binsafe scan": measured(ours, folder, asked.limit)}
        if asked.blint:
            theirs = [asked.blint, "-i", str(folder / "files"), "-o", str(folder / "reports"), "--no-error", "-q"]
            rows["blint"] = measured(theirs, folder, asked.limit)
    print(f"{count} files, {os.cpu_count()} processors")
    print(f"{'':<16}{'seconds':>10}{'CPU s':>10}{'ms a file':>12}{'MiB':>8}{'status':>8}{'times ours':>12}")
    first = rows["binsafe scan"]
    for name, row in rows.items():
        each = 1000 * row.seconds / count
        ratio = row.seconds / first.seconds
        print(
            f"{name:<16}{row.seconds:>10.1f}{row.cpu:>10.1f}{each:>12.1f}{row.mebibytes:>8.0f}{row.status:>8}{ratio:>12.1f}"
        )


def copy(root: str, most: int, to: Path) -> int:
    """Different executables of a folder, evenly spread over its names."""
    to.mkdir()
    targets = [
        target.path for target in walk([root], Coverage()) if not target.path.endswith((".gz", ".whl", ".zip", ".a"))
    ]
    chosen = targets[:: max(len(targets) // most, 1)][:most]
    for number, path in enumerate(chosen):
        shutil.copyfile(path, to / f"{number:05}-{Path(path).name}")
    return len(chosen)


def measured(command: list[str], folder: Path, limit: float) -> Figures:
    """Run it to its end."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    started = time.monotonic()
    with subprocess.Popen(
        command, cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        peak = [0.0]
        watcher = threading.Thread(target=watch, args=(process, peak), daemon=True)
        watcher.start()
        try:
            status = process.wait(limit)
        except subprocess.TimeoutExpired:
            process.kill()
            status = -1
    seconds = time.monotonic() - started
    watcher.join()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Figures(seconds, cpu, peak[0], status)


def watch(process: subprocess.Popen[bytes], peak: list[float]) -> None:
    """Note the most memory that the process and all below it had at once; Linux only."""
    while process.poll() is None:
        peak[0] = max(peak[0], sum(map(resident, family(process.pid))) / 1024)
        time.sleep(0.2)


def family(pid: int) -> list[int]:
    found = [pid]
    for parent in found:
        try:
            for task in Path(f"/proc/{parent}/task").iterdir():
                found += [int(child) for child in (task / "children").read_text().split()]
        except OSError:
            continue
    return found


def resident(pid: int) -> int:
    """KiB in memory, shared pages counted in part (Pss)."""
    try:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in text.splitlines() if line.startswith("Pss:")), 0)


if __name__ == "__main__":
    main()
