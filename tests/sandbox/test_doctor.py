"""The doctor finds out by doing: what it says is what a launch finds."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from binsafe import kernel
from binsafe.intake import trial
from binsafe.intake.confining import LANDLOCK, SECCOMP
from binsafe.sandbox import diagnose
from binsafe.sandbox.linux.supervisor import Supervisor

pytestmark = [
    pytest.mark.sandbox,
    pytest.mark.skipif(sys.platform != "linux", reason="the Linux sandbox needs Linux"),
]


def test_a_machine_that_runs_these_tests_is_found_fit():
    diagnosis = diagnose()
    assert diagnosis.default == "namespaces"
    assert {each.name: each.enforcement for each in diagnosis.backends}["namespaces"] == "full"


def test_parsers_are_confined_on_a_machine_that_runs_these_tests():
    said = subprocess.run([sys.executable, "-m", "binsafe", "doctor"], capture_output=True, text=True, check=True)
    assert "\nparsing       full\n" in said.stdout


@pytest.mark.parametrize(("missing", "level"), [("_seccomp", "partial"), ("_landlock", "partial"), ("both", "none")])
def test_what_does_not_confine_parsers_is_named(monkeypatch: pytest.MonkeyPatch, missing: str, level: str):
    names = ["_seccomp", "_landlock"] if missing == "both" else [missing]
    lacking = "".join(f"c.{name} = lambda *_, **__: False; " for name in names)
    start = f"import binsafe.intake.confining as c; {lacking}from binsafe.intake.trial import main; main()"
    monkeypatch.setattr(trial, "_START", start)
    assert trial.try_out() == (level, tuple({"_seccomp": SECCOMP, "_landlock": LANDLOCK}[n] for n in reversed(names)))


@pytest.mark.parametrize("abi", [0, 1, 2, 3, 4, 5, 6])
def test_what_an_older_landlock_lacks_is_held_by_other_layers(monkeypatch: pytest.MonkeyPatch, abi: int):
    """Debian 12 has version 2. Without namespaces files are Landlock's, so there it must have one."""
    monkeypatch.setattr(kernel, "landlock_abi", lambda: abi)
    found = {each.name: each.enforcement for each in diagnose().backends}
    assert (found["namespaces"], found["landlock"]) == ("full", "full" if abi else "none")


@pytest.mark.parametrize(("pattern", "named"), [("|/usr/bin/handler %P", "dumps"), ("core", "")])
def test_core_dumps_that_no_limit_stops_are_named(tmp_path: Path, pattern: str, named: str):
    """Many systems set a hard limit of 0, which stops none that are piped."""
    kernels = tmp_path / "core_pattern"
    kernels.write_text(pattern)
    code = (
        "import resource as r; r.setrlimit(r.RLIMIT_CORE, (0, 0)); from binsafe.sandbox.linux import probing;"
        f"probing._CORE_PATTERN = {str(kernels)!r}; print(*(gap.id for gap in probing.piped_dumps()))"
    )
    assert (
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == f"{named}\n"
    )


@pytest.mark.parametrize("backend", ["namespaces", "landlock"])
def test_the_first_call_of_the_trial_is_answered_however_late_its_start_is_heard_of(
    monkeypatch: pytest.MonkeyPatch, backend: str
):
    """The processes around it hold the pipe's other end for a moment: its bind() was once left to the kernel."""
    monkeypatch.setattr(Supervisor, "_read_status", lambda *_: None)
    diagnosis = diagnose()
    assert {each.name: each.enforcement for each in diagnosis.backends}[backend] != "none"


def test_it_says_the_same_on_a_busy_machine():
    """A filter that was installed between two looks for its listener was once taken for a stage that had died."""
    command = [sys.executable, "-m", "binsafe", "doctor", "--json"]
    asked = [subprocess.Popen(command, stdout=subprocess.PIPE) for _ in range(8)]
    told = [json.loads(process.communicate(timeout=60)[0]) for process in asked]
    assert [each["default"] for each in told] == ["namespaces"] * len(told)
    backends = [backend for each in told for backend in each["backends"][:2]]
    assert [backend for backend in backends if backend["enforcement"] == "none"] == []  # it says why it is none


SCARCE_PORTS = """
import contextlib, fcntl, itertools, socket, struct, sys, threading, time
from pathlib import Path
from binsafe.sandbox.linux.backend import Namespaces
Path("/proc/sys/net/ipv4/ip_local_port_range").write_text("40000 40001")
fcntl.ioctl(socket.socket(), 0x8914, struct.pack("16sh14x", b"lo", 1))  # SIOCSIFFLAGS, IFF_UP
def take_turns():
    for port in itertools.cycle((40000, 40001)):
        with contextlib.suppress(OSError), socket.socket() as taken:
            taken.bind(("127.0.0.1", port))
            time.sleep(0.01)
threading.Thread(target=take_turns, daemon=True).start()
sys.exit("".join(gap.reason for _ in range(8) for gap in Namespaces().probe().gaps))
"""


def test_no_port_is_chosen_before_it_is_bound():
    """Other programs' connections take ports, too: of two there is always one, and not always the same."""
    command = ["unshare", "--user", "--map-root-user", "--net", sys.executable, "-c", SCARCE_PORTS]
    assert subprocess.run(command, capture_output=True, text=True, check=False).stderr == "\n"
