"""The unit: its options, what it refuses to say, and what systemd itself thinks of it."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from made_policies import call, grant, make_policy, whole_cap

from binsafe.errors import CannotExpress
from binsafe.model import Policy
from binsafe.renderers import render

PORTS = [grant("listen", f"127.0.0.1:{port}", "tcp") for port in (4000, 4001)]


def unit(policy: Policy, **settings: bool):
    """Option -> values, in order."""
    options: dict[str, list[str]] = {}
    for line in render(policy, "systemd", binary="/opt/p", **settings).text.splitlines():
        if line and line[0] not in "#[":
            name, _, value = line.partition("=")
            options.setdefault(name, []).append(value)
    return options


def test_a_program_without_network():
    options = unit(make_policy(call("read"), grant("read", "/data"), grant("write", "/out")))
    assert options["PrivateNetwork"] == ["yes"]
    assert options["RestrictAddressFamilies"] == ["none"]
    assert options["ExecStart"] == ["/opt/p"]
    assert options["BindPaths"] == ["/out"]
    assert "/data" in options["BindReadOnlyPaths"]
    assert "read" in options["SystemCallFilter"][0].split()
    assert "connect" not in options["SystemCallFilter"][0].split()
    assert options["MemoryDenyWriteExecute"] == ["yes"]


def test_a_server_gets_its_ports_and_this_machine_alone():
    options = unit(make_policy(*PORTS, call("bind")))
    assert options["SocketBindDeny"] == ["any"]
    assert options["SocketBindAllow"] == ["tcp:4000", "tcp:4001"]
    assert options["IPAddressDeny"] == ["any"]
    assert options["IPAddressAllow"] == ["localhost"]
    assert "PrivateNetwork" not in options


def test_connections_by_address_and_not_by_name():
    options = unit(make_policy(grant("connect", "192.0.2.1:443", "tcp")))
    assert options["IPAddressAllow"] == ["192.0.2.1"]
    assert "connect" in options["SystemCallFilter"][0].split()
    named = make_policy(grant("connect", "example.org:443", "tcp"))
    with pytest.raises(CannotExpress, match="cannot name example"):
        render(named, "systemd")
    assert unit(named, allow_partial=True)["IPAddressAllow"] == ["any"]


def test_arguments_are_gaps():
    gaps = {gap.id for gap in render(whole_cap(), "systemd").gaps}
    assert {"systemd-setsockopt", "systemd-ioctl", "systemd-fcntl", "systemd-socket", "systemd-clone"} <= gaps
    assert not {"systemd-mmap", "systemd-mprotect"} & gaps


@pytest.mark.parametrize(
    ("name", "condition", "denied"),
    [
        ("mmap", "arg2 & PROT_EXEC == 0", "yes"),
        ("mmap", "arg2 & (PROT_WRITE | PROT_EXEC) == PROT_EXEC", "yes"),
        ("mmap", "arg2 & PROT_EXEC == PROT_EXEC", "no"),
        ("mprotect", "arg2 in {0x1, 0x3}", "yes"),
        ("mprotect", "arg2 in {0x1, 0x5}", "no"),
        ("pkey_mprotect", "arg2 & 0x4 == 0x4", "no"),
    ],
)
def test_code_may_be_made_only_where_a_call_for_it_is_granted(name: str, condition: str, denied: str):
    assert unit(make_policy(call(name, condition)))["MemoryDenyWriteExecute"] == [denied]


def test_homes_are_empty_and_what_is_granted_in_them_is_there():
    """Below what is made inaccessible systemd mounts nothing: a program in a home did not start (203/EXEC)."""
    assert unit(make_policy(grant("read", "/home/me/data")))["ProtectHome"] == ["tmpfs"]


@pytest.mark.parametrize(("written", "said"), [("/out", True), ("scratch", False)])
def test_who_may_write_to_a_folder_of_the_users(written: str, said: bool):
    gaps = {gap.id for gap in render(make_policy(grant("write", written)), "systemd").gaps}
    assert ("systemd-owner" in gaps) == said


@pytest.mark.parametrize("path", ['/a"b', "/a\\b", "/a$b", "/a:b", "/a;b", "/a#b"])
def test_paths_that_a_unit_cannot_hold(path: str):
    with pytest.raises(CannotExpress):
        render(make_policy(grant("read", path)), "systemd")


def test_a_percent_sign_is_no_specifier():
    assert unit(make_policy(grant("read", "/a%h")))["BindReadOnlyPaths"][-1] == "/a%%h"


@pytest.mark.each_user
@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed")
@pytest.mark.parametrize("ports", [False, True])
def test_systemd_knows_every_option_and_rates_the_unit_safe(tmp_path: Path, ports: bool):
    path = tmp_path / "server.service"
    path.write_text(
        render(make_policy(*(PORTS if ports else ()), *whole_cap().grants), "systemd", binary="/bin/true").text
    )
    done = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", "--no-pager", str(path)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert "Unknown key" not in done.stderr, done.stderr
    assert "Failed to parse" not in done.stderr, done.stderr
    rated = re.search(r"Overall exposure level for \S+: ([0-9.]+)", done.stdout)
    assert rated is not None, done.stdout + done.stderr
    assert float(rated[1]) <= 1.5


@pytest.mark.parametrize(
    ("condition", "families"),
    [("arg0 in {AF_INET, AF_INET6}", "AF_INET AF_INET6"), ("arg0 & 0xffffffff == AF_INET", "AF_INET"), ("", "none")],
)
def test_the_families_are_those_that_the_policy_lets_be_made(condition: str, families: str):
    made = [call("socket", condition)] if condition else []
    assert unit(make_policy(*PORTS, *made))["RestrictAddressFamilies"] == [families]
