"""The escape battery: what a program tries that is granted all that the shipped baseline can give; and twins that work.

Each table of ``attempts`` is tried in one run. "Refused" is an error that says so (EPERM, ENOSYS) or a
path that is not there; any other answer of the kernel, EFAULT or EBADF say, means that the call got through.
"""

import platform
import sys
from collections.abc import Callable

import pytest
from attempts import FILES, NUMBERS, SURFACES, TWINS, call

from binsafe.sandbox.linux.refusing import usual

pytestmark = [
    pytest.mark.sandbox,
    pytest.mark.skipif(sys.platform != "linux", reason="the Linux sandbox needs Linux"),
]

REFUSALS = {"function not implemented", "operation not permitted"}
NAMES = {number: name for name, number in NUMBERS.items()}


def test_the_battery_is_as_large_as_it_says():
    assert sum(map(len, SURFACES.values())) + len(FILES) >= 250


@pytest.mark.parametrize("surface", SURFACES)
def test_refused(sandboxed: Callable, surface: str):
    attempts = SURFACES[surface]
    answers = sandboxed(*dict.fromkeys(attempts.values())).answers()
    passed = {what: answers[attempt] for what, attempt in attempts.items() if answers[attempt] not in REFUSALS}
    multipath = {"MPTCP", "MPTCP over IPv6"}  # answered as a kernel without it does, so that Go takes plain TCP
    assert {what: answer for what, answer in passed.items() if what not in multipath or not answer} == {}


def test_files_that_are_not_there(sandboxed: Callable):
    answers = sandboxed(*FILES.values()).answers()
    assert [path for path, attempt in FILES.items() if "no such file" not in answers[attempt]] == []


def test_the_twins_work(sandboxed: Callable):
    answers = sandboxed(*TWINS.values()).answers()
    assert {what: answers[attempt] for what, attempt in TWINS.items() if answers[attempt] in REFUSALS} == {}


@pytest.mark.parametrize("surface", ["kernel", "processes"])
def test_what_is_refused_is_reported_by_name(sandboxed: Callable, surface: str):
    """At least 95 of 100; what the filter answers by itself (clone3) never reaches the supervisor."""
    attempts = SURFACES[surface]
    run = sandboxed(*attempts.values())
    run.answers()
    reported = {violation.syscall for violation in run.violations}
    tried = [NAMES[int(attempt.removeprefix("call=").split(",")[0])] for attempt in attempts.values()]
    missing = [name for name in tried if name not in reported]
    assert len(missing) <= len(tried) * 0.05, missing


NOBODY = 4_000_000
"""No process has this number: kernel.pid_max is below."""
LOOKS = {
    "thread": [call("tkill", NOBODY, 0), call("tgkill", NOBODY, NOBODY, 0)],
    "process": [
        *(call(name, NOBODY) for name in ("sched_getscheduler", "getpgid", "getsid")),
        *(call(name, NOBODY, 8, 0) for name in ("sched_getaffinity", "get_robust_list")),
        call("getpriority", 0, NOBODY),
    ],
}
AT_ITSELF = [
    *(call(name, 0) for name in ("sched_getscheduler", "getpgid", "getsid")),
    call("sched_getaffinity", 0, 8, 0),
    call("getpriority", 0, 0),
]


@pytest.mark.parametrize("word", LOOKS)
def test_a_look_at_others_is_named(sandboxed: Callable, word: str):
    """The kernel's "no such process", and whom it was about; what a program asks of itself is nobody's business."""
    run = sandboxed(*LOOKS[word], *AT_ITSELF)
    answers = run.answers()
    refusals = {"no such process", "operation not permitted"}
    dropped = {"function not implemented"}  # tkill without namespaces, where Landlock knows nothing of signals yet
    assert [attempt for attempt in LOOKS[word] if answers[attempt] not in refusals | dropped] == []
    assert [attempt for attempt in AT_ITSELF if answers[attempt] in refusals] == []
    named = [violation for violation in run.violations if str(NOBODY) in violation.object]
    assert len(named) == len(LOOKS[word])
    assert all(violation.grant.startswith("none: ") for violation in named)


def test_the_mode_of_a_terminal_is_named_with_what_its_user_can_expect(sandboxed: Callable):
    ioctls = {"VT_GETSTATE": 0x5603, "FS_IOC_FIEMAP": 0xC020_660B, "TIOCGPTN": 0x8004_5430}
    usual_ones = {name: call("ioctl", 0, number, 0) for name, number in ioctls.items()}
    usual_ones["PR_SET_THP_DISABLE"] = call("prctl", 41, 1, 0)
    run = sandboxed(call("ioctl", 0, 0x5403, 0), *usual_ones.values())  # nano, man, Node and Ruby do without
    run.answers()
    assert {(name, True) for name in usual_ones} <= {(each.object, each.expected) for each in run.violations}
    (told,) = [(each.object, each.grant) for each in run.violations if each.operation == "ioctl" and not each.expected]
    assert told[0] == "TCSETSW"
    assert told[1].startswith("none: its terminal keeps its mode")


def test_what_a_device_is_asked_is_a_number_as_headers_write_it_where_it_has_no_name(sandboxed: Callable):
    run = sandboxed(call("ioctl", 0, 0x8004_7476, 0))
    run.answers()
    assert {each.object for each in run.violations if each.operation == "ioctl"} == {"0x80047476"}


@pytest.mark.parametrize(
    ("level", "option", "words"),
    [(6, 13, "IPPROTO_TCP TCP_CONGESTION"), (1, 1, "SOL_SOCKET 1"), (41, 57, "IPPROTO_IPV6 57"), (255, 1, "255 1")],
)
def test_options_of_sockets_are_named_by_their_level(sandboxed: Callable, level: int, option: int, words: str):
    run = sandboxed(call("setsockopt", 0, level, option, 0, 0))
    run.answers()
    assert [each.object for each in run.violations if each.operation == "setsockopt"] == [words]


def test_a_call_with_the_arguments_of_a_usual_socket_is_not_taken_for_one():
    """Or a program would try what it likes, and the report would call it what ordinary programs do."""
    cache, multipath = (1, 0x8_0801, 0, 0, 0, 0), (2, 1, 262, 0, 0, 0)
    assert usual("socket", cache, resolves=True)
    assert usual("socket", multipath, resolves=True)
    assert [usual("shmget", arguments, resolves=True) for arguments in (cache, multipath)] == [None, None]


@pytest.mark.skipif(platform.machine() != "x86_64", reason="x32 is x86-64's")
@pytest.mark.parametrize("number", [0x4000_0000 | NUMBERS["getpid"], 0x4000_0000 | NUMBERS["connect"], 0x4000_0200])
def test_the_other_calling_convention_ends_the_program(sandboxed: Callable, number: int):
    run = sandboxed(f"call={number}")
    assert run.process.wait(10) == 128 + 31
