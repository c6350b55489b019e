"""The filter against the policy's own meaning, on a machine of our own; and the same decisions as OCI's JSON."""

import json
from typing import Any

import pytest
from bpf_machine import simulate
from hypothesis import given
from hypothesis import strategies as st
from made_policies import call, grant, make_policy, whole_cap

from binsafe.errors import CannotExpress, UsageError
from binsafe.model import Condition, Grant, Policy
from binsafe.policy.conditions import holds
from binsafe.policy.walls import ALWAYS, WALLS
from binsafe.renderers.oci import render
from binsafe.renderers.seccomp import compile_filter, outcomes
from binsafe.syscalls import tables

ALLOW, NOTIFY, KILL, ENOSYS = 0x7FFF_0000, 0x7FC0_0000, 0x8000_0000, 0x0005_0000 | 38
X86_64, ARM64, I386, ARM = 0xC000_003E, 0xC000_00B7, 0x4000_0003, 0x4000_0028
ARCHES = {"x86_64": X86_64, "arm64": ARM64}
PROGRAMS = {arch: compile_filter(whole_cap(arch), arch) for arch in ARCHES}


def action(name: str, *arguments: int, arch: str = "x86_64", program: bytes | None = None):
    arguments = (*arguments, *[0] * (6 - len(arguments)))
    return simulate(program or PROGRAMS[arch], ARCHES[arch], tables.numbers(arch)[name], arguments)


def meaning(policy: Policy, name: str, arguments: tuple[int, ...]):
    """What a policy says of a call, straight from its grants."""
    if name == "clone3":
        return ENOSYS
    if name in ALWAYS:
        return ALLOW
    if name in {"bind", "execve", "execveat"}:
        return NOTIFY
    granted = (each for each in policy.of("syscall") if each.object == name)
    return ALLOW if any(holds(each.when, arguments) for each in granted) else NOTIFY


interesting = st.sampled_from(
    sorted(
        {value for each in whole_cap().grants for test in each.when for value in (*test.values, test.mask)}
        | {0, 1, 1 << 32, (1 << 32) | 2, (1 << 64) - 1, 0x2000_0000, 0x4001_0000}
    )
) | st.integers(0, (1 << 64) - 1)


@pytest.mark.parametrize("arch", ARCHES)
@given(data=st.data())
def test_the_filter_decides_as_the_policy_says(arch: str, data: st.DataObject):
    name = data.draw(st.sampled_from(sorted(tables.numbers(arch))))
    arguments = data.draw(st.tuples(*[interesting] * 6))
    assert action(name, *arguments, arch=arch) == meaning(whole_cap(arch), name, arguments)


@pytest.mark.parametrize("arch", ARCHES)
def test_each_number_is_found(arch: str):
    """Unconditional calls are allowed, all numbers that no name has are the supervisor's."""
    policy, names = whole_cap(arch), tables.names(arch)
    for number in range(max(names) + 50):
        got = simulate(PROGRAMS[arch], ARCHES[arch], number, (0,) * 6)
        assert got == (meaning(policy, names[number], (0,) * 6) if number in names else NOTIFY), number


@st.composite
def random_policies(draw: st.DrawFn):
    names = draw(
        st.lists(st.sampled_from(["read", "write", "dup", "mremap", "pipe", "statx"]), min_size=1, unique=True)
    )
    grants = []
    for name in names:
        for _ in range(draw(st.integers(1, 3))):
            tests = []
            for argument in draw(st.lists(st.integers(0, 5), min_size=1, max_size=3)):
                mask = draw(st.sampled_from([1, 0xF0, 0xFFFF_FFFF, 0xFFFF_FFFF << 32, (1 << 64) - 1, 1 << 40 | 1]))
                values = draw(st.lists(st.integers(0, 3) | interesting, min_size=1, max_size=4))
                unique = tuple(dict.fromkeys(value & mask for value in values))
                tests.append(Condition(argument=argument, mask=mask, values=unique))
            grants.append(Grant(kind="syscall", object=name, reason="r", when=tuple(tests)))
    return make_policy(*grants)


@given(random_policies(), st.data())
def test_any_conditions_decide_as_they_say(policy: Policy, data: st.DataObject):
    values = [value for each in policy.grants for test in each.when for value in test.values]
    arguments = data.draw(st.tuples(*[st.sampled_from(values) | interesting] * 6))
    program = compile_filter(policy, "x86_64")
    for name in {each.object for each in policy.grants}:
        assert action(name, *arguments, program=program) == meaning(policy, name, arguments)


