"""What the sandbox costs: the time of a start, the latency and throughput of a server, and the time of a system call.

    python tests/benchmarks/sandbox/run.py [--rounds 20] [--requests 4000] [starts serving calls]

Rounds are interleaved, so that what else the machine does meets all alike; medians and minima are printed, and what is
compared runs under the same conditions (see ``starts``, ``serving`` and ``calls``). Peers that are not installed are
left out and named.
"""

import argparse
import os
import sys
import tempfile
from pathlib import Path

import calls
import platformdirs
import serving
import starts

from bandit_runner.flakyservers import artifact
from bandit_runner.flakyservers.build import find_go, this_machine

PROBE = Path(__file__).parents[2] / "sandbox" / "probe"


def main() -> None:
    """Print the tables that were asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("tables", nargs="*", default=["starts", "serving", "calls"], help="starts, serving, calls")
    parser.add_argument("--rounds", type=int, default=20, help="of starts")
    parser.add_argument("--requests", type=int, default=4000, help="for each server and way of asking")
    wanted = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        if "starts" in wanted.tables:
            starts.print_table([str(_probe(folder)), "uid"], folder, wanted.rounds)
            starts.print_table([str(artifact()), "-h"], folder, wanted.rounds)
        if "serving" in wanted.tables:
            serving.print_table(artifact(), folder, wanted.requests)
        if "calls" in wanted.tables:
            calls.print_table(artifact(), folder)


def _probe(folder: Path) -> Path:
    """A program that does next to nothing, built for this machine."""
    go = find_go(os.environ, platformdirs.user_cache_path("binsafe") / "flakyservers")
    go.run("build", "-trimpath", "-buildvcs=false", "-o", str(folder / "probe"), ".", cwd=PROBE, target=this_machine())
    return folder / "probe"


if __name__ == "__main__":
    sys.exit(main())
