"""Asking: allowed, denied or unknown, by which rule, and never 'denied' where it might be allowed."""

import pytest
from sample_profiles import COMPILER, LOOSE, PACKAGER

from binsafe.errors import UsageError
from binsafe.seatbelt import ask, evaluate, read

SERVER = """(version 1)
(deny default)
(allow process-exec* (literal "/opt/server"))
(allow file-read* (subpath "/usr/lib") (literal "/opt/server"))
(allow network-bind network-inbound (local tcp "localhost:4000") (local tcp4 "localhost:4001"))
(allow network-outbound (remote tcp "localhost:5432") (remote unix-socket (path-literal "/private/var/run/dns")))
(allow sysctl-read (sysctl-name "hw.ncpu") (sysctl-name-prefix "hw.optional."))
(allow mach-lookup (global-name-regex #"^com[.]example[.]"))
(allow signal (target self))
(allow file-write-data (require-all (path "/dev/null") (require-not (path "/dev/zero"))))
(allow file-write* (require-all (subpath "/a") (vnode-type REGULAR-FILE)))
"""


def verdict(text: str, operation: str, subject: str | None = None, **parameters: str):
    return ask(evaluate(read(text), parameters), operation, subject).verdict


@pytest.mark.parametrize(
    ("operation", "subject", "expected"),
    [
        ("process-exec", "/opt/server", "allowed"),
        ("process-exec*", "/bin/sh", "denied"),
        ("process-fork", None, "denied"),
        ("file-read-data", "/usr/lib/libSystem.dylib", "allowed"),
        ("file-read-data", "/usr/library", "denied"),
        ("file-read-data", "/etc/passwd", "denied"),
        ("network-bind", "127.0.0.1:4000", "allowed"),
        ("network-bind", "[::1]:4000", "allowed"),
        ("network-bind", "127.0.0.1:4002", "denied"),
        ("network-bind", "0.0.0.0:4000", "unknown"),
        ("network-bind", "[::1]:4001", "denied"),
        ("network-bind", "127.0.0.1:4001", "allowed"),
        ("network-bind", "udp 127.0.0.1:4000", "denied"),
        ("network-outbound", "127.0.0.1:5432", "allowed"),
        ("network-outbound", "192.0.2.1:443", "denied"),
        ("network-outbound", "[::ffff:127.0.0.1]:5432", "denied"),
        ("network-outbound", "192.168.1.5:5432", "unknown"),
        ("network-outbound", "/var/run/dns", "allowed"),
        ("network-outbound", "unix:/private/var/run/other", "denied"),
        ("sysctl-read", "hw.ncpu", "allowed"),
        ("sysctl-read", "hw.optional.arm64", "allowed"),
        ("sysctl-read", "kern.boottime", "denied"),
        ("mach-lookup", "com.example.logd", "allowed"),
        ("mach-lookup", "com.apple.trustd.agent", "denied"),
        ("signal", "self", "allowed"),
        ("signal", "others", "denied"),
        ("signal", None, "unknown"),
        ("file-write-data", "/dev/null", "allowed"),
        ("file-write-data", "/a/b", "unknown"),
        ("file-write-data", "/b", "denied"),
    ],
)
def test_a_server(operation: str, subject: str | None, expected: str):
    assert verdict(SERVER, operation, subject) == expected


def test_the_deciding_rule_and_the_part_of_it_that_matched():
    answer = ask(evaluate(read(SERVER)), "network-bind", "127.0.0.1:4000")
    assert str(answer.filter) == '(local tcp "localhost:4000")'
    assert str(answer.filter.place) == "5:37"
    default = ask(evaluate(read(SERVER)), "process-fork")
    assert str(default.rule) == "(deny default)"
    assert "default" in default.reason


def test_the_original_projects_profile_lets_everything_out():
    answer = ask(evaluate(read(LOOSE)), "network-outbound", "192.0.2.1:443")
    assert answer.verdict == "allowed"
    assert str(answer.rule) == "(allow network-outbound (local ip))"


def test_a_rule_without_filters_decides_only_where_no_filtered_one_does():
    assert verdict(PACKAGER, "file-write-data", "/opt/cellar/x") == "allowed"
    assert verdict(PACKAGER, "file-write-data", "/opt/other") == "denied"
    assert verdict(PACKAGER, "network-outbound", "192.0.2.1:80") == "allowed"
    assert verdict(COMPILER, "file-write-data", "/private/tmp/sandbox/7/execroot/main/x") == "allowed"
    assert verdict(COMPILER, "file-write-data", "/Users/x") == "denied"


def test_where_the_order_of_filtered_rules_decides_it_is_unknown_and_both_are_named():
    text = '(deny default)(allow file-read* (subpath "/a"))(deny file-read* (subpath "/a/b"))'
    answer = ask(evaluate(read(text)), "file-read-data", "/a/b/c")
    assert answer.verdict == "unknown"
    assert "1:15" in answer.reason
    assert "1:48" in answer.reason
    assert verdict(text, "file-read-data", "/a/c") == "allowed"


def test_an_import_that_is_not_here_decides_what_nothing_else_does():
    text = '(deny default)(import "system.sb")(allow signal (target self))'
    answer = ask(evaluate(read(text)), "file-read-data", "/x")
    assert answer.verdict == "unknown"
    assert "system.sb" in answer.reason
    assert verdict(text, "signal", "self") == "allowed"


def test_parameters_decide_when_they_are_given():
    text = '(deny default)(if (param "OPEN") (allow network-outbound))(allow file-read* (subpath (param "HOME")))'
    assert verdict(text, "network-outbound", "192.0.2.1:80") == "unknown"
    assert verdict(text, "network-outbound", "192.0.2.1:80", OPEN="1") == "allowed"
    assert verdict(text, "file-read-data", "/h/x") == "unknown"
    assert verdict(text, "file-read-data", "/h/x", HOME="/h") == "allowed"
    assert verdict(text, "file-read-data", "/x", HOME="/h") == "denied"


def test_a_profile_that_does_not_compile_answers_nothing():
    assert verdict("(deny default)(alow signal)", "signal", "self") == "unknown"


def test_no_such_operation():
    with pytest.raises(UsageError, match="no operation") as caught:
        verdict(SERVER, "file-reed-data", "/a")
    assert "file-read-data" in caught.value.hint


def test_many_rules_cost_no_more_than_their_number():
    import time

    text = "(deny default)" + "".join(f'(allow file-read* (literal "/{i}"))' for i in range(15_000))
    program = evaluate(read(text))
    before = time.process_time()
    assert ask(program, "file-read-data", "/x").verdict == "denied"
    assert time.process_time() - before < 2


@pytest.mark.parametrize(
    ("rule", "operation", "subject"),
    [
        ('(allow file-read* (regex #"^/a("))', "file-read-data", "/a/b"),
        ('(allow network-bind (local tcp "localhost:4000"))', "network-bind", "localhost"),
        ('(allow network-bind (local tcp "localhost"))', "network-bind", "127.0.0.1:4000"),
    ],
)
def test_what_cannot_be_read_is_neither_allowed_nor_denied(rule: str, operation: str, subject: str):
    assert verdict(f"(version 1)(deny default){rule}", operation, subject) == "unknown"
    assert verdict(f"(version 1)(allow default){rule.replace('allow', 'deny')}", operation, subject) == "unknown"
