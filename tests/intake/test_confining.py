"""A parser that a crafted file has taken over: it can compute and answer, and nothing else."""

import json
import os
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from binsafe import kernel
from binsafe.intake.owners import is_systems_own

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="parsers are confined on Linux only")

HERE = Path(__file__).parent


def test_who_was_taken_over_gets_nothing(tmp_path: Path):
    (tmp_path / "secret").write_text("secret")
    before = {path.name: path.stat().st_mode for path in tmp_path.iterdir()}
    with socket.create_server(("127.0.0.1", 0)) as listener:
        command = [sys.executable, str(HERE / "hostile_parser.py"), str(tmp_path), str(listener.getsockname()[1])]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == 0, done.stderr
        listener.setblocking(False)
        with pytest.raises(BlockingIOError):
            listener.accept()
    said = json.loads(done.stdout)
    assert said["outcomes"].pop("compute") == "done"
    assert not [name for name, outcome in said["outcomes"].items() if outcome == "done"]
    assert said["memory"] == "the parent's"
    assert {path.name: path.stat().st_mode for path in tmp_path.iterdir()} == before
    assert (tmp_path / "secret").read_text() == "secret"
    ended = {name for name, outcome in said["outcomes"].items() if outcome == "SIGSYS"}
    assert {"connect", "fork", "execve", "trace its parent", "signal its parent", "io_uring"} <= ended


def test_landlock_holds_files_and_connections_where_seccomp_is_missing(tmp_path: Path):
    if kernel.landlock_abi() < 4:
        pytest.skip("this kernel's Landlock knows no network")
    (tmp_path / "secret").write_text("secret")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = str(listener.getsockname()[1])
        command = [sys.executable, str(HERE / "hostile_parser.py"), str(tmp_path), port, "landlock alone"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    outcomes = json.loads(done.stdout)["outcomes"]
    assert outcomes.pop("stat a file") == "done"
    assert len(outcomes) > 10
    assert set(outcomes.values()) == {"errno 13"}


TAKEN_OVER = """
import json, os, struct, sys, time
import msgspec
from binsafe.intake import child, parsing, workers
from binsafe.intake.messages import Kind, send
child.WORKER_SECONDS = workers.WORKER_SECONDS = {seconds}
real = parsing.carry_out

def spin(seconds):  # who is confined cannot even sleep
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        pass

def hostile(order, content, connection, reach):
    body = msgspec.json.decode(real(order, content, connection, reach))
{body}

parsing.carry_out = hostile
workers.can_fork = lambda: True  # a worker that is a program of its own would not have this
from binsafe.cli import main
sys.exit(main())
"""


def inspected(tmp_path: Path, body: str, *arguments: str, seconds: float = 60) -> subprocess.CompletedProcess[str]:
    """What ``binsafe`` does with a parser that does this with the true answer, ``body``."""
    script = TAKEN_OVER.format(body="\n".join(f"    {line}" for line in body.splitlines()), seconds=seconds)
    environment = {**os.environ, "XDG_CACHE_HOME": str(tmp_path / "cache")}
    command = [sys.executable, "-c", script, *(arguments or ("inspect", sys.executable, "--json", "--no-syscalls"))]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, env=environment)


