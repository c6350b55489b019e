"""A second battery, in C and against real targets: a server on 30 ports that also tries everything a hostile one would.

Each attempt wants an effect (a byte that arrives, a file that is read, a process that is reached), and says whether it
got it; ``targets`` has what is reached, outside.
"""

import errno
import http.client
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hostile_program import Backend, Ran, build_hostile, options, run
from targets import PORTS, Targets, free_ports, ports_beside, targets

DENIALS = {errno.EPERM, errno.EACCES, errno.ENOSYS, errno.ENOENT, errno.ESRCH, errno.EROFS, errno.EINVAL}
PATHS = {
    "host_key": "/etc/ssh/ssh_host_ed25519_key",
    "kernel_memory": "/proc/kcore",
    "kernel_configuration": "/proc/config.gz",
    "physical_memory": "/dev/mem",
    "virtual_machines": "/dev/kvm",
    "cgroups": "/sys/fs/cgroup/cgroup.procs",
    "debug": "/sys/kernel/debug/sleep_time",
    "modules": "/lib/modules",
    "tunnel": "/dev/net/tun",
    "fuse": "/dev/fuse",
}
"""Attempt -> what it reads, where not every machine has that."""
USUAL = {
    "mounts",
    "cgroups",
    "controlling_terminal",
    "terminal",
    "devices",  # where ttyname(3) looks
    "raise_nofile_by_one",  # of a limit that it was told of
    "own_program",
    "thp",  # as Ruby before it starts
    "tcp_mptcp",
    "udp_closing",
    "netlink_closing",
    "port_zero",
    "port_zero_any",
    "port_zero_v6",
    "grafted_rebind",
    "chdir_etc",
    "path_fd_folder",
    "path_fd_then_open",
    "readlink_localtime",
    "openat2_path",
    "out_of_memory_score",
    "openat2_read",
    "openat2_mode_three",
    "owner_opened_by_openat2",
}
"""Attempts that look like what C libraries and runtimes do; they are in the report all the same."""

pytestmark = [
    pytest.mark.sandbox,
    pytest.mark.timeout(300),
    pytest.mark.skipif(sys.platform != "linux", reason="the Linux sandbox needs Linux"),
    pytest.mark.skipif(shutil.which("gcc") is None, reason="gcc is not installed"),
]


OLDER = [
    pytest.param(Backend(name, abi), id=f"{name} with ABI {abi}", marks=pytest.mark.endurance)
    for name in ("namespaces", "landlock")
    for abi in (0, 1, 3, 4, 5, 6)
    if name == "namespaces" or abi > 0
]


@pytest.fixture(
    scope="module",
    params=[
        pytest.param(Backend("namespaces"), id="namespaces"),
        pytest.param(Backend("landlock"), id="landlock"),
        pytest.param(Backend("namespaces", 2), id="namespaces of Debian 12"),
        pytest.param(Backend("landlock", 2), id="landlock of Debian 12"),
        *OLDER,
    ],
)
def backend(request: pytest.FixtureRequest) -> Backend:
    """Each way to hold a program; Debian 12 (Linux 6.1) has Landlock's second version."""
    return request.param


@pytest.fixture(scope="module")
def outside(backend: Backend) -> Iterator[Targets]:
    """What all runs with a backend try to reach."""
    del backend  # made anew for each
    with targets() as made:
        yield made


@pytest.fixture(scope="module")
def ports(outside: Targets) -> list[int]:
    """What they are granted: always the same, so that the program is analysed once, and its policy remembered."""
    return ports_beside(outside)


@pytest.fixture(scope="module")
def ran(hostile: Path, backend: Backend, outside: Targets, ports: list[int]) -> Callable[..., Ran]:
    """Return a function that runs surfaces, once for all tests."""
    done: dict[tuple[str, ...], Ran] = {}

    def get(*surfaces: str) -> Ran:
        if surfaces not in done:
            done[surfaces] = run(hostile, outside, *surfaces, backend=backend, ports=ports)
        return done[surfaces]

    return get


