"""Starts a Dask cluster on loopback, scans a folder on it, prints what the command prints."""

import subprocess
import sys

from distributed import LocalCluster


def main() -> int:
    with LocalCluster(n_workers=1, threads_per_worker=2, dashboard_address=None) as cluster:
        command = [sys.executable, "-m", "binsafe", "scan", sys.argv[1], "--cluster", cluster.scheduler_address]
        return subprocess.run(command, timeout=90, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
