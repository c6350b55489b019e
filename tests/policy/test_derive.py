"""Deriving: the cap holds whatever a report says, and fewer facts never grant more."""

import math

import msgspec
import pytest
from derived import ALL_CALLS, FLAKY, calls_of, denied, permissions, policy_of
from hypothesis import given
from hypothesis import strategies as st
from made_reports import make_report, make_slice, network, syscalls

from binsafe import baselines
from binsafe.model import ArgumentValues
from binsafe.policy import Request, default_baseline, read_policy
from binsafe.policy.conditions import holds
from binsafe.policy.walls import ALWAYS, WALLS


def cap_of(needs: set[str | None]):
    groups = (group for group in FLAKY.calls if group.needs in needs)
    return {(grant.object, grant.when) for group in groups for grant in group.grants} | {(name, ()) for name in ALWAYS}


CAP = cap_of({None, "dynamic", "jit", "write"})
"""Every call that may ever be granted under the baseline, with the conditions it then carries."""


# --- the three properties -------------------------------------------------------------------------------------------


@given(st.sets(st.sampled_from(ALL_CALLS)), st.booleans(), st.booleans())
def test_no_call_beyond_the_cap_is_granted_whatever_a_report_says(
    required: set[str], complete: bool, analysed_calls: bool
):
    calls = syscalls(*sorted(required), complete=complete) if analysed_calls else None
    policy = policy_of(calls=calls)
    assert {(grant.object, grant.when) for grant in policy.of("syscall")} <= CAP


@pytest.mark.parametrize("complete", [True, False])
@pytest.mark.parametrize("linkage", ["static", "dynamic"])
@pytest.mark.parametrize("asked", [Request(), Request(write=("/data",)), Request(jit=True)])
def test_a_hostile_file_that_contains_every_system_call_gets_the_cap_and_no_more(
    complete: bool, linkage: str, asked: Request
):
    policy = policy_of(asked, calls=syscalls(*ALL_CALLS, complete=complete), linkage=linkage)
    granted = {(grant.object, grant.when) for grant in policy.of("syscall")}
    given = {None, *(["dynamic"] if linkage == "dynamic" else []), *(["write"] if asked.write else [])}
    cap = cap_of(given | ({"jit"} if asked.jit else set()))
    assert granted == {(name, when) for name, when in cap if name in ALL_CALLS}
    assert not calls_of(policy) & set(WALLS)
    refused = set(ALL_CALLS) - calls_of(policy)
    words = " ".join(denied(policy))
    assert all(name in words for name in refused)
    assert {"connect out", "execute another program by execve", "start another process by fork"} <= set(denied(policy))


@given(
    st.sets(st.sampled_from(ALL_CALLS)),
    st.sets(st.sampled_from(ALL_CALLS)),
    st.sets(st.sampled_from(["socket", "bind", "listen", "accept", "connect"])),
    st.sets(st.sampled_from(["socket", "bind", "listen", "accept", "connect"])),
    st.booleans(),
)
def test_fewer_facts_of_the_same_completeness_never_grant_more(
    calls: set[str], more_calls: set[str], uses: set[str], more_uses: set[str], complete: bool
):
    less = policy_of(calls=syscalls(*sorted(calls), complete=complete), uses=network(*sorted(uses)))
    more = policy_of(
        calls=syscalls(*sorted(calls | more_calls), complete=complete), uses=network(*sorted(uses | more_uses))
    )
    assert permissions(less) <= permissions(more)


@given(st.sets(st.sampled_from(ALL_CALLS)))
def test_an_incomplete_analysis_wins_no_more_than_the_assumed_groups(required: set[str]):
    complete = policy_of(calls=syscalls(*sorted(required)))
    incomplete = policy_of(calls=syscalls(*sorted(required), complete=False))
    assumed = {
        (grant.kind, grant.object, grant.access, grant.when)
        for group in FLAKY.calls
        if group.assumed and group.needs is None
        for grant in group.grants
    }
    assert permissions(incomplete) - permissions(complete) <= assumed
    for grant in incomplete.of("syscall"):
        guessed = grant.object not in required and grant.object not in ALWAYS
        assert ("analysis not complete" in grant.reason) == guessed
        assert not (guessed and grant.evidence)


def test_a_group_that_is_not_assumed_is_not_taken_when_nothing_is_known():
    from binsafe.policy.parsing import parse

    text = (
        "schema: binsafe.baseline/1\nname: mine\ndescription: d\nsyscalls:\n"
        "  - {group: a, reason: r, assumed: true, calls: [read]}\n  - {group: b, reason: r, calls: [write]}\n"
    )
    policy = policy_of(baseline=parse(text, "mine.yaml"), calls=None)
    assert calls_of(policy) == {"read", *ALWAYS}


