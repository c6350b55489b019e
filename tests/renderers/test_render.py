"""The registry: each mechanism renders, the same each time; those of another system refuse."""

import json

import pytest
from made_policies import grant, make_policy, whole_cap

from binsafe.errors import CannotExpress, UsageError
from binsafe.policy import read_policy
from binsafe.renderers import RENDERERS, linux, render

POLICIES = {"linux": whole_cap(), "macos": make_policy(system="macos", arch="arm64")}
FITTING = {
    "linux": ["linux", "seccomp", "landlock", "bwrap", "systemd", "policy"],
    "macos": ["macos", "seatbelt", "policy"],
}


@pytest.mark.parametrize(("system", "mechanism"), [(s, m) for s, names in FITTING.items() for m in names])
def test_rendering_is_deterministic_and_ends_with_a_line(system: str, mechanism: str):
    profile = render(POLICIES[system], mechanism)
    assert profile == render(POLICIES[system], mechanism)
    assert profile.text.endswith("\n")
    assert all(gap.reason for gap in profile.gaps)


@pytest.mark.parametrize(
    ("system", "mechanism"), [(s, m) for s, names in FITTING.items() for m in RENDERERS if m not in names]
)
def test_another_systems_mechanism_is_a_usage_error(system: str, mechanism: str):
    with pytest.raises(UsageError, match=f"is a program for {system}") as caught:
        render(POLICIES[system], mechanism)
    assert f"--for {FITTING[system][0]}" in caught.value.hint


def test_an_unknown_mechanism():
    with pytest.raises(UsageError, match="'selinux'") as caught:
        render(POLICIES["linux"], "selinux")
    assert "seccomp" in caught.value.hint


def test_the_policy_is_read_back():
    assert read_policy(render(whole_cap(), "policy").text, "p.json") == whole_cap()


def test_the_linux_document():
    policy = make_policy(
        grant("execute", "artifact"), grant("limit", "nofile", "64"), grant("listen", "127.0.0.1:4000", "tcp")
    )
    document = json.loads(render(policy, "linux").text)
    assert list(document) == ["schema", "policy", "seccomp", "landlock", "namespaces", "limits", "gaps"]
    assert document["schema"] == "binsafe.profile/1"
    assert read_policy(json.dumps(document["policy"]), "p.json") == policy
    assert document["limits"] == {"nofile": 64}
    assert set(document["namespaces"]) == {"user", "net", "pid", "mount", "ipc", "uts", "cgroup"}
    assert document["gaps"] == []


def test_a_program_that_was_not_inspected_is_refused_or_a_gap():
    policy = make_policy(grant("execute", "/bin/ls"))
    with pytest.raises(CannotExpress, match="stays denied"):
        render(policy, "linux")
    profile = render(policy, "linux", allow_partial=True)
    assert len(profile.gaps) == 1
    assert json.loads(profile.text)["gaps"][0]["id"] == profile.gaps[0].id
    assert list(linux.gaps(policy)) == list(profile.gaps)


@pytest.mark.parametrize("mechanism", ["landlock", "seatbelt"])
def test_what_may_only_be_read_below_what_may_be_written_is_refused_or_a_gap(mechanism: str):
    """Both only ever add rights."""
    system = "macos" if mechanism == "seatbelt" else "linux"
    beside = (
        grant("read", "/data"),
        grant("read", "/datas/a"),
        grant("write", "/data"),
        grant("read", "/data/x", "library"),
    )
    assert not any("read-only" in gap.id for gap in render(make_policy(*beside, system=system), mechanism).gaps)
    policy = make_policy(*beside, grant("read", "/data/kept"), system=system)
    with pytest.raises(CannotExpress, match="/data/kept lies in /data"):
        render(policy, mechanism)
    (gap,) = [gap for gap in render(policy, mechanism, allow_partial=True).gaps if "read-only" in gap.id]
    assert "/data/kept" in gap.reason
