"""Deriving: the cap holds whatever a report says, and fewer facts never grant more."""

import math
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_reports import make_report, make_slice, network, syscalls

from binsafe import baselines
from binsafe.errors import NotAnalysable, UsageError
from binsafe.model import ArgumentValues, Library, Policy, ResolvedLibrary
from binsafe.policy import Baseline, Request, default_baseline, derive, read_policy
from binsafe.policy.conditions import holds
from binsafe.policy.runtimes import compiles
from binsafe.policy.walls import ALWAYS, WALLS
from binsafe.syscalls import tables

FLAKY = baselines.load("flaky_servers")
ALL_CALLS = tuple(tables.numbers("x86_64"))


def cap_of(needs: set[str | None]):
    groups = (group for group in FLAKY.calls if group.needs in needs)
    return {(grant.object, grant.when) for group in groups for grant in group.grants} | {(name, ()) for name in ALWAYS}


CAP = cap_of({None, "dynamic", "jit", "write"})
"""Every call that may ever be granted under the baseline, with the conditions it then carries."""


def policy_of(request: Request | None = None, baseline: Baseline = FLAKY, **facts: Any):
    return derive(make_report(make_slice(**facts)), baseline, request or Request())


def permissions(policy: Policy):
    """What a policy permits, without the words around it."""
    return {(grant.kind, grant.object, grant.access, grant.when) for grant in policy.grants}


def calls_of(policy: Policy):
    return {grant.object for grant in policy.of("syscall")}


def denied(policy: Policy):
    return {denial.capability: denial for denial in policy.denied}


# --- the three properties -------------------------------------------------------------------------------------------


@given(st.sets(st.sampled_from(ALL_CALLS)), st.booleans(), st.booleans())
def test_cap(required: set[str], complete: bool, analysed_calls: bool):
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


# --- what is granted ------------------------------------------------------------------------------------------------


def test_grants_carry_reason_and_evidence():
    policy = policy_of(calls=syscalls("socket", "read"))
    (socket,) = (grant for grant in policy.of("syscall") if grant.object == "socket")
    assert socket.reason.startswith("sockets: ")
    assert socket.evidence[0].address == "0x500000"
    assert socket.when
    assert "AF_INET" in socket.access
    assert len(policy.of("listen")) == 30
    assert all(grant.evidence and grant.reason for grant in policy.of("listen"))
    assert all(grant.reason for grant in policy.grants)


def test_ports_named_are_the_ports_granted():
    assert policy_of(Request(ports=(4000, 8080))).listen_ports() == (4000, 8080)
    assert policy_of(Request(ports=())).listen_ports() == ()
    assert policy_of(Request(ports=(0,))).listen_ports() == (0,)


def test_no_layout_without_a_listener_found():
    assert policy_of(uses=network("connect")).listen_ports() == ()
    unknown = policy_of(uses=network(verdict="unknown"))
    assert unknown.listen_ports() == ()
    assert "--ports" in denied(unknown)["listen for connections"].reason
    assert policy_of(Request(ports=(4000,)), uses=network(verdict="unknown")).listen_ports() == (4000,)


def test_ports_for_a_baseline_that_lets_nobody_listen():
    with pytest.raises(UsageError, match="lets no program listen") as caught:
        policy_of(Request(ports=(80,)), baseline=baselines.load("cli_tool"))
    assert "network_server" in caught.value.hint


def test_the_command_line_goes_before_the_baseline():
    policy = policy_of(Request(read=("/data", "/dev/urandom"), write=("/out",), environment=(("LANG", "C"),)))
    assert [grant.reason for grant in policy.of("read") if grant.object == "/dev/urandom"] == ["--read /dev/urandom"]
    assert {grant.object for grant in policy.of("write")} == {"/out", "/dev/null"}
    assert policy.of("environment")[0].access == "C"


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        (Request(read=("data",)), "--read: 'data' is not absolute"),
        (Request(write=("/a/../b",)), "--write: .*plain form"),
        (Request(read=("/a\nb",)), "--read"),
        (Request(connect=("example.org",)), "--connect"),
        (Request(connect=("example.org:0",)), "--connect"),
        (Request(connect=("-x:80",)), "--connect"),
        (Request(execute=("ls",)), "--exec"),
        (Request(environment=(("A=B", "x"),)), "--env"),
        (Request(environment=(("A", "x\x00y"),)), "--env"),
    ],
)
def test_requests_that_make_no_sense(request_: Request, message: str):
    with pytest.raises(UsageError, match=message):
        policy_of(request_)


def test_other_systems_get_no_linux_calls():
    report = make_report(make_slice(system="macos", arch="arm64"), make_slice(system="macos", arch="x86_64"))
    policy = derive(report, FLAKY, Request())
    assert policy.of("syscall") == ()
    assert policy.artifact.arch == "arm64+x86_64"
    assert len(policy.listen_ports()) == 30


def test_arm64_gets_its_own_calls():
    calls = calls_of(policy_of(arch="arm64", calls=None))
    assert "ppoll" in calls
    assert not calls & {"poll", "arch_prctl", "open"}


def test_nothing_is_derived_from_what_could_not_be_analysed():
    for report in (make_report(make_slice(), analysed=False), make_report()):
        with pytest.raises(NotAnalysable) as caught:
            derive(report, FLAKY, Request())
        assert "do not run it" in caught.value.hint


