"""The dashboard as a process beside `start`: it cannot slow the balancer down, and it ends with it."""

import contextlib
import importlib.util
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from bandit_runner.servers.ports import obstacle
from binsafe.cli.entry import note


def is_installed() -> bool:
    """Whether the extra ``dashboard`` is."""
    return all(importlib.util.find_spec(name) is not None for name in ("fastapi", "nicegui", "uvicorn"))


@contextlib.contextmanager
def dashboard(store: Path, port: int, *, wanted: bool) -> Iterator[bool]:
    """A dashboard while the block runs; yields whether there is one. It says its own address."""
    if not wanted or not is_installed():
        yield False
        return
    if port and (why := obstacle(port)):
        note(f"port {port} {why}: no dashboard (choose another with --dashboard-port)")
        yield False
        return
    watched, ours = os.pipe()
    command = [sys.executable, "-m", "bandit_runner", "dashboard", "--port", str(port), "--watched", str(watched)]
    try:
        process = subprocess.Popen(
            [*command, "--store", str(store)], pass_fds=(watched,), stdin=subprocess.DEVNULL, start_new_session=True
        )
    finally:
        os.close(watched)
    try:
        yield True
    finally:
        os.close(ours)
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
