"""Denials in the unified log: the forms that are cited in `macoslog`, whose they are, and what would grant them."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from binsafe.errors import NotEnforceable
from binsafe.model import Denial, Policy
from binsafe.model.policy import PolicyArtifact
from binsafe.policy.proposals import proposals
from binsafe.sandbox.macoslog import (
    LogDenial,
    LogReader,
    parse_line,
    parse_message,
    stream_command,
    violation_of,
)
from binsafe.sandbox.reporting import Reporter

pytestmark = pytest.mark.once

POLICY = Policy(
    artifact=PolicyArtifact(name="flakyservers", sha256="0" * 64, system="macos", arch="arm64"),
    baseline="flaky_servers",
    grants=(),
    denied=(Denial(capability="connect out", reason="nothing grants it"),),
)


@pytest.fixture(autouse=True)
def _patience(monkeypatch: pytest.MonkeyPatch):
    """Time for an interpreter to start on a busy machine."""
    monkeypatch.setattr("binsafe.sandbox.macoslog.READY_SECONDS", 30)


def line(message: str, **entry: object):
    known = {"eventMessage": message, "subsystem": "", "processID": 0, "timestamp": "2026-09-21 13:40:48.000000+0200"}
    return json.dumps(known | entry).encode()


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("Sandbox: flakyservers(123) deny(1) network-outbound*:443", (123, "network-outbound", "*:443")),
        ("Sandbox: curl(7) deny(1) network-outbound remote:*:443", (7, "network-outbound", "remote:*:443")),
        ("Sandbox: a(1) deny(1) network-outbound /private/var/run/x", (1, "network-outbound", "/private/var/run/x")),
        ("Sandbox: Gradle Worker(10) deny(1) signal", (10, "signal", "")),
        ("Sandbox: zsh(42) deny(1) file-write-unlink /tmp/a b\nTAG_1", (42, "file-write-unlink", "/tmp/a b")),
        ("Sandbox: a(1) deny(1) process-exec* /bin/ls", (1, "process-exec*", "/bin/ls")),
        ("Sandbox: a(2)(3) deny(0) mach-lookup com.apple.logd", (3, "mach-lookup", "com.apple.logd")),
        ("Sandbox: a(1) deny file-read-data /x", (1, "file-read-data", "/x")),
    ],
)  # fmt: skip
def test_a_message_of_the_log_names_process_operation_and_object(message: str, expected: tuple[int, str, str]):
    denial = parse_message(message)
    assert denial is not None
    assert (denial.pid, denial.operation, denial.object) == expected
    assert not denial.duplicate


def test_sandboxd_is_believed_as_the_kernel_is():
    told = line("Sandbox: a(1) deny(1) signal", processID=300, processImagePath="/usr/libexec/sandboxd")
    assert parse_line(told) == LogDenial(name="a", pid=1, operation="signal", object="")


def test_a_line_break_in_a_name_leads_to_no_grant_of_what_stands_before_it():
    denial = parse_message("Sandbox: a(1) deny(1) file-read-data /etc/passwd\nmore")
    assert denial.is_cut
    assert violation_of(denial, POLICY, 1.0).grant is None
    whole = parse_message("Sandbox: a(1) deny(1) file-read-data /etc/passwd")
    assert violation_of(whole, POLICY, 1.0).grant == "--read /etc/passwd"


def test_duplicates_carry_their_count():
    denial = parse_message("3 duplicate reports for Sandbox: java(77) deny(1) mach-lookup com.apple.FontServer")
    assert denial == LogDenial(
        name="java", pid=77, operation="mach-lookup", object="com.apple.FontServer", count=3, duplicate=True
    )
    assert "3 duplicate reports" in violation_of(denial, POLICY, 1.0).result
    assert parse_message("1 duplicate report for Sandbox: sh(5) deny(1) file-write-data /dev/dtracehelper").count == 1


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b'Filtering the log data using "processID == 0"',
        b"{",
        b"[]",
        b'{"eventMessage": 5}',
        b'{"eventMessage": "Sandbox: a(1) allow(1) file-read-data /x"}',
        b'{"eventMessage": "log run noninteractively, parent: 1 (bash)"}',
        line("Sandbox: a(x) deny(1) file-read-data /x"),
        line("x Sandbox: a(1) deny(1) file-read-data /x"),
        line("Sandbox: a(1) deny(1) file-read-data /x", processID=77, subsystem="com.apple.sandbox.reporting"),
        line("Sandbox: a(1) deny(1) file-read-data /x", processID=False),
        line("Sandbox: a(1) deny(1) file-read-data /x", processID=None, processImagePath="/tmp/sandboxd"),
        b'{"a": ' + b"[" * 70_000,
        line("Sandbox: a(1) deny(1) file-read-data /" + "x" * 70_000),
    ],
)
def test_lines_that_tell_of_no_denial(text: bytes):
    assert parse_line(text) is None


@given(st.text(max_size=60), st.text(max_size=60))
def test_any_line_is_a_denial_of_something_on_one_line_or_nothing(name: str, what: str):
    denial = parse_line(line(f"Sandbox: {name}(5) deny(1) {what}"))
    assert denial is None or (denial.operation.isascii() and "\n" not in denial.object)


@pytest.mark.parametrize(
    ("operation", "object_", "grant"),
    [
        ("network-bind", "local:*:4010", "--ports :4010"),
        ("network-bind", "*:4010", "--ports :4010"),
        ("network-inbound", "127.0.0.1:4010", "--ports :4010"),
        ("network-outbound", "1.1.1.1:443", "--connect 1.1.1.1:443"),
        ("network-outbound", "remote:*:443", None),
        ("network-outbound", "/private/var/run/mDNSResponder", None),
        ("file-read-data", "/private/etc/hosts", "--read /private/etc/hosts"),
        ("file-write-create", "/private/tmp/x", "--write /private/tmp/x"),
        ("process-exec*", "/bin/sh", "--exec /bin/sh"),
        ("mach-lookup", "com.apple.logd", None),
        ("signal", "", None),
    ],
)
def test_the_grant_that_would_allow_it(operation: str, object_: str, grant: str | None):
    denial = LogDenial(name="a", pid=1, operation=operation, object=object_)
    violation = violation_of(denial, POLICY, 5.0)
    assert violation.grant == grant
    assert (violation.time, violation.pid, violation.syscall) == (5.0, 1, operation)
    assert violation.predicted == (operation == "network-outbound")
    if grant is not None:
        import msgspec

        (proposal,) = proposals([msgspec.json.encode(violation).decode()], "v")
        assert " ".join(proposal.words) == grant


def test_what_every_program_tries_is_expected():
    denial = LogDenial(name="a", pid=1, operation="file-read-data", object="/dev/dtracehelper")
    assert violation_of(denial, POLICY, 1.0).expected


def test_the_command_is_a_list_that_no_shell_reads():
    assert stream_command()[:4] == ["/usr/bin/log", "stream", "--style", "ndjson"]


WRITER = """
import sys, time
print("Filtering the log data", flush=True)
for text in sys.argv[1:]:
    print(text, flush=True)
