"""Building the stand-in: the cache, the targets, the compilers that are found, and what can go wrong."""

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from importlib.metadata import distribution
from pathlib import Path

import pytest

from bandit_runner.flakyservers import artifact
from bandit_runner.flakyservers import build as build_module
from bandit_runner.flakyservers.build import (
    SOURCES,
    TARGETS,
    BuildFailed,
    Go,
    build,
    cache_folder,
    find_go,
    this_machine,
)
from binsafe.errors import BinsafeError, NotFound, UsageError

MAGIC = {
    # e_ident of a 64-bit little-endian file, then e_machine at 18: x86-64 is 62, AArch64 is 183 (elf.h)
    "linux/amd64": {0: b"\x7fELF\x02\x01", 18: b"\x3e\x00"},
    "linux/arm64": {0: b"\x7fELF\x02\x01", 18: b"\xb7\x00"},
    # MH_MAGIC_64, then cputype (mach-o/loader.h, mach/machine.h)
    "darwin/arm64": {0: b"\xcf\xfa\xed\xfe", 4: b"\x0c\x00\x00\x01"},
    "darwin/amd64": {0: b"\xcf\xfa\xed\xfe", 4: b"\x07\x00\x00\x01"},
    "windows/amd64": {0: b"MZ"},
}


@pytest.fixture
def empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, standin: Callable[[str], Path]):
    """A cache without builds that shares the compiler's own cache, so that a build only takes a moment."""
    standin(this_machine())
    cache = tmp_path / "cache"
    cache.mkdir()
    (cache / "go").symlink_to(cache_folder() / "go")
    monkeypatch.setattr(build_module, "cache_folder", lambda: cache)
    return cache


def fake_go(folder: Path, answer: str) -> str:
    """Put a program called go into a folder; return what PATH must be to find it."""
    (folder / "bin").mkdir(parents=True)
    program = folder / "bin" / "go"
    program.write_text(f"#!/bin/sh\n{answer}\n")
    program.chmod(0o755)
    return str(program.parent)


@pytest.mark.parametrize("target", TARGETS)
def test_every_target_is_built_for_its_system_and_processor(standin: Callable[[str], Path], target: str):
    binary = standin(target)
    content = binary.read_bytes()
    for offset, magic in MAGIC[target].items():
        assert content[offset : offset + len(magic)] == magic
    assert binary.name == ("flakyservers.exe" if target.startswith("windows") else "flakyservers")
    assert str(SOURCES).encode() not in content, "-trimpath leaves no folder of the builder"


@pytest.mark.usefixtures("empty_cache")
def test_a_second_build_comes_from_the_cache():
    said = []
    first = build(progress=said.append)
    before = first.stat()
    assert build(progress=said.append) == first
    assert first.stat().st_ino == before.st_ino
    assert said == [f"building flakyservers for {this_machine()}, about 30 s the first time"]


@pytest.mark.each_user
@pytest.mark.usefixtures("empty_cache")
def test_two_builders_at_once_agree():
    together = threading.Barrier(2, timeout=60)
    # Both wait at the progress line: neither may start before both have found the cache empty.
    with ThreadPoolExecutor(2) as pool:
        builders = [pool.submit(build, progress=lambda _: together.wait()) for _ in range(2)]
        binaries = {builder.result() for builder in builders}
    (binary,) = binaries
    assert [path.name for path in binary.parent.iterdir()] == ["flakyservers"], "nothing half-done is left"
    assert os.access(binary, os.X_OK)


def test_the_place_and_the_users_settings_do_not_change_the_bytes(
    empty_cache: Path, tmp_path: Path, standin: Callable[[str], Path]
):
    sources = tmp_path / "elsewhere"
    shutil.copytree(SOURCES, sources)
    hostile = os.environ | {
        "GOFLAGS": "-ldflags=-s",
        "GOAMD64": "v3",
        "GOARM64": "v9.0",
        "GOTOOLCHAIN": "go1.99.0",
        "GO111MODULE": "off",
        "GOOS": "plan9",
        "GOEXPERIMENT": "none",
        "GOROOT": "/nowhere",
        "CGO_ENABLED": "1",
    }
    binary = tmp_path / "made" / "flakyservers"
    build_module._compile(find_go(hostile, empty_cache), this_machine(), binary, sources)
    assert binary.read_bytes() == standin(this_machine()).read_bytes()


def test_a_copy_is_put_where_it_was_asked_for(standin: Callable[[str], Path], tmp_path: Path):
    original = standin(this_machine()).read_bytes()
    named = build(output=tmp_path / "new" / "servers")
    placed = build(output=tmp_path)
    assert (named, placed) == (tmp_path / "new" / "servers", tmp_path / "flakyservers")
    assert named.read_bytes() == placed.read_bytes() == original
    assert named.stat().st_mode & 0o777 == 0o755


def test_an_unknown_target_names_the_known_ones():
    with pytest.raises(UsageError, match="plan9/386") as caught:
        build("plan9/386")
    assert all(target in caught.value.hint for target in TARGETS)


def test_without_go_the_hint_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setattr(build_module.sysconfig, "get_path", lambda _: str(tmp_path))
    with pytest.raises(NotFound, match=r"needs Go 1\.22 or later") as caught:
        find_go({"PATH": str(tmp_path)}, tmp_path / "cache")
    assert caught.value.hint == "in the checkout: pip install '.[demo]'"


def test_an_old_go_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    path = fake_go(tmp_path / "old", f"printf 'go1.19.8\\n%s\\n' {tmp_path / 'old'}")
    monkeypatch.setattr(build_module.sysconfig, "get_path", lambda _: str(tmp_path))
    with pytest.raises(NotFound, match=r"old/bin/go is go1\.19\.8"):
        find_go({"PATH": path}, tmp_path / "cache")


