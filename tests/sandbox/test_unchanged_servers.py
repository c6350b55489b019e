"""Servers as people write them start at the first try under ``binsafe run --ports``, and answer a client outside."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import platformdirs
import pytest
from started import Started

from bandit_runner.flakyservers.build import find_go, this_machine

SOURCES = Path(__file__).parent / "unchanged"

pytestmark = [
    pytest.mark.sandbox,
    pytest.mark.timeout(300),
    pytest.mark.skipif(sys.platform != "linux", reason="the Linux sandbox needs Linux"),
]

V4, V6 = "127.0.0.1", "::1"
HOW_OFTEN = 8  # so that more than one worker is asked


class Case(NamedTuple):
    """What a user types after ``--ports :PORT``; {port}, {built} and {here} are put in. And where a client asks."""

    command: str
    asked_at: str = V4
    program: str = ""
    """What must be installed, or be built: the name of a builder below."""


QUICK = {
    "c dual stack": Case("{built} :: {port}", V4, "c"),
    "c prefork": Case("{built} 0.0.0.0 {port} prefork", V4, "c-static"),
    "rust": Case("{built} 127.0.0.1:{port}", V4, "rust"),
}
SLOW = {
    "c loopback": Case("{built} 127.0.0.1 {port}", V4, "c"),
    "c any": Case("{built} 0.0.0.0 {port}", V4, "c"),
    "c ::1": Case("{built} ::1 {port}", V6, "c"),
    "c reuseport": Case("{built} 127.0.0.1 {port} reuseport", V4, "c"),
    "c epoll before bind": Case("{built} 0.0.0.0 {port} epoll", V4, "c"),
    "c static ::1": Case("{built} ::1 {port}", V6, "c-static"),
    "c static reuseport": Case("{built} 0.0.0.0 {port} reuseport", V4, "c-static"),
    "c static epoll": Case("{built} :: {port} epoll", V4, "c-static"),
    "rust any": Case("{built} 0.0.0.0:{port}", V4, "rust"),
    "rust ::1": Case("{built} [::1]:{port}", V6, "rust"),
    "rust dual stack": Case("{built} [::]:{port}", V4, "rust"),
    "go loopback": Case("{built} 127.0.0.1:{port}", V4, "go"),
    "go :PORT": Case("{built} :{port}", V4, "go"),
    "go any": Case("{built} 0.0.0.0:{port}", V4, "go"),
    "go ::1": Case("{built} [::1]:{port}", V6, "go"),
    "go reuseport": Case("{built} 127.0.0.1:{port} reuseport", V4, "go"),
    "python http.server": Case(
        "/usr/bin/python3 -m http.server {port} --bind 127.0.0.1 --directory {built}", V4, "www"
    ),
    "python http.server ::": Case("/usr/bin/python3 -m http.server {port} --directory {built}", V4, "www"),
    "python threads": Case("/usr/bin/python3 {here}/server.py {port} 127.0.0.1 threads"),
    "python asyncio None": Case("/usr/bin/python3 {here}/server.py {port} None asyncio"),
    "python asyncio any": Case("/usr/bin/python3 {here}/server.py {port} 0.0.0.0 asyncio"),
    "python asyncio ::1": Case("/usr/bin/python3 {here}/server.py {port} ::1 asyncio", V6),
    "python prefork": Case("/usr/bin/python3 {here}/server.py {port} 0.0.0.0 prefork"),
    "python reuseport": Case("/usr/bin/python3 {here}/server.py {port} 127.0.0.1 reuseport"),
    "node :PORT": Case("node {here}/server.js {port}"),
    "node loopback": Case("node {here}/server.js {port} 127.0.0.1"),
    "node ::1": Case("node {here}/server.js {port} ::1", V6),
    "node cluster": Case("--exec {node} node {here}/server.js {port} cluster"),
    "java :PORT": Case("java -cp {built} Server {port}", V4, "java"),
    "java loopback": Case("java -cp {built} Server {port} 127.0.0.1", V4, "java"),
    "java ::1": Case("java -cp {built} Server {port} ::1", V6, "java"),
    "busybox httpd": Case("busybox httpd -f -p 127.0.0.1:{port} -h {built}", V4, "www"),
    "mini_httpd": Case("mini_httpd -D -p {port} -h 127.0.0.1 -d {built}", V4, "www"),
    "nginx any": Case("nginx -c {built}/any.conf", V4, "nginx"),
    "nginx loopback": Case("nginx -c {built}/loopback.conf", V4, "nginx"),
    "nginx dual stack": Case("nginx -c {built}/dual.conf", V4, "nginx"),
    "nginx ::1": Case("nginx -c {built}/v6.conf", V6, "nginx"),
    "nginx reuseport": Case("nginx -c {built}/reuseport.conf", V4, "nginx"),
}
LISTEN = {
    "any": "listen {port};",
    "loopback": "listen 127.0.0.1:{port};",
    "dual": "listen [::]:{port} ipv6only=off;",
    "v6": "listen [::1]:{port};",
    "reuseport": "listen 127.0.0.1:{port} reuseport;",
}


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that an ordinary user can reach."""
    with tempfile.TemporaryDirectory(dir="/var/tmp") as name:
        Path(name).chmod(0o755)
        yield Path(name)


