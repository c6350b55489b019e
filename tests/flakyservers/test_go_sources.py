"""The Go sources have tests of their own, in their own language; here they are run."""

import os
import subprocess

import pytest

from bandit_runner.flakyservers.build import SOURCES, TARGETS, Go, cache_folder, find_go


@pytest.fixture(scope="module")
def go() -> Go:
    return find_go(os.environ, cache_folder())


def test_go_tests_pass(go: Go):
    try:
        result = go.run("test", "-v", "./...", cwd=SOURCES)
    except subprocess.CalledProcessError as error:
        pytest.fail(error.stdout + error.stderr)
    assert result.stdout.count("--- PASS") >= 15


@pytest.mark.parametrize("target", TARGETS)
def test_only_the_standard_library_is_used(go: Go, target: str):
    template = "{{if not .Standard}}{{.ImportPath}}{{end}}"
    imports = go.run("list", "-deps", "-f", template, ".", cwd=SOURCES, target=target)
    assert imports.stdout.split() == ["flakyservers"]


def test_sources_are_formatted(go: Go):
    gofmt = go.executable.with_name("gofmt" + go.executable.suffix)
    assert subprocess.run([gofmt, "-l", SOURCES], capture_output=True, text=True, check=True).stdout == ""
