"""What only a Mac can show: ``pytest tests/macos -m mac -rA``. Nothing here has been run yet; Linux tests the rest.

Each test is one claim of README's "What is not there yet"; a failure says which one does not hold.
"""

import json
import os
import pty
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import inside
import pytest

from binsafe.intake import Found, Snapshot
from binsafe.model import Grant, Policy
from binsafe.model.policy import PolicyArtifact
from binsafe.renderers.seatbelt import render
from binsafe.sandbox.macos import SANDBOX_EXEC, SandboxExec
from binsafe.sandbox.macoslog import LogReader, stream_command
from binsafe.sandbox.reporting import Reporter

RENDERED = Path(__file__).parents[2] / "profiles" / "rendered" / "seatbelt"
BINSAFE = [sys.executable, "-m", "binsafe"]
PORTS = (*range(4000, 4010), *range(5000, 5010), *range(6000, 6010))

pytestmark = [
    pytest.mark.mac,
    pytest.mark.skipif(not os.access(SANDBOX_EXEC, os.X_OK), reason=f"{SANDBOX_EXEC} is on macOS only"),
]


def policy(*grants: Grant):
    artifact = PolicyArtifact(name="python", sha256="0" * 64, system="macos", arch=os.uname().machine)
    return Policy(artifact=artifact, baseline="deny_all", grants=grants)


def listen(port: int):
    return Grant(kind="listen", object=f"127.0.0.1:{port}", access="tcp", reason="for a test")


def accepts(port: int):
    with socket.socket() as client:
        client.settimeout(1)
        return client.connect_ex(("127.0.0.1", port)) == 0


def until(holds: Callable[[], bool], seconds: float = 30):
    deadline = time.monotonic() + seconds
    while not holds() and time.monotonic() < deadline:
        time.sleep(0.1)
    return holds()


@pytest.mark.parametrize("profile", sorted(RENDERED.glob("*.sb")), ids=lambda path: path.stem)
@pytest.mark.parametrize("program", ["/usr/bin/true", "/usr/bin/uname", "/bin/date"])
def test_a_profile_compiles_and_a_program_starts_under_it(profile: Path, program: str):
    command = [SANDBOX_EXEC, "-D", f"BINARY={program}", "-f", str(profile), program]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stderr) == (0, "")
    if program == "/bin/date":
        outside = subprocess.run([program, "+%Z"], capture_output=True, text=True, check=True).stdout
        assert subprocess.run([*command, "+%Z"], capture_output=True, text=True, check=True).stdout == outside


@pytest.fixture(scope="module")
def tried(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What a process could do that confined itself, on a terminal of its own."""
    with socket.create_server(("127.0.0.1", 0)) as free, socket.create_server(("127.0.0.1", 0)) as other:
        granted, taken = free.getsockname()[1], other.getsockname()[1]
        free.close()
        master, slave = pty.openpty()
        text = render(policy(listen(granted)), binary="/private/tmp/nobody", terminal=os.ttyname(slave)).text
        profile = tmp_path_factory.mktemp("mac") / "profile.sb"
        profile.write_text(text, encoding="utf-8")
        environment = os.environ | {"GRANTED_PORT": str(granted), "OTHER_PORT": str(taken)}
        command = [sys.executable, inside.__file__, str(profile)]
        ended = subprocess.run(command, env=environment, stdout=slave, stderr=subprocess.PIPE, text=True, check=False)
        os.close(master)
        os.close(slave)
    assert ended.returncode == 0, ended.stderr
    print(ended.stderr)
    said: dict[str, str] = json.loads(ended.stderr.splitlines()[-1])
    return said


@pytest.mark.parametrize("name", inside.ALLOWED)
def test_what_every_program_does_is_allowed(tried: dict[str, str], name: str):
    assert tried[name].startswith("done")


@pytest.mark.parametrize("name", inside.DENIED)
def test_everything_else_is_denied(tried: dict[str, str], name: str):
    assert tried[name].startswith("failed"), tried[name]
    assert "refused" not in tried[name], "it was not the profile that stopped it"


def test_the_doctor_finds_the_backend():
    assert SandboxExec().probe().level == "partial"


@pytest.fixture
def served(standin: Callable[[str], Path], tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """The stand-in under ``binsafe run``, with its denials in ``tmp_path / "denied.jsonl"``."""
    arch = {"x86_64": "amd64"}.get(os.uname().machine, "arm64")
    report = ["--report", str(tmp_path / "denied.jsonl")]
    command = [*BINSAFE, "run", "--yes", *report, "--ports", "30", str(standin(f"darwin/{arch}"))]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL) as running:
        yield running
        running.kill()


@pytest.mark.ports
@pytest.mark.usefixtures("thirty_ports")
def test_the_stand_in_serves_and_nothing_outlives_binsafe(served: subprocess.Popen[bytes], tmp_path: Path):
    assert until(lambda: all(map(accepts, PORTS))), [port for port in PORTS if not accepts(port)]
    served.send_signal(signal.SIGKILL)
    assert until(lambda: not any(map(accepts, PORTS)), 10)
    denied = [json.loads(line) for line in (tmp_path / "denied.jsonl").read_text().splitlines()]
    assert [each for each in denied if not each["expected"]] == [], "a server that behaves is denied nothing"


def test_denials_are_read_from_the_log(tmp_path: Path):
    """A name with a space, so that what the log makes of it is seen as well."""
    found = []
    reader = LogReader(policy(), Reporter(found.append), command=stream_command())
    profile = render(policy(Grant(kind="read", object="/bin/cat", reason="for a test")), binary="/bin/cat").text
    wanted = tmp_path.resolve() / "no such name"
    wanted.touch()
    with subprocess.Popen([SANDBOX_EXEC, "-p", profile, "/bin/cat", str(wanted)], stderr=subprocess.DEVNULL) as denied:
        reader.watch(denied.pid)
    until(lambda: any(each.object == str(wanted) for each in found), 10)
    reader.close()
    assert reader.trouble is None
    told = [each for each in found if each.object == str(wanted)]
    assert told, [each.sentence for each in found]
    assert told[0].operation.startswith("file-read")
    assert told[0].grant == f"--read {wanted}"


@pytest.mark.parametrize("agent", ["Firefox", "x" * 3000])
def test_a_quarantine_mark_is_read(tmp_path: Path, agent: str):
    path = tmp_path / "f"
    path.write_bytes(b"x")
    mark = f"0081;65a1b2c3;{agent};"
    subprocess.run(["/usr/bin/xattr", "-w", "com.apple.quarantine", mark, str(path)], check=True)
    with Snapshot.take(Found("f", path)) as snapshot:
        assert snapshot.artifact.quarantine is not None