SURFACES = (("network",), ("kernel",), ("files",), ("processes",))


@pytest.mark.parametrize("surfaces", SURFACES, ids="+".join)
def test_nothing_gets_through(ran: Callable[..., Ran], surfaces: tuple[str, ...], backend: Backend):
    outcome = ran(*surfaces)
    assert outcome.status == 0, outcome.said
    assert len(outcome.attempts) > 60
    held_by_landlock_alone = {"random_device_written"}  # nothing comes of what is written to /dev/urandom
    known = held_by_landlock_alone if backend.abi == 0 else set()
    assert {name for name, attempt in outcome.attempts.items() if attempt.done} <= known
    assert outcome.arrived == []


def test_what_a_server_must_do_works(ran: Callable[..., Ran]):
    outcome = ran("required")
    assert [name for name, attempt in outcome.attempts.items() if not attempt.done] == []
    assert len(outcome.attempts) >= 25


def test_what_a_server_must_do_works_with_libraries_too(tmp_path_factory: pytest.TempPathFactory):
    """Linked dynamically: what it needs is found through the C library, and its attempts are a linker's set."""
    program = build_hostile(tmp_path_factory.mktemp("dynamic") / "hostile")
    with targets() as outside:
        outcome = run(program, outside, "required", backend=Backend("namespaces"), ports=free_ports(PORTS + 2))
    assert [name for name, attempt in outcome.attempts.items() if not attempt.done] == []
    assert len(outcome.attempts) >= 25


@pytest.mark.parametrize("name", ["call_by_interrupt", "call_by_x32"])
def test_a_call_by_other_numbers_ends_it(ran: Callable[..., Ran], name: str):
    outcome = ran(name)
    assert (outcome.status, outcome.attempts) == (128 + signal.SIGSYS, {})
    assert "another architecture" in outcome.said


def test_what_is_denied_is_reported_with_its_object_and_what_would_grant_it(ran: Callable[..., Ran]):
    """At least 95 of 100, in one run; a state that was only looked at (a limit, a variable) is no denial."""
    attempts = {name: each for surfaces in SURFACES for name, each in ran(*surfaces).attempts.items()}
    absent = {name for name, path in PATHS.items() if not Path(path).exists()}  # so nobody could have read it
    denied = {
        name: each for name, each in attempts.items() if not each.done and each.errno in DENIALS and name not in absent
    }
    named = [
        name
        for name, each in denied.items()
        if any(all(violation[field] for field in ("operation", "object", "grant")) for violation in each.violations)
    ]
    missed = {name: errno.errorcode[each.errno] for name, each in denied.items() if name not in named}
    print(f"{len(named)} of {len(denied)} denied attempts are named; not: {missed}")
    assert len(denied) > 380
    assert len(named) >= 0.95 * len(denied), missed


def test_none_of_it_passes_for_what_ordinary_programs_do(ran: Callable[..., Ran]):
    """Only the kinds of look-ups that C libraries make by themselves are kept from the terminal."""
    attempts = {name: each for surfaces in SURFACES for name, each in ran(*surfaces).attempts.items()}
    quiet = {
        name
        for name, each in attempts.items()
        if each.violations and all(violation["expected"] for violation in each.violations)
    }
    assert quiet <= USUAL


def test_thirty_of_thirty_ports_answer_an_unchanged_client(
    hostile: Path, backend: Backend, outside: Targets, ports: list[int]
):
    granted, told = options(outside, backend.name, ports)
    command = [*backend.binsafe, "run", *granted, str(hostile), *told, "network", "kernel", "required", "stay"]
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, cwd="/"
    ) as own:
        try:
            assert any(b"served_on_all_ports" in line for line in own.stdout)
            assert [_answer(port) for port in ports[:PORTS]] == [b"okok"] * PORTS
        finally:
            own.send_signal(signal.SIGTERM)
            own.wait(20)


def _answer(port: int) -> bytes:
    """Two requests over one connection."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    said = b""
    for _ in range(2):
        connection.request("GET", "/")
        said += connection.getresponse().read()
    connection.close()
    return said