def test_no_table_no_policy():
    with pytest.raises(UsageError, match="riscv64"):
        policy_of(arch="riscv64")


def calls_with(policy: Policy, name: str):
    return {grant.access for grant in policy.of("syscall") if grant.object == name}


def test_executable_memory_is_for_libraries_and_for_named_runtimes():
    found = syscalls("mmap", "mprotect")
    assert len(calls_with(policy_of(calls=found), "mmap")) == 1
    dynamic = policy_of(calls=found, linkage="dynamic")
    assert any("MAP_ANONYMOUS == 0" in text for text in calls_with(dynamic, "mmap"))
    assert calls_with(dynamic, "mprotect") == {"arg2 & PROT_EXEC == 0"}
    server = baselines.load("network_server")
    makes_code = "arg2 & PROT_EXEC == PROT_EXEC"
    assert makes_code in calls_with(policy_of(Request(jit=True), baseline=server, calls=found), "mprotect")
    assert makes_code not in calls_with(policy_of(Request(jit=True), calls=found), "mprotect")


@pytest.mark.parametrize(
    ("name", "library", "language"),
    [
        ("/usr/bin/node", "libc.so.6", "JavaScript"),
        ("/opt/app", "libnode.so.108", "JavaScript"),
        ("/opt/app", "@rpath/libjli.dylib", "Java"),
        ("/opt/nodes", "libnodeinfo.so.1", None),
        ("/opt/app", "libc.so.6", None),
    ],
)
def test_a_language_runtime_is_told_by_its_name_or_its_libraries(name: str, library: str, language: str | None):
    linked = make_slice(
        linkage="dynamic", libraries=(Library(name=library, kind="needed"),), calls=syscalls("mprotect")
    )
    report = make_report(linked, name=name.rpartition("/")[2])
    report = msgspec.structs.replace(report, artifact=msgspec.structs.replace(report.artifact, path=name))
    assert compiles(report) == language
    policy = derive(report, baselines.load("network_server"), Request())
    assert ("arg2 & PROT_EXEC == PROT_EXEC" in calls_with(policy, "mprotect")) == (language is not None)


def test_processes_are_for_servers_with_workers_and_never_for_flaky_ones():
    server = baselines.load("network_server")
    threads_only = policy_of(baseline=server, calls=syscalls("clone", "kill"))
    assert len(calls_with(threads_only, "clone")) == 1
    assert "kill" not in calls_of(threads_only)
    workers = policy_of(baseline=server, calls=syscalls("clone", "kill", "wait4"))
    assert len(calls_with(workers, "clone")) == 2
    assert "kill" in calls_of(workers)
    assert not {"kill", "wait4", "sendmsg", "socketpair"} & calls_of(policy_of(calls=syscalls(*ALL_CALLS)))
    unknown = policy_of(baseline=server, calls=syscalls("clone", complete=False))
    assert {"kill", "wait4"} <= calls_of(unknown), "what was not seen may still fork"


def test_files_are_changed_only_where_something_may_be_written():
    found = syscalls("mkdir", "unlink")
    assert not {"mkdir", "unlink"} & calls_of(policy_of(calls=found))
    assert {"mkdir", "unlink"} <= calls_of(policy_of(Request(write=("/data",)), calls=found))


def test_a_dynamic_program_may_read_its_loader_and_its_libraries():
    resolved = (
        ResolvedLibrary(name="libc.so.6", path="/usr/lib/libc.so.6", needed_by="program"),
        ResolvedLibrary(name="libgone.so", path=None, needed_by="libc.so.6"),
        ResolvedLibrary(name="libodd.so", path="/usr/../odd\n", needed_by="program"),
    )
    policy = policy_of(linkage="dynamic", interpreter="/lib64/ld.so", resolved=resolved, calls=syscalls("read"))
    files = {grant.object: (grant.access, grant.reason) for grant in policy.of("read")}
    assert files["/lib64/ld.so"][0] == "loader"
    assert files["/usr/lib/libc.so.6"] == ("library", "library: needed by program")
    assert not any("odd" in path for path in files)
    assert "needed by libc.so.6" in denied(policy)["load libgone.so"].reason
    assert "load libodd.so" in denied(policy)
    assert read_policy(msgspec.json.encode(policy).decode(), "p.json") == policy


def test_a_program_of_macos_may_read_libraries_that_are_not_the_systems():
    libraries = tuple(Library(name=n, kind="load") for n in ("/usr/lib/libSystem.B.dylib", "/opt/x.dylib", "@rpath/y"))
    policy = policy_of(system="macos", arch="arm64", libraries=libraries)
    assert {g.object for g in policy.of("read") if g.access == "library"} == {"/opt/x.dylib"}


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


def test_default_baselines():
    assert default_baseline(make_report(make_slice(uses=network()))) == "flaky_servers"
    assert default_baseline(make_report(make_slice(), name="/opt/flakyservers")) == "flaky_servers"
    assert default_baseline(make_report(make_slice(), name="redis")) == "network_server"
    assert default_baseline(make_report(make_slice(uses=network("connect")), name="curl")) == "cli_tool"
    assert default_baseline(make_report(make_slice(), name="java"), listens=True) == "network_server"
    assert all(name in baselines.available() for name in ("flaky_servers", "network_server", "cli_tool"))
