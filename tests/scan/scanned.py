"""The scan command, and small programs to find."""

import json
import subprocess
from pathlib import Path

import commands
from packed import ELF

ROOT = Path(__file__).parents[2]
BROKEN = b"\x7fELF" + bytes(60)


def elf(number: int) -> bytes:
    """Programs with different bytes."""
    return ELF + number.to_bytes(4, "little")


def binsafe(*arguments: str | Path, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    return commands.binsafe("scan", *arguments, cwd=cwd)


def lines(text: str) -> dict[str, dict[str, object]]:
    return {(each := json.loads(line))["path"]: each for line in text.splitlines()}
