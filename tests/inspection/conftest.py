"""Real programs that the stand-in cannot stand in for."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from bandit_runner.flakyservers.build import cache_folder, find_go

HELLO = 'package main\n\nimport "os"\n\nfunc main() { os.Stdout.WriteString("hello\\n") }\n'


@pytest.fixture(scope="session")
def go_program(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., bytes]:
    """Return a function: options of ``go build`` and a target -> the bytes of a program that only greets."""
    go = find_go(os.environ, cache_folder())

    def built(*options: str, target: str = "linux/amd64") -> bytes:
        folder: Path = tmp_path_factory.mktemp("hello")
        (folder / "main.go").write_text(HELLO)
        (folder / "go.mod").write_text("module example.org/hello\n\ngo 1.22\n")
        go.run("build", *options, "-o", "made", ".", cwd=folder, target=target)
        return (folder / "made").read_bytes()

    return built