@pytest.mark.parametrize(
    "answer", ["exit 3", "echo 'a board game'", "printf 'go1.19.8\\n/usr\\n'", "printf 'go1.30\\n/nowhere\\n'"]
)
def test_another_program_called_go_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answer: str):
    real = find_go(os.environ, cache_folder()).executable
    monkeypatch.setattr(build_module.sysconfig, "get_path", lambda _: str(real.parent))
    path = fake_go(tmp_path / "other", answer)
    assert find_go({"PATH": path}, tmp_path / "cache").executable == real


def test_go_is_asked_once_and_again_where_it_has_changed_or_has_to_compile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    go = find_go(os.environ, cache_folder())
    compiled: list[str] = []

    def compiling(go: Go, target: str, binary: Path) -> None:
        compiled.append(f"{go.version} {target}")
        binary.parent.mkdir()
        binary.touch()

    monkeypatch.setattr(build_module, "_compile", compiling)
    monkeypatch.setattr(build_module, "cache_folder", lambda: tmp_path / "cache")
    said = tmp_path / "said"
    path = fake_go(tmp_path / "other", f"echo >> {said}; printf 'go1.30\\n%s\\n' {go.executable.parent.parent}")
    monkeypatch.setenv("PATH", f"{path}:{os.environ['PATH']}")
    binaries = {build("linux/amd64") for _ in range(3)}
    assert (len(binaries), compiled, said.read_text()) == (1, ["go1.30 linux/amd64"], "\n")
    build("linux/arm64")
    assert said.read_text() == "\n\n"
    Path(path, "go").write_text(f"#!/bin/sh\nprintf 'go1.31.2\\n%s\\n' {go.executable.parent.parent}\n")
    assert build("linux/amd64") not in binaries
    (tmp_path / "cache" / "go.json").write_text("{")
    build("linux/amd64")
    assert compiled == ["go1.30 linux/amd64", "go1.30 linux/arm64", "go1.31.2 linux/amd64"]


def test_a_compiler_error_is_told(empty_cache: Path, tmp_path: Path):
    sources = tmp_path / "broken"
    shutil.copytree(SOURCES, sources)
    (sources / "broken.go").write_text("package main\n\nfunc broken() int { return nonsense }\n")
    binary = tmp_path / "made" / "flakyservers"
    with pytest.raises(BuildFailed, match="undefined: nonsense") as caught:
        build_module._compile(find_go(os.environ, empty_cache), this_machine(), binary, sources)
    assert caught.value.hint
    assert not binary.exists()


@pytest.mark.each_user
@pytest.mark.skipif(sys.platform != "linux", reason="looks for processes in /proc")
@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_a_build_that_is_broken_off_leaves_nothing_behind(tmp_path: Path, how: signal.Signals):
    """The go command leaves its compilers and its folder behind when it is killed: once 120 files a time."""
    words = [sys.executable, "-m", "bandit_runner", "servers", "--build-only"]
    temporary = tmp_path / "binsafe" / "flakyservers" / "go" / "tmp"
    with subprocess.Popen(words, env=os.environ | {"XDG_CACHE_HOME": str(tmp_path)}) as process:
        assert holds_within(60, lambda: any(temporary.rglob("go-build*")) and len(working_in(tmp_path)) > 1)
        process.send_signal(how)
    assert process.returncode == (130 if how == signal.SIGTERM else -how)
    assert holds_within(5, lambda: not working_in(tmp_path)), "no compiler goes on"
    assert how == signal.SIGKILL or list(temporary.iterdir()) == []


def test_what_a_killed_build_left_is_gone_after_a_later_one(tmp_path: Path):
    """SIGKILL gives no time to remove it; a build that goes on beside this one keeps its own."""
    left, new = tmp_path / "left", tmp_path / "new"
    for folder in (left, new):
        folder.mkdir()
        (folder / "go-build1").mkdir()
    os.utime(left, (0, 0))
    compiler = Path(fake_go(tmp_path / "other", 'echo made > "$3"')) / "go"  # go build -o FILE .
    go = Go(executable=compiler, version="go1.30", environment={"TMPDIR": str(tmp_path), "PATH": os.environ["PATH"]})
    build_module._compile(go, this_machine(), tmp_path / "made" / "flakyservers")
    assert (tmp_path / "made" / "flakyservers").read_text() == "made\n"
    assert new.exists()
    assert not left.exists()


def working_in(cache: Path) -> list[str]:
    """The go commands and compilers that were given this cache."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if f"GOPATH={cache}/".encode() in (process / "environ").read_bytes():
                found.append(process.name)
    return found


def holds_within(seconds: float, condition: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + seconds
    while not (held := condition()) and time.monotonic() < deadline:
        time.sleep(0.02)
    return held


def test_a_cache_that_cannot_be_written_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    (tmp_path / "file").touch()
    monkeypatch.setattr(build_module, "cache_folder", lambda: tmp_path / "file" / "cache")
    with pytest.raises(BinsafeError, match="cannot be stored") as caught:
        build()
    assert "writable" in caught.value.hint


def test_the_artifact_is_this_machines_build_and_says_nothing(
    standin: Callable[[str], Path], capfd: pytest.CaptureFixture[str]
):
    (entry,) = distribution("binsafe").entry_points.select(group="binsafe.artifacts", name="flakyservers")
    assert entry.load() is artifact
    assert artifact() == standin(this_machine())
    assert capfd.readouterr() == ("", "")


@pytest.mark.each_user
def test_its_name_costs_no_compiler_code():
    code = "import sys, bandit_runner.flakyservers; sys.exit('bandit_runner.flakyservers.build' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