time.sleep(600)
"""


def test_a_reader_reports_early_denials_and_later_ones_and_ends_with_its_source():
    """Another program writes the recorded lines in the place of ``log``."""
    found = []
    reporter = Reporter(found.append)
    texts = [line(f"Sandbox: a({pid}) deny(1) file-read-data /x{pid}").decode() for pid in (1, 2)]
    many = [texts[1]] * 20
    reader = LogReader(POLICY, reporter, command=[sys.executable, "-c", WRITER, *texts, *many])
    assert reader.trouble is None
    reader.watch(2)
    deadline = time.monotonic() + 10
    while reporter.unreported < 16 and time.monotonic() < deadline:
        time.sleep(0.01)
    reader.close(0.1)
    reporter.close()
    assert {each.object for each in found} == {"/x2"}
    assert len(found) == 5
    assert reporter.unreported == 16


SAYING = "import sys, time; print(sys.argv[1], file=sys.stderr, flush=True); time.sleep(float(sys.argv[2]))"


@pytest.mark.parametrize(
    ("said", "seconds", "trouble"),
    [
        ("Filtering the log data", "600", None),
        ("log: Must be admin to run 'stream' command", "600", "admin"),
        ("Filtering the log data", "0", "ended before"),
    ],
)
def test_a_log_that_cannot_be_followed_is_known(said: str, seconds: str, trouble: str | None):
    command = [sys.executable, "-c", SAYING, said, seconds]
    reader = LogReader(POLICY, Reporter(print), command=command)
    if trouble and "ended" in trouble:
        reader._process.wait(30)
    reader.close()
    assert (reader.trouble is None) == (trouble is None)
    assert trouble is None or trouble in reader.trouble


def test_a_log_that_says_nothing_in_time_is_known(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("binsafe.sandbox.macoslog.READY_SECONDS", 0.05)
    command = [sys.executable, "-c", "import time; time.sleep(600)"]
    reader = LogReader(POLICY, Reporter(print), command=command)
    reader.close(0.05)
    assert "in time" in reader.trouble


def test_a_log_that_is_not_there_starts_nothing():
    with pytest.raises(NotEnforceable, match="cannot be started"):
        LogReader(POLICY, Reporter(print), command=["/nonexistent/log"])


def test_what_a_program_starts_is_told_of_as_well():
    """A process in the group of the one that is watched, and one in another."""
    found = []
    reporter = Reporter(found.append)
    with subprocess.Popen(
        ["/bin/sh", "-c", "sleep 600 & echo $!; wait"], stdout=subprocess.PIPE, process_group=0
    ) as ours:
        child = int(ours.stdout.readline())
        pids = (child, os.getpid())
        code = WRITER.replace("flush=True)\nfor", "flush=True)\ntime.sleep(1)\nfor", 1)
        texts = [line(f"Sandbox: a({pid}) deny(1) file-read-data /x{pid}").decode() for pid in pids]
        reader = LogReader(POLICY, reporter, command=[sys.executable, "-c", code, *texts])
        reader.watch(ours.pid)
        deadline = time.monotonic() + 30
        while not found and time.monotonic() < deadline:
            time.sleep(0.01)
        reader.close(0.1)
        reporter.close()
        os.killpg(ours.pid, signal.SIGKILL)
    assert [each.object for each in found] == [f"/x{child}"]
