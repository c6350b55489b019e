"""What is granted: what the command line names, what the baseline gives, libraries, and why."""

import msgspec
import pytest
from derived import ALL_CALLS, FLAKY, calls_of, calls_with, denied, policy_of
from made_reports import make_report, make_slice, network, syscalls

from binsafe import baselines
from binsafe.errors import NotAnalysable, UsageError
from binsafe.model import ArgumentValues, Finding, Grant, Library, Severity
from binsafe.policy import Request, derive
from binsafe.policy.conditions import holds
from binsafe.policy.parsing import parse
from binsafe.policy.runtimes import compiles


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


def test_a_variable_has_the_value_that_was_given_last_and_not_a_packs():
    pack = (Grant(kind="environment", object="LANG", access="C.UTF-8", reason="a pack"),)
    given = (("LANG", "de_DE"), ("LANG", "fr_FR"), ("TMPDIR", "/data"))
    policy = policy_of(Request(environment=given, packs=pack, scratch="/out"))
    values = [(grant.object, grant.access) for grant in policy.of("environment") if grant.object in dict(given)]
    assert sorted(values) == [("LANG", "fr_FR"), ("TMPDIR", "/data")]


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
        (Request(connect=("example.org:65536",)), "--connect"),
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
    with pytest.raises(NotAnalysable) as caught:
        derive(make_report(make_slice(), analysed=False), FLAKY, Request())
    assert "do not run it" in caught.value.hint


def test_an_archive_that_was_analysed_has_no_policy_and_is_not_called_unanalysed():
    with pytest.raises(NotAnalysable, match="of the kind archive") as caught:
        derive(msgspec.structs.replace(make_report(), format="archive"), FLAKY, Request())
    assert "name the program" in caught.value.hint


def test_why_it_could_not_be_analysed_is_said():
    why = Finding(id="truncated", severity=Severity.HIGH, title="It could not be analysed", detail="it ends early")
    with pytest.raises(NotAnalysable, match="could not be analysed: it ends early"):
        derive(msgspec.structs.replace(make_report(analysed=False), findings=(why,)), FLAKY, Request())


@pytest.mark.parametrize("what", [{"kind": "object"}, {"kind": "kernel-module"}, {"system": "uefi"}])
def test_what_never_is_a_process_has_no_policy(what: dict[str, str]):
    with pytest.raises(NotAnalysable, match="no policy can be derived"):
        derive(make_report(msgspec.structs.replace(make_slice(), **what)), FLAKY, Request())


def test_no_table_no_policy():
    with pytest.raises(UsageError, match="riscv64"):
        policy_of(arch="riscv64")


def test_a_server_watches_files_only_where_it_was_given_some():
    found, server = syscalls("inotify_init1", "inotify_add_watch", "getxattr"), baselines.load("network_server")
    asked = set(found.required)
    assert asked.isdisjoint(calls_of(policy_of(Request(ports=(8080,)), baseline=server, calls=found)))
    for request in (Request(read=("/srv",)), Request(write=("/srv",))):
        assert asked <= calls_of(policy_of(request, baseline=server, calls=found))
    thirty = calls_of(policy_of(Request(write=("/srv",)), calls=found))
    assert asked.isdisjoint(thirty), "they have no business with files"


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
    assert {"kill", "wait4"} <= calls_of(policy_of(baseline=server, calls=None))


@pytest.mark.parametrize(
    ("need", "given"),
    [
        ("write", Request(write=("/data",))),
        ("connect", Request(connect=("localhost:5432",))),
        ("execute", Request(execute=("/bin/ls",))),
        ("jit", Request(jit=True)),
        ("segments", Request(segments=True)),
    ],
)
def test_calls_that_need_something_are_granted_with_it_alone(need: str, given: Request):
    group = f"syscalls:\n  - {{group: g, reason: r, needs: {need}, calls: [getpid]}}\n"
    baseline = parse(f"schema: binsafe.baseline/1\nname: mine\ndescription: for a test\n{group}", "mine.yaml")
    found = syscalls("getpid")
    assert "getpid" in calls_of(policy_of(given, baseline=baseline, calls=found))
    others = Request(read=("/data",), write=("/dev/null",), environment=(("LANG", "C"),))
    assert "getpid" not in calls_of(policy_of(others, baseline=baseline, calls=found))


