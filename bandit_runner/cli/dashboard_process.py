"""The dashboard as a process beside `start`: it cannot slow the balancer down, and it ends with it."""

import contextlib
import importlib.util
import os
import shlex
import subprocess
import sys
import threading
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
    leaving = threading.Event()
    teller = threading.Thread(target=_tell_end, args=(process, store, leaving), name="dashboard-end", daemon=True)
    teller.start()
    try:
        yield True
    finally:
        leaving.set()
        os.close(ours)
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        teller.join()  # Python aborts when it ends while a thread of it still writes


def _tell_end(process: subprocess.Popen[bytes], store: Path, leaving: threading.Event) -> None:
    """Say that the dashboard has ended before it was to: on its pages all that is seen is that nothing moves."""
    status = process.wait()
    if not leaving.is_set():
        again = shlex.join(["bandit_runner", "dashboard", "--store", str(store)])
        note(f"the dashboard has ended (status {status}), and nothing else with it; to see the runs again: {again}")