@pytest.mark.parametrize(("arch", "others"), [("x86_64", [I386, ARM64, 0]), ("arm64", [ARM, X86_64, 0])])
def test_another_architecture_is_killed(arch: str, others: list[int]):
    for other in others:
        for number in (0, 1, 11, 59, 400):
            assert simulate(PROGRAMS[arch], other, number, (0,) * 6) == KILL


def test_x32_is_killed():
    for number in (0x4000_0000, 0x4000_0001, 0x4000_0208, 0x7FFF_FFFF, 0xFFFF_FFFF):
        assert simulate(PROGRAMS["x86_64"], X86_64, number, (0,) * 6) == KILL
    assert simulate(PROGRAMS["x86_64"], X86_64, 0x3FFF_FFFF, (0,) * 6) == NOTIFY


@pytest.mark.parametrize(
    ("name", "yes", "no"),
    [
        ("socket", (2, 1 | 0o2004000, 6), (1, 1, 0)),  # AF_UNIX
        ("socket", (10, 1, 0), (16, 3, 0)),  # AF_NETLINK
        ("socket", (2, 1, 0), (2, 2, 0)),  # UDP
        ("socket", (2, 1, 0), (2, 3, 0)),  # raw
        ("socket", (2, 1, 0), (2, 1, 262)),  # MPTCP
        ("socket", (2, 1, 0), (40, 1, 0)),  # AF_VSOCK
        ("mmap", (0, 4096, 3), (0, 4096, 7)),
        ("mprotect", (0, 4096, 1), (0, 4096, 5)),
        ("clone", (0x50F00,), (0x11,)),  # Go's thread flags; fork
        ("clone", (0x3D0F00,), (0x1003_0F00,)),  # pthread_create; CLONE_NEWUSER
        ("setsockopt", (3, 1, 2), (3, 41, 57)),  # IPV6_RTHDR: egress by routing header
        ("setsockopt", (3, 6, 1), (3, 6, 30)),  # TCP_FASTOPEN_CONNECT
        ("setsockopt", (3, 41, 26), (3, 1, 25)),  # SO_BINDTODEVICE
        ("getsockopt", (3, 6, 11), (3, 6, 19)),  # TCP_INFO; TCP_REPAIR
        ("fcntl", (3, 4, 0o4000), (3, 4, 0o20000)),  # O_ASYNC
        ("fcntl", (3, 3, 0), (3, 8, 1)),  # F_SETOWN
        ("fcntl", (3, 1030, 0), (3, 10, 9)),  # F_SETSIG
        ("ioctl", (1, 0x5401), (1, 0x5412)),  # TIOCSTI
        ("ioctl", (1, 0x5421), (1, 0x8912)),  # SIOCGIFCONF
        ("sendto", (3, 0, 1, 0x4000, 0), (3, 0, 1, 0, 0x7000)),  # an address
        ("sendto", (3, 0, 1, 0, 0), (3, 0, 1, 0x2000_0000, 0)),  # MSG_FASTOPEN
        ("prctl", (15,), (8,)),  # PR_SET_KEEPCAPS
        ("prctl", (0x53564D41, 0), (4, 1)),  # PR_SET_DUMPABLE
        ("prlimit64", (0, 7, 0), (0, 7, 0x7000)),
        ("prlimit64", (0, 7, 0), (1, 7, 0)),
        ("prlimit64", (0, 7, 0), (1 << 32, 7, 0)),
        ("arch_prctl", (0x1002,), (0x1001,)),  # ARCH_SET_GS
    ],
)
def test_the_shipped_conditions(name: str, yes: tuple[int, ...], no: tuple[int, ...]):
    assert action(name, *yes) == ALLOW
    assert action(name, *no) == NOTIFY


@pytest.mark.parametrize("name", sorted(set(WALLS) & set(tables.numbers("x86_64"))))
def test_walls_stand(name: str):
    assert action(name) == (ENOSYS if name == "clone3" else NOTIFY)
    with pytest.raises(UsageError, match=name):
        compile_filter(make_policy(call(name)), "x86_64")


@pytest.mark.parametrize("name", ["bind", "execve", "execveat"])
def test_the_supervisor_decides(name: str):
    assert action(name) == NOTIFY
    assert outcomes(make_policy(), "x86_64")[name] == NOTIFY


