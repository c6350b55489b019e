"""What the sandbox costs: the time to start a program and the latency of a server, beside none and beside peers.

    python tests/benchmarks/sandbox/launch_and_latency.py [--rounds 20] [--requests 2000]

Rounds are interleaved, so that what else the machine does meets all alike; medians are printed. Peers that are not
installed are left out and named. The program is the probe of tests/sandbox, built for this machine.
"""

import argparse
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import platformdirs

from bandit_runner.flakyservers.build import find_go, this_machine

PROBE = Path(__file__).parents[2] / "sandbox" / "probe"


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--requests", type=int, default=2000)
    wanted = parser.parse_args()
    with tempfile.TemporaryDirectory(dir="/var/tmp") as name:
        folder = Path(name)
        folder.chmod(0o755)
        program = build(folder)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        policy = folder / "policy.json"
        profile = [sys.executable, "-m", "binsafe", "profile", "--for", "policy", "--ports", f":{port}"]
        subprocess.run([*profile, "--output", policy, program], check=True, stderr=subprocess.DEVNULL)
        ours = [sys.executable, "-m", "binsafe", "run", "--policy", str(policy), str(program)]
        launches(program, ours, wanted.rounds)
        latencies([str(program)], ours, port, wanted.requests)


def build(folder: Path) -> Path:
    """The probe, for this machine."""
    go = find_go(os.environ, platformdirs.user_cache_path("binsafe") / "flakyservers")
    go.run("build", "-trimpath", "-buildvcs=false", "-o", str(folder / "probe"), ".", cwd=PROBE, target=this_machine())
    return folder / "probe"


def launches(program: Path, ours: list[str], rounds: int) -> None:
    """Wall-clock time from the command to its end, of a program that does next to nothing."""
    commands = {
        "none": [str(program)],
        "python -c pass": [sys.executable, "-c", "pass"],
        "binsafe --policy": ours,
        "bwrap": ["bwrap", "--unshare-all", "--ro-bind", str(program.parent), str(program.parent), str(program)],
        "firejail": ["firejail", "--quiet", "--noprofile", "--net=none", str(program)],
    }
    missing = [name for name, command in commands.items() if shutil.which(command[0]) is None]
    times: dict[str, list[float]] = {name: [] for name in commands if name not in missing}
    for _ in range(rounds):
        for name, found in times.items():
            begun = time.perf_counter()
            subprocess.run(
                [*commands[name], "uid"] if name != "python -c pass" else commands[name],
                capture_output=True,
                check=True,
            )
            found.append(time.perf_counter() - begun)
    bare = statistics.median(times["none"])
    print(f"launch, median of {rounds}{'; not installed: ' + ', '.join(missing) if missing else ''}")
    for name, found in times.items():
        middle = statistics.median(found)
        print(f"  {name:18} {middle * 1000:8.1f} ms   {(middle - bare) * 1000:+8.1f} over none")


def latencies(bare: Sequence[str], ours: Sequence[str], port: int, requests: int) -> None:
    """Time of one connection and answer, from outside, with blocks of requests in turn: one server at a time."""
    found: dict[str, list[float]] = {"none": [], "binsafe --policy": []}
    for _ in range(4):
        for name, command in (("none", bare), ("binsafe --policy", ours)):
            with subprocess.Popen([*command, f"listen=127.0.0.1:{port}", "stay"], stdout=subprocess.PIPE) as server:
                server.stdout.readline()
                found[name] += timed(lambda: ask(port), requests // 4)
                server.terminate()
                try:
                    server.wait(10)
                except subprocess.TimeoutExpired:
                    server.kill()
    print(f"latency of {requests} connections each")
    for name, times in found.items():
        ratio = statistics.median(times) / statistics.median(found["none"])
        print(f"  {name:18} p50 {statistics.median(times) * 1e6:8.1f} us   x {ratio:.3f}")


def timed(action: Callable[[], None], count: int) -> list[float]:
    """Seconds of each of ``count`` actions, after a few that are not counted."""
    for _ in range(20):
        action()
    times = []
    for _ in range(count):
        begun = time.perf_counter()
        action()
        times.append(time.perf_counter() - begun)
    return times


def ask(port: int) -> None:
    """Connect and read the greeting to its end."""
    with socket.create_connection(("127.0.0.1", port), 5) as client:
        while client.recv(64):
            pass


if __name__ == "__main__":
    main()
