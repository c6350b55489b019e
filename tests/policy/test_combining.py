"""Merging and tightening: what either grants, what both grant, and never more."""

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_reports import make_report, make_slice, syscalls

from binsafe import baselines
from binsafe.errors import UsageError
from binsafe.model import Condition, Grant, Policy
from binsafe.policy import Request, derive, merge, read_policy, tighten
from binsafe.policy.conditions import holds

SERVER = baselines.load("network_server")
CALLS = ("read", "socket", "fcntl", "clone", "setsockopt", "mkdir", "kill", "wait4")


def policy_of(calls: set[str], request: Request) -> Policy:
    return derive(make_report(make_slice(calls=syscalls(*sorted(calls)))), SERVER, request)


requests = st.builds(
    Request,
    ports=st.lists(st.sampled_from([80, 4000, 5000]), unique=True).map(tuple),
    read=st.lists(st.sampled_from(["/a", "/a/b", "/c"]), unique=True).map(tuple),
    write=st.lists(st.sampled_from(["/a", "/a/b", "/d"]), unique=True).map(tuple),
)
policies = st.builds(policy_of, st.sets(st.sampled_from(CALLS)), requests)


def may(policy: Policy, kind: str, name: str) -> bool:
    held_by = {"read": {"read", "write"}, "write": {"write"}}.get(kind, {kind})
    return any(g.kind in held_by and (g.object == name or name.startswith(g.object + "/")) for g in policy.grants)


def may_call(policy: Policy, name: str, arguments: tuple[int, ...]) -> bool:
    return any(holds(grant.when, arguments) for grant in policy.of("syscall") if grant.object == name)


words = st.sampled_from([0, 1, 2, 3, 6, 8, 10, 17, 26, 41, 0x10F00])


@settings(max_examples=150)
@given(policies, policies, st.sampled_from(CALLS), st.tuples(*[words] * 6))
def test_what_is_granted(one: Policy, other: Policy, name: str, arguments: tuple[int, ...]):
    merged, tight = merge(one, other), tighten(one, other)
    for kind, objects in (("read", ("/a", "/a/b", "/c", "/d")), ("write", ("/a", "/a/b", "/d"))):
        for path in objects:
            assert may(merged, kind, path) == (may(one, kind, path) or may(other, kind, path))
            assert may(tight, kind, path) == (may(one, kind, path) and may(other, kind, path))
    called = [may_call(policy, name, arguments) for policy in (one, other)]
    assert may_call(merged, name, arguments) == any(called)
    assert may_call(tight, name, arguments) == all(called)
    assert set(merged.listen_ports()) == {*one.listen_ports(), *other.listen_ports()}
    assert set(tight.listen_ports()) == {*one.listen_ports()} & {*other.listen_ports()}
    for policy in (merged, tight):
        assert read_policy(msgspec.json.encode(policy).decode(), "p.json") == policy


def test_of_two_limits_the_lower_one_holds():
    plain = policy_of(set(), Request())
    lower = msgspec.structs.replace(plain, grants=(Grant(kind="limit", object="nofile", access="8", reason="r"),))
    (limit,) = (grant for grant in tighten(plain, lower).of("limit") if grant.object == "nofile")
    assert limit.access == "8"
    assert "core" in {grant.object for grant in tighten(plain, lower).of("limit")}


def test_different_bytes_are_refused():
    one = policy_of(set(), Request())
    other = msgspec.structs.replace(one, artifact=msgspec.structs.replace(one.artifact, sha256="0" * 64))
    for combine in (merge, tighten):
        with pytest.raises(UsageError, match="different bytes"):
            combine(one, other)


def test_what_is_denied_is_named_once():
    one, other = (policy_of(calls, Request()) for calls in ({"ptrace", "mkdir"}, {"ptrace", "mount"}))
    names = [denial.capability for denial in tighten(one, other).denied]
    assert len(names) == len(set(names))
    assert set(names) == {denial.capability for policy in (one, other) for denial in policy.denied}
    assert any("ptrace" in name for name in names)


def test_merging_denies_only_what_both_deny():
    one, other = (policy_of(calls, Request()) for calls in ({"ptrace", "mkdir"}, {"ptrace", "mount"}))
    both = {denial.capability for denial in one.denied} & {denial.capability for denial in other.denied}
    assert {denial.capability for denial in merge(one, other).denied} == both
    assert any("ptrace" in name for name in both)
    assert not any("mount" in name or "mkdir" in name for name in both)


def test_merging_leaves_out_what_another_grant_includes_and_no_library():
    """A library is a copy that was hashed; to read the folder that it lies in is another thing."""
    plain = policy_of(set(), Request(read=("/usr/lib",)))
    call, test = Grant(kind="syscall", object="kill", reason="r"), Condition(argument=1, values=(0,))
    narrow = (
        Grant(kind="read", object="/usr/lib/x", reason="r"),
        Grant(kind="read", object="/usr/lib/libc.so", access="library", reason="r"),
        msgspec.structs.replace(call, when=(test,), access="arg1 == 0"),
    )
    one = msgspec.structs.replace(plain, grants=narrow)
    other = msgspec.structs.replace(plain, grants=(*plain.grants, call))
    for merged in (merge(one, other), merge(other, one)):
        files = {(grant.object, grant.access) for grant in merged.of("read")}
        assert {("/usr/lib", ""), ("/usr/lib/libc.so", "library")} <= files
        assert ("/usr/lib/x", "") not in files
        assert [grant.when for grant in merged.of("syscall") if grant.object == "kill"] == [()]


@pytest.mark.parametrize("first", ["library", ""])
def test_merging_keeps_a_library_that_only_one_of_them_maps(first: str):
    """The other policy lets it be read: without its access the program's libraries do not load."""
    one, other = (
        msgspec.structs.replace(
            policy_of(set(), Request()), grants=(Grant(kind="read", object="/usr/lib/x", access=access, reason="r"),)
        )
        for access in (first, "" if first else "library")
    )
    assert [grant.access for grant in merge(one, other).grants] == ["library"]
