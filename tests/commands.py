"""Our commands, each in a process of its own that is forked from one which has loaded all that they need.

To load it is most of what a short command costs. What a command reads, prints and ends with is what it is from a shell.
How commands start, what they load, and what signals and terminals do to them is for tests that start them whole, and so
is that two of them do the same: those of one test run share the seed of Python's hashes.
"""

import atexit
import importlib
import json
import os
import signal
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path

SECONDS = 60


class Ended(subprocess.CompletedProcess[str]):
    """How it ended; what it took, with all processes that it waited for; and the largest of them."""

    seconds: float
    kibibytes: int


def binsafe(*words: object, cwd: Path | None = None) -> Ended:
    """``binsafe WORDS`` with nothing on standard input; one at a time."""
    return _command("binsafe", *map(str, words), cwd=cwd)


def bandit_runner(*words: object, cwd: Path | None = None) -> Ended:
    """``bandit_runner WORDS``, in the same way."""
    return _command("bandit_runner", *map(str, words), cwd=cwd)


def _command(*words: str, cwd: Path | None) -> Ended:
    forks = _forks(words[0])
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        request = {"words": words, "cwd": str(cwd or Path.cwd()), "environment": dict(os.environ)}
        (folder / "request").write_text(json.dumps(request))
        print(folder, file=forks.stdin, flush=True)
        status, seconds, kibibytes = forks.stdout.readline().split()
        stdout, stderr = ((folder / each).read_text() for each in ("stdout", "stderr"))
    ended = Ended(words, int(status), stdout, stderr)
    ended.seconds, ended.kibibytes = float(seconds), int(kibibytes)
    return ended


@cache
def _forks(program: str) -> subprocess.Popen[str]:
    """The process that is forked, one for each program and worker of pytest: parsers load but the core of numpy."""
    command = [sys.executable, "-P", __file__, program]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    atexit.register(process.communicate)  # it ends where its standard input does
    return process


def _serve() -> None:
    """Carry out the requests that lie in the folders named on standard input; say how each ended."""
    _load(sys.argv[1])
    while folder := sys.stdin.readline().rstrip("\n"):
        if (pid := os.fork()) == 0:
            _become(Path(folder))
            return
        _, status, used = os.wait4(pid, 0)
        print(os.waitstatus_to_exitcode(status), used.ru_utime + used.ru_stime, used.ru_maxrss, flush=True)


def _load(program: str) -> None:
    from binsafe.cli import light

    light.load_paths()
    light.load_structs()
    light.load_click()
    if program != "binsafe":
        importlib.import_module("numpy")
        return
    from binsafe.cli import COMMANDS
    from binsafe.intake.loading import load
    from binsafe.intake.messages import Order
    from binsafe.model import Artifact

    for name in COMMANDS:
        importlib.import_module(f"binsafe.cli.{name}")
    load(Order(artifact=Artifact(path="", name="", size=0, sha256="")), b"MZ")


def _become(folder: Path) -> None:
    """The command itself."""
    request = json.loads((folder / "request").read_text())
    files = (
        (os.devnull, os.O_RDONLY),
        (folder / "stdout", os.O_CREAT | os.O_WRONLY),
        (folder / "stderr", os.O_CREAT | os.O_WRONLY),
    )
    for descriptor, (path, flags) in enumerate(files):
        os.close(descriptor)
        os.open(path, flags)  # gets the lowest number that is free
        os.set_inheritable(descriptor, True)
    os.chdir(request["cwd"])
    os.environ.clear()
    os.environ.update(request["environment"])
    sys.argv = request["words"]
    signal.alarm(SECONDS)
    importlib.import_module(f"{sys.argv[0]}.cli").main()


if __name__ == "__main__":
    _serve()
