"""The scan command, and small programs to find."""

import json
import subprocess
import sys
from pathlib import Path

from packed import ELF

ROOT = Path(__file__).parents[2]
BROKEN = b"\x7fELF" + bytes(60)


def elf(number: int) -> bytes:
    """Programs with different bytes."""
    return ELF + number.to_bytes(4, "little")


def binsafe(*arguments: str | Path, **options: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "binsafe", "scan", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=100, check=False, **options)


def lines(text: str) -> dict[str, dict[str, object]]:
    return {(each := json.loads(line))["path"]: each for line in text.splitlines()}