@pytest.mark.parametrize(
    ("policy", "arch", "message"),
    [
        (make_policy(call("brrk")), "x86_64", "no system call"),
        (make_policy(call("open"), arch="arm64"), "arm64", "no system call 'open'"),
        (make_policy(call("socket")), "x86_64", "cannot be granted whole"),
        (make_policy(), "arm64", "the policy is for linux on x86_64"),
        (make_policy(system="macos", arch="arm64"), "arm64", "the policy is for macos"),
        (
            make_policy(
                Grant(kind="syscall", object="read", reason="", when=(Condition(argument=0, mask=1, values=(2,)),))
            ),
            "x86_64",
            "can never hold",
        ),
        (
            make_policy(Grant(kind="syscall", object="read", reason="", when=(Condition(argument=6, values=(2,)),))),
            "x86_64",
            "can never hold",
        ),
    ],
)
def test_what_cannot_be_a_filter(policy: Policy, arch: str, message: str):
    with pytest.raises(UsageError, match=message):
        compile_filter(policy, arch)


def test_one_grant_without_conditions_opens_the_call_whole():
    for grants in ((call("dup", "arg0 == 1"), call("dup")), (call("dup"), call("dup", "arg0 == 1"))):
        assert action("dup", 7, program=compile_filter(make_policy(*grants), "x86_64")) == ALLOW


def test_the_filter_is_short_and_the_same_each_time():
    assert len(PROGRAMS["x86_64"]) // 8 < 560
    assert compile_filter(whole_cap(), "x86_64") == PROGRAMS["x86_64"]


# --- OCI --------------------------------------------------------------------------------------------------------------


RUNTIME = frozenset({"close", "fstatfs", "futex", "getdents64", "openat", "write"})
"""What runc itself calls under the filter."""


def oci_action(document: Any, name: str, arguments: tuple[int, ...]):
    """How a runtime reads it: the rules of a name are alternatives, the arguments of a rule must all match."""
    for rule in document["syscalls"]:
        if name in rule["names"]:
            tests = rule.get("args", [])
            assert all(test["op"] == "SCMP_CMP_MASKED_EQ" for test in tests)
            assert len({test["index"] for test in tests}) == len(tests)
            if all(arguments[test["index"]] & test["value"] == test["valueTwo"] for test in tests):
                return rule["action"]
    return document["defaultAction"]


OCI = {arch: json.loads(render(whole_cap(arch)).text) for arch in ARCHES}


@pytest.mark.parametrize("arch", ARCHES)
@given(data=st.data())
def test_oci_decides_as_the_filter(arch: str, data: st.DataObject):
    name = data.draw(st.sampled_from(sorted(tables.numbers(arch))))
    arguments = data.draw(st.tuples(*[interesting] * 6))
    expected = {ALLOW: "SCMP_ACT_ALLOW", NOTIFY: "SCMP_ACT_ERRNO", ENOSYS: "SCMP_ACT_ERRNO"}
    special = {"execve": "SCMP_ACT_ALLOW", "bind": "SCMP_ACT_ERRNO"} | dict.fromkeys(
        RUNTIME - {each.object for each in whole_cap(arch).of("syscall")}, "SCMP_ACT_ALLOW"
    )
    wanted = special.get(name, expected[meaning(whole_cap(arch), name, arguments)])
    assert oci_action(OCI[arch], name, arguments) == wanted


def test_oci_names_its_architecture_and_its_gaps():
    profile = render(whole_cap("arm64"))
    assert json.loads(profile.text)["architectures"] == ["SCMP_ARCH_AARCH64"]
    assert json.loads(profile.text)["defaultErrnoRet"] == 38
    assert {"oci-exec", "oci-runtime"} <= {gap.id for gap in profile.gaps}


@pytest.mark.parametrize(
    ("partial", "action", "said"),
    [(False, "SCMP_ACT_NOTIFY", "bind waits for a listener"), (True, "SCMP_ACT_ALLOW", "any port can be bound")],
)
def test_oci_asks_for_a_listener_only_where_ports_are_granted(partial: bool, action: str, said: str):
    profile = render(make_policy(grant("listen", "127.0.0.1:4000", "tcp")), allow_partial=partial)
    assert oci_action(json.loads(profile.text), "bind", (0,) * 6) == action
    assert any(gap.reason.startswith(said) for gap in profile.gaps)
    alone = json.loads(render(make_policy(call("openat", "arg2 == 0")), allow_partial=partial).text)
    assert "SCMP_ACT_NOTIFY" not in json.dumps(alone)  # runc: "listenerPath is not set"
    assert oci_action(alone, "bind", (0,) * 6) == "SCMP_ACT_ERRNO"
    assert oci_action(alone, "openat", (0, 0, 1, 0, 0, 0)) == "SCMP_ACT_ERRNO"


def test_a_connect_grant_is_refused_or_a_gap():
    policy = make_policy(grant("connect", "example.org:443", "tcp"))
    with pytest.raises(CannotExpress, match="address of connect"):
        render(policy)
    assert any("example.org:443 stays denied" in gap.reason for gap in render(policy, allow_partial=True).gaps)