@pytest.mark.parametrize(
    ("body", "said"),
    {
        "os.kill(os.getppid(), 9)": "the file has probably taken it over",
        "body['artifact']['sha256'] = '0' * 64\nreturn json.dumps(body).encode()": "no report",
        "body['schema'] = 'binsafe.report/9'\nreturn json.dumps(body).encode()": "no report",
        "body['members'] = [{'path': 1}]\nreturn json.dumps(body).encode()": "no report",
        "body['slices'][0]['resolved'][1]['path'] = '/etc/shadow'\nreturn json.dumps(body).encode()": "no report",
        "return b'{\"x\":' * 1_000_000": "no report",
        "return b'[' * 10_000_000": "no report",
        "body['omitted'] = [''] * 3_000_000\nreturn json.dumps(body).replace(' ', '').encode()": "no report",
        "return b'\\xff' * 1000": "no report",
        "return json.dumps(body).encode() + bytes(20_000_000)": "more than 16,777,216 bytes",
        "connection.sendall(b'R' + bytes([255] * 4))\nconnection.recv(1)": "more than 16,777,216 bytes",
        "connection.sendall(b'?' + bytes(4))": "no report",
        "send(connection, Kind.MEMBER, b'9' * 5000)": "no report",
        "send(connection, Kind.ORDER, b'')\nconnection.recv(1)": "no report",
        "send(connection, Kind.LOAD, b'antigravity')\nconnection.recv(1)": "no report",
        "send(connection, Kind.LOAD, b'lief')\nconnection.recv(1)": "no report",
        "send(connection, Kind.ASK, b'?')\nconnection.recv(1)": "no report",
        "send(connection, Kind.OPEN, b'')\nreturn json.dumps(body).encode()": "no report",
        "while True: send(connection, Kind.OPEN, b'')\n": "no report",
        "os.write(2, b'\\x1b]0;all is well\\x07')\nos._exit(1)": "all is well",
        "os._exit(0)": "it said nothing",
    }.items(),
)
def test_an_answer_that_is_none_is_a_finding(tmp_path: Path, body: str, said: str):
    done = inspected(tmp_path, body)
    assert done.returncode == 3, done.stderr
    report = json.loads(done.stdout)
    assert not report["analysed"]
    assert report["verdict"]["level"] == "unknown"
    assert said in report["findings"][0]["detail"]
    assert "\x1b" not in done.stdout + done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    "body",
    [
        "connection.recv(1)",
        "connection.sendall(b'R')\nconnection.recv(1)",
        "while True: send(connection, Kind.MEMBER, b'1')\n",
        "while True:\n    send(connection, Kind.KEEP, bytes(100))\n    spin(0.1)",
    ],
)
def test_who_never_ends_is_ended(tmp_path: Path, body: str):
    """Also who says something all the time, each time within its time."""
    done = inspected(tmp_path, body, seconds=1)
    assert done.returncode == 3, done.stderr
    assert "did not end within 2 s; where this machine was busy, " in json.loads(done.stdout)["findings"][0]["detail"]


def test_a_true_answer_passes(tmp_path: Path):
    """Else the tests above could not fail."""
    done = inspected(tmp_path, "return json.dumps(body).encode()")
    assert done.returncode == 0, done.stderr


def test_who_parsed_one_file_of_a_scan_says_nothing_of_the_next(tmp_path: Path):
    for name in ("a", "b", "c"):
        (tmp_path / name).write_bytes(Path("/bin/true").read_bytes() + name.encode())
    lie = "body['findings'] = [] if getattr(parsing, 'taken', False) else body['findings']\nparsing.taken = True\n"
    scan = ("scan", str(tmp_path), "--jobs", "1")
    honest = inspected(tmp_path, "return json.dumps(body).encode()", *scan)
    lied = inspected(tmp_path, lie + "return json.dumps(body).encode()", *scan)
    assert honest.stdout.count("unsigned") == 3
    assert sorted(lied.stdout.splitlines()) == sorted(honest.stdout.splitlines())


SYSTEMS = [str(Path("/usr/bin", name).resolve()) for name in ("env", "id", "sort")]


def test_a_file_of_the_system_that_breaks_a_shared_parser_is_parsed_alone(tmp_path: Path):
    """So that what one does is never said of another."""
    broken = "parsing.count = getattr(parsing, 'count', 0) + 1\nif parsing.count == 2: os.abort()\n"
    scan = ("scan", *SYSTEMS, "--jobs", "1")
    sound = inspected(tmp_path, "return json.dumps(body).encode()", *scan)
    assert len(sound.stdout.splitlines()) == len(SYSTEMS)
    done = inspected(tmp_path, broken + "return json.dumps(body).encode()", *scan)
    assert sorted(done.stdout.splitlines()) == sorted(sound.stdout.splitlines())
    counted = inspected(tmp_path, "body['omitted'] = [str(os.getpid())]\nreturn json.dumps(body).encode()", *scan)
    assert len({json.loads(line)["report"]["omitted"][0] for line in counted.stdout.splitlines()}) == 1


def test_only_what_root_alone_can_have_put_there_is_the_systems(tmp_path: Path):
    assert all(is_systems_own(path) for path in SYSTEMS)
    (tmp_path / "mine").write_bytes(b"x")
    (tmp_path / "link").symlink_to(SYSTEMS[0])
    for path in (f"{tmp_path}/mine", f"{tmp_path}/link", f"/usr/..{tmp_path}/mine", "/usr/bin/no such thing", "env"):
        assert not is_systems_own(path)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can put files where they would be the system's")
@pytest.mark.parametrize("mode", [0o755, 0o775, 0o757])
def test_what_others_can_write_is_not_the_systems(mode: int):
    with tempfile.TemporaryDirectory(dir="/usr/lib") as folder:
        place = Path(folder, "program")
        place.write_bytes(b"x")
        Path(folder).chmod(mode)
        assert is_systems_own(str(place)) is (mode == 0o755)
        place.chmod(mode)
        os.chown(place, 65534, -1)
        assert not is_systems_own(str(place))