@pytest.fixture(scope="session")
def builds() -> Iterator[Callable[[str], Path]]:
    """Return a function: what to build -> where it is, built once."""
    done: dict[str, Path] = {}
    with tempfile.TemporaryDirectory(dir="/var/tmp") as name:
        Path(name).chmod(0o755)

        def build(what: str) -> Path:
            if what not in done:
                done[what] = BUILDERS[what](Path(name))
            return done[what]

        yield build


def _compiled(into: Path, name: str, *command: str) -> Path:
    if shutil.which(command[0]) is None:
        pytest.skip(f"{command[0]} is not installed")
    subprocess.run([*command, "-o", str(into / name)], check=True, stderr=subprocess.DEVNULL, timeout=120)
    return into / name


def _go(into: Path) -> Path:
    binary = into / "server-go"
    go = find_go(os.environ, platformdirs.user_cache_path("binsafe") / "flakyservers")
    go.run("build", "-o", str(binary), str(SOURCES / "server.go"), cwd=SOURCES, target=this_machine())
    return binary


def _java(into: Path) -> Path:
    if shutil.which("javac") is None:
        pytest.skip("javac is not installed")
    classes = into / "classes"
    subprocess.run(["javac", "-d", str(classes), str(SOURCES / "Server.java")], check=True, timeout=120)
    return classes


def _www(into: Path) -> Path:
    (into / "www").mkdir()
    (into / "www" / "index.html").write_text("hello")
    return into / "www"


BUILDERS: dict[str, Callable[[Path], Path]] = {
    "c": lambda into: _compiled(into, "server-c", "gcc", "-O2", str(SOURCES / "server.c")),
    "c-static": lambda into: _compiled(into, "server-c-static", "gcc", "-O2", "-static", str(SOURCES / "server.c")),
    "rust": lambda into: _compiled(into, "server-rust", "rustc", "-O", str(SOURCES / "server.rs")),
    "go": _go,
    "java": _java,
    "www": _www,
}


def _nginx(into: Path, port: int) -> Path:
    template = (SOURCES / "nginx.conf").read_text()
    for name, listen in LISTEN.items():
        (into / f"{name}.conf").write_text(template.replace("@LISTEN@", listen.format(port=port)))
    return into


def _starts_and_answers(case: Case, folder: Path, port: int, builds: Callable[[str], Path]) -> None:
    built = _nginx(folder, port) if case.program == "nginx" else builds(case.program) if case.program else folder
    words = case.command.format(port=port, built=built, here=folder, node=os.path.realpath("/usr/bin/node")).split()
    program = next(word for word in words if word != "--exec" and word != os.path.realpath("/usr/bin/node"))
    if shutil.which(program) is None:
        pytest.skip(f"{program} is not installed")
    for name in ("server.py", "server.js"):
        shutil.copy(SOURCES / name, folder)
    read = ["--read", str(built)] if built.is_dir() else []
    start_in = built if built.is_dir() else None  # java opens the folder that it is started in
    with Started(folder, "--ports", f":{port}", *read, *words, start_in=start_in) as server:
        assert [server.get(case.asked_at, port) for _ in range(HOW_OFTEN)] == [b"hello"] * HOW_OFTEN
    assert "denied" not in server.said.read_text()
    assert server.left == set()


@pytest.mark.parametrize("name", QUICK)
def test_a_compiled_server_starts_at_the_first_try(name: str, folder: Path, free_port: Callable, builds: Callable):
    _starts_and_answers(QUICK[name], folder, free_port(), builds)


@pytest.mark.programs
@pytest.mark.parametrize("name", SLOW)
def test_a_server_starts_at_the_first_try(name: str, folder: Path, free_port: Callable, builds: Callable):
    _starts_and_answers(SLOW[name], folder, free_port(), builds)
