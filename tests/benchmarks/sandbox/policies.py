"""The policy of a program, as a user derives it."""

import subprocess
import sys
from pathlib import Path


def derived(program: Path, folder: Path, *options: str) -> Path:
    """A policy file for a program."""
    policy = folder / f"{program.name}.policy.json"
    command = [sys.executable, "-m", "binsafe", "profile", "--for", "policy", *options, "--output", policy, program]
    subprocess.run(command, check=True, stderr=subprocess.DEVNULL)
    return policy
