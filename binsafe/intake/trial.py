"""What confines parsers on this machine, found out by doing it: a process of ours confines itself and then tries."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Literal

import msgspec

from binsafe.intake.confining import LANDLOCK, SECCOMP, SYSTEM, confine
from binsafe.model import Gap

_START = "import sys; sys.path.insert(0, sys.argv[1]); from binsafe.intake.trial import main; main()"
_PACKAGES = str(Path(__file__).resolve().parents[2])
_SECONDS = 30


class TrialResult(msgspec.Struct, frozen=True):
    """What that process says."""

    gaps: tuple[Gap, ...]
    opened: bool
    """Whether it could open a file."""


def try_out() -> tuple[Literal["full", "partial", "none"], tuple[Gap, ...]]:
    """How far this machine lets parsers be confined, and what is missing."""
    if sys.platform != "linux":
        return "none", (SYSTEM,)
    command = [sys.executable, "-P", "-c", _START, _PACKAGES]
    try:
        said = subprocess.run(command, capture_output=True, timeout=_SECONDS, check=True).stdout
        found = msgspec.json.decode(said, type=TrialResult)
    except (OSError, subprocess.SubprocessError, msgspec.MsgspecError) as error:
        return "none", (Gap(id="trial", reason=f"a process that confines itself does not work here: {error}"),)
    if found.opened or {SECCOMP, LANDLOCK} <= {*found.gaps}:
        return "none", found.gaps
    return "partial" if found.gaps else "full", found.gaps


def main() -> None:
    """What `try_out` starts."""
    gaps = confine()
    try:
        os.open("/", os.O_RDONLY)
        opened = True
    except OSError:
        opened = False
    os.write(1, msgspec.json.encode(TrialResult(gaps=gaps, opened=opened)))
    os._exit(0)
