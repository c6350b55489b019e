"""The shipped baselines, and how baselines are found."""

import os
from pathlib import Path

import pytest

from binsafe import baselines
from binsafe.errors import BaselineError
from binsafe.model import Condition
from binsafe.policy.conditions import holds
from binsafe.policy.walls import NEEDS_CONDITION, WALLS

SERVER_NEEDS = {
    "accept4 bind listen socket setsockopt getsockopt getsockname getpeername shutdown sendto recvfrom",
    "read write readv writev pread64 pwrite64 close fcntl ioctl pipe2 eventfd2 epoll_create1 epoll_ctl epoll_pwait",
    "mmap mprotect munmap madvise brk clone futex sched_yield sched_getaffinity rt_sigaction rt_sigprocmask",
    "sigaltstack tgkill gettid getpid nanosleep clock_gettime getrandom openat newfstatat readlinkat prctl",
    "prlimit64 arch_prctl set_tid_address set_robust_list rseq uname",
}


def calls(name: str, *, without: str | None = None) -> set[str]:
    """The calls of a cap; ``without`` leaves out what needs a grant of that kind."""
    groups = (group for group in baselines.load(name).calls if without is None or group.needs != without)
    return {grant.object for group in groups for grant in group.grants}


def test_what_is_shipped():
    assert baselines.available() == ("any_program", "cli_tool", "deny_all", "flaky_servers", "network_server")


@pytest.mark.parametrize("name", baselines.available())
def test_each_stands_by_its_name_and_gives_reasons(name: str):
    baseline = baselines.load(name)
    assert baseline.name == name
    assert len(baseline.description) > 40
    reasons = [grant.reason for grant in baseline.grants] + [group.reason for group in baseline.calls]
    assert all(len(reason) > 15 for reason in reasons)
    assert len({group.name for group in baseline.calls}) == len(baseline.calls)


@pytest.mark.parametrize("name", ["cli_tool", "flaky_servers", "network_server"])
def test_what_a_connection_is_like_may_be_asked_and_not_set(name: str):
    """php-fpm asks for TCP_INFO, how many wait for its socket, and wrote an error each second."""
    grants = [grant for group in baselines.load(name).calls for grant in group.grants]
    for option in (11, 13):  # TCP_INFO, TCP_CONGESTION
        arguments = (0, 6, option, 0, 0, 0)
        may = {grant.object for grant in grants if "sockopt" in grant.object and holds(grant.when, arguments)}
        assert may == {"getsockopt"}


@pytest.mark.parametrize("name", baselines.available())
def test_no_cap_has_a_hole_in_the_walls(name: str):
    assert not calls(name) & set(WALLS)
    for group in baselines.load(name).calls:
        for grant in group.grants:
            assert grant.when or grant.object not in NEEDS_CONDITION | {"mmap", "mprotect", "arch_prctl"}


@pytest.mark.parametrize("name", baselines.available())
def test_each_baseline_limits_dumps_files_and_processes(name: str):
    limits = {grant.object: grant.access for grant in baselines.load(name).grants if grant.kind == "limit"}
    assert set(limits) == {"core", "nofile", "nproc"} | ({"fsize"} if name != "cli_tool" else set())
    assert limits["core"] == "0"


def test_flaky_servers_has_the_thirty_ports_and_what_servers_need():
    baseline = baselines.load("flaky_servers")
    assert baseline.ports is not None
    assert baseline.ports.ports == (*range(4000, 4010), *range(5000, 5010), *range(6000, 6010))
    assert {word for line in SERVER_NEEDS for word in line.split()} <= calls("flaky_servers")
    assert not any(grant.kind == "write" and grant.object != "/dev/null" for grant in baseline.grants)


def test_who_may_listen():
    assert [name for name in baselines.available() if baselines.load(name).may_listen] == [
        "flaky_servers",
        "network_server",
    ]
    assert not calls("cli_tool") & {"bind", "listen", "accept4"}
    assert not calls("cli_tool", without="connect") & {"socket", "connect"}
    sent = [grant for group in baselines.load("cli_tool").calls for grant in group.grants if grant.object == "sendto"]
    assert [Condition(argument=4, values=(0,)) in grant.when for grant in sent] == [True]  # to no address: by a pair
    assert calls("deny_all") == set()


OWN = "schema: binsafe.baseline/1\nname: mine\nextends: cli_tool\ndescription: one of the user's own\n"


def test_a_file_of_the_users(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "mine.yaml").write_text(OWN)
    assert baselines.load(str(tmp_path / "mine.yaml")).name == "mine"
    monkeypatch.chdir(tmp_path)
    assert baselines.load("mine.yaml").name == "mine"


def test_what_cannot_be_found_or_read(tmp_path: Path):
    os.mkfifo(tmp_path / "pipe.yaml")
    (tmp_path / "binary.yaml").write_bytes(b"\xff\xfe\x00")
    for name, message in (
        ("no_such", "there is no baseline 'no_such'"),
        (str(tmp_path / "missing.yaml"), "no such file"),
        (str(tmp_path), "no such file"),
        (str(tmp_path / "pipe.yaml"), "no such file"),
        (str(tmp_path / "binary.yaml"), "no UTF-8"),
    ):
        with pytest.raises(BaselineError, match=message) as caught:
            baselines.load(name)
        assert caught.value.hint


def test_errors_name_the_users_file(tmp_path: Path):
    path = tmp_path / "mine.yaml"
    path.write_text(OWN + "ports: 5\n")
    with pytest.raises(BaselineError, match="no mapping") as caught:
        baselines.load(str(path))
    assert str(caught.value).startswith(f"{path}:5:8: ")


def test_a_circle_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    for name, other in (("first", "second"), ("second", "first")):
        text = OWN.replace("mine", name).replace("cli_tool", other)
        (tmp_path / f"{name}.yaml").write_text(text)
    monkeypatch.setattr(baselines, "shipped", lambda _: tmp_path)
    with pytest.raises(BaselineError, match="first -> second -> first"):
        baselines.load("first")


def test_a_shipped_baseline_is_named_as_its_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "other.yaml").write_text(OWN.replace("extends: cli_tool\n", ""))
    monkeypatch.setattr(baselines, "shipped", lambda _: tmp_path)
    with pytest.raises(BaselineError, match="calls itself 'mine'"):
        baselines.load("other")
