"""The wheel, installed somewhere else, has all it needs: the three lines that must always work."""

import runpy
import subprocess
import sys
import sysconfig
import tomllib
import venv
from pathlib import Path

import pytest

pytestmark = pytest.mark.once

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def scripts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The scripts folder of a fresh environment that has the wheel, and the dependencies of this one."""
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    subprocess.run(build, check=True, capture_output=True)
    (wheel,) = folder.glob("*.whl")
    home = folder / "venv"
    venv.create(home, with_pip=False)
    python = home / "bin" / "python"
    pip = [sys.executable, "-m", "pip", "--python", str(python), "install", "--no-deps", "--no-index", "--no-compile"]
    subprocess.run([*pip, "--quiet", str(wheel)], check=True)
    ask = "import sysconfig; print(sysconfig.get_path('purelib'))"
    site = Path(subprocess.run([python, "-c", ask], check=True, capture_output=True, text=True).stdout.strip())
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return home / "bin"


def run(scripts: Path, folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
    path = f"{sysconfig.get_path('scripts')}:/usr/bin:/bin"  # for the Go compiler of the extra `demo`
    import os

    environment = os.environ | {"PATH": path}
    return subprocess.run(
        [str(scripts / command[0]), *command[1:]],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


def test_the_code_comes_from_the_wheel(scripts: Path, tmp_path: Path):
    code = (
        "import binsafe, bandit_runner; from binsafe import baselines; print(binsafe.__file__, baselines.available())"
    )
    done = run(scripts, tmp_path, "python", "-c", code)
    assert str(scripts.parent) in done.stdout
    assert "flaky_servers" in done.stdout


def test_the_wheel_inspects_the_stand_in(scripts: Path, tmp_path: Path):
    done = run(scripts, tmp_path, "binsafe", "inspect", "flakyservers")
    assert done.returncode == 0, done.stderr
    assert "Go version 1." in done.stdout


def test_the_wheel_writes_a_profile_of_thirty_ports(scripts: Path, tmp_path: Path):
    done = run(scripts, tmp_path, "binsafe", "profile", "--ports", "30")
    assert done.returncode == 0, done.stderr
    assert "127.0.0.1:6009" in done.stdout


@pytest.mark.ports
@pytest.mark.sandbox
@pytest.mark.skipif(sys.platform != "linux", reason="the Linux sandbox needs Linux")
@pytest.mark.usefixtures("thirty_ports")
def test_the_wheel_starts_servers_and_plays(scripts: Path, tmp_path: Path):
    done = run(scripts, tmp_path, "bandit_runner", "start", "--requests", "3", "--rps", "50", "--port", "0")
    assert done.returncode == 0, done.stderr
    assert "T3" in done.stdout


def test_too_old_a_python_is_told_before_pip_looks_for_dependencies(monkeypatch: pytest.MonkeyPatch):
    hook = runpy.run_path(str(ROOT / ".ci" / "oldest_python.py"))
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["requires-python"]
    assert declared == ">=" + ".".join(map(str, hook["OLDEST"]))
    build = hook["OldestPython"](str(ROOT), {}, None, None, "", "wheel")
    build.initialize("standard", {})
    monkeypatch.setattr(sys, "version_info", (3, 10, 13, "final", 0))
    with pytest.raises(SystemExit, match=r"needs Python 3\.11 or later, and this is Python 3\.10"):
        build.initialize("standard", {})
