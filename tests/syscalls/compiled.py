"""Small programs and libraries in C, compiled here and analysed as `binsafe inspect` does."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from binsafe.intake import Found, Snapshot, inspect
from binsafe.model import Syscalls

needs_compiler = pytest.mark.skipif(
    sys.platform != "linux" or shutil.which("gcc") is None, reason="no gcc for Linux here"
)


def build(folder: Path, name: str, source: str, *options: str) -> Path:
    path = folder / name
    command = ["gcc", "-O2", "-x", "c", "-", "-o", str(path), *options, f"-L{folder}", f"-Wl,-rpath,{folder}"]
    subprocess.run(command, input=source, text=True, check=True)
    return path


def library(folder: Path, name: str, source: str, *options: str) -> Path:
    return build(folder, f"lib{name}.so", source, "-shared", "-fPIC", *options)


def calls(program: Path, loaded: tuple[Path, ...] = ()) -> Syscalls:
    with Snapshot.take(Found(program.name, program)) as snapshot:
        found = inspect(snapshot, loaded=loaded).slices[0].syscalls
    assert found is not None
    return found