def test_what_is_proved_and_the_cap_become_one_test_of_an_argument():
    facts = tuple(
        ArgumentValues(argument=number, values=values, mask=0xFFFF_FFFF)
        for number, values in enumerate([(1, 2), (1, 0x80001, 0x800001), (0,)])
    )
    policy = policy_of(calls=syscalls("socket", socket=facts))
    (grant,) = [grant for grant in policy.of("syscall") if grant.object == "socket"]
    assert grant.access == "arg0 == AF_INET and arg1 in {SOCK_STREAM, 0x80001} and arg2 == 0"


@given(
    st.lists(st.tuples(st.integers(0, 5), st.sets(st.sampled_from([0, 1, 2, 6, 10, 41, 0x80801]), min_size=1))),
    st.sampled_from(["socket", "setsockopt", "fcntl", "clone", "mmap", "read"]),
    st.tuples(*[st.sampled_from([0, 1, 2, 6, 10, 26, 41, 0x80801, 0x3D0F00])] * 6),
)
def test_what_is_proved_of_arguments_only_ever_narrows(
    proved: list[tuple[int, set[int]]], name: str, arguments: tuple[int, ...]
):
    """The narrowed grants allow what the proofs leave possible of the cap: no less, and never more than the cap."""
    values = tuple(ArgumentValues(argument=number, values=tuple(sorted(some))) for number, some in proved)
    cap = policy_of(calls=syscalls(name)).of("syscall")
    policy = policy_of(calls=syscalls(name, **{name: values}))
    allowed = any(holds(grant.when, arguments) for grant in policy.of("syscall") if grant.object == name)
    by_cap = any(holds(grant.when, arguments) for grant in cap if grant.object == name)
    needed = by_cap and all(arguments[each.argument] in each.values for each in values)
    assert needed <= allowed <= by_cap
    if math.prod(len(each.values) for each in values) <= 4:  # many forms are more than a condition may have
        assert allowed == needed
    assert read_policy(msgspec.json.encode(policy).decode(), "p.json") == policy


def test_what_an_incomplete_analysis_proved_counts_for_nothing():
    values = (ArgumentValues(argument=0, values=(2,)),)
    policy = policy_of(calls=syscalls("socket", complete=False, socket=values))
    assert [grant.when for grant in policy.of("syscall") if grant.object == "socket"] == [
        when for name, when in CAP if name == "socket"
    ]


# --- what is denied -------------------------------------------------------------------------------------------------


def test_denied_says_where_it_could_connect_out():
    policy = policy_of(
        calls=syscalls("connect", "execve", "ptrace", "mkdir"), uses=network("listen", "connect", "resolve")
    )
    found = denied(policy)
    assert {item.address for item in found["connect out"].evidence} == {"0x401001", "0x500000"}
    assert found["execute another program by execve"].evidence[0].address == "0x500001"
    assert "another process" in found["system call ptrace"].reason
    assert "outside" in found["system call mkdir"].reason
    assert "resolve names" in found
    assert "listen for connections" not in found


def test_denied_with_a_connect_grant_is_everything_else():
    found = denied(policy_of(Request(connect=("localhost:5432",)), calls=syscalls("connect")))
    assert found["connect out to anything else"].reason == "granted only to localhost:5432"
    assert "connect out" not in found


def test_an_unknown_network_is_named():
    found = denied(policy_of(uses=network(verdict="unknown")))
    assert "any use of the network that was not found" in found


def test_the_default_baseline_follows_from_name_and_listening():
    assert default_baseline(make_report(make_slice(uses=network()))) == "flaky_servers"
    assert default_baseline(make_report(make_slice(), name="/opt/flakyservers")) == "flaky_servers"
    assert default_baseline(make_report(make_slice(), name="redis")) == "network_server"
    assert default_baseline(make_report(make_slice(uses=network("connect")), name="curl")) == "cli_tool"
    assert default_baseline(make_report(make_slice(), name="java"), listens=True) == "network_server"
    assert all(name in baselines.available() for name in ("flaky_servers", "network_server", "cli_tool"))


def test_what_is_granted_is_not_denied():
    asked = Request(connect=("localhost:5432",), ports=(4000,))
    policy = policy_of(
        asked, calls=syscalls("read", "connect", "exit_group"), uses=network("listen", "connect", "send")
    )
    assert list(denied(policy)) == ["connect out to anything else"]
    assert [item.address for item in denied(policy)["connect out to anything else"].evidence] == ["0x401001"]
    without = denied(policy_of(Request(ports=()), calls=syscalls("read", "connect")))
    assert {"connect out", "listen for connections"} <= set(without)
    assert "system call read" not in without