@pytest.mark.parametrize(("high", "narrowed"), [(8, True), (9, False)])
def test_a_proof_that_would_take_too_many_forms_is_left_aside(high: int, narrowed: bool):
    """8 low bits that the cap lists, times the high ones that were proved: 64 forms are one condition, 72 are none."""
    low = tuple(range(8))
    text = f"when: {{ioctl: 'arg1 & 0xff in {{{', '.join(map(str, low))}}}'}}"
    baseline = parse(
        "schema: binsafe.baseline/1\nname: mine\ndescription: for a test\n"
        f"syscalls:\n  - group: g\n    reason: r\n    {text}\n",
        "mine.yaml",
    )
    proved = ArgumentValues(argument=1, mask=0xFF00, values=tuple(each << 8 for each in range(high)))
    policy = policy_of(baseline=baseline, calls=syscalls("ioctl", ioctl=(proved,)))
    (grant,) = (each for each in policy.of("syscall") if each.object == "ioctl")
    assert holds(grant.when, (0, 0x0703, 0, 0, 0, 0))
    assert not holds(grant.when, (0, 0x0708, 0, 0, 0, 0))
    assert holds(grant.when, (0, 0x7F03, 0, 0, 0, 0)) is not narrowed


def test_who_makes_pairs_for_datagrams_is_granted_the_kind_that_reaches_nobody_else():
    """socat: the sandbox answers with that kind. The pair that it asked for stays refused."""
    unix, datagrams, messages, close_on_exec = 1, 2, 5, 0o2000000
    proved = ArgumentValues(argument=1, mask=0xFFFF_FFFF, values=(datagrams | close_on_exec,))
    policy = policy_of(baseline=baselines.load("cli_tool"), calls=syscalls("socketpair", socketpair=(proved,)))
    (grant,) = (each for each in policy.of("syscall") if each.object == "socketpair")
    assert holds(grant.when, (unix, messages | close_on_exec, 0, 0, 0, 0))
    assert not holds(grant.when, (unix, datagrams | close_on_exec, 0, 0, 0, 0))
    assert not holds(grant.when, (unix, messages, 0, 0, 0, 0))


@pytest.mark.parametrize(("flags", "granted"), [(0x120_0011, True), (0x3D_0F00, False)])
def test_who_is_proved_to_make_processes_need_not_wait_for_any(flags: int, granted: bool):
    """As glibc's fork(3) does, and as its threads are made; the hint for what was denied was an --exec of nothing."""
    proved = ArgumentValues(argument=0, values=(flags,), mask=0xFFFF_FFFF)
    policy = policy_of(baseline=baselines.load("cli_tool"), calls=syscalls("clone", "kill", clone=(proved,)))
    forms = [grant.when for grant in policy.of("syscall") if grant.object == "clone"]
    assert any(holds(when, (flags, 0, 0, 0, 0, 0)) for when in forms)
    assert ("kill" in calls_of(policy)) == granted


@pytest.mark.parametrize(
    ("host", "named"),
    [("[::1]", True), ("[2001:db8::7]", True), ("[::ffff:192.0.2.1]", True), ("[::::]", False), ("[1.2.3.4]", False)],
)
def test_what_stands_in_brackets_is_an_address_to_connect_to(host: str, named: bool):
    request = Request(connect=(f"{host}:80",))
    if named:
        assert [grant.object for grant in request.grants()] == [f"{host}:80"]
    else:
        with pytest.raises(UsageError, match="names no host"):
            list(request.grants())
