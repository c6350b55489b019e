"""How the hostile server in C is built (its sources are in ``hostile``)."""

import subprocess
from pathlib import Path

_SOURCES = sorted(map(str, (Path(__file__).parent / "hostile").glob("*.c")))


def build_hostile(program: Path, *options: str) -> Path:
    """The program, in the order of its sources: an attempt's number is its place."""
    command = ["gcc", "-O1", "-w", *options, "-fno-toplevel-reorder", "-o", str(program), *_SOURCES]
    subprocess.run(command, check=True, timeout=120)
    return program
