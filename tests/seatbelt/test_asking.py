"""Asking: allowed, denied or unknown, by which rule, and never 'denied' where it might be allowed."""

import time

import pytest
from asked import verdict
from sample_profiles import COMPILER, LOOSE, PACKAGER

from binsafe.errors import UsageError
from binsafe.seatbelt import ask, check, evaluate, read

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
def test_a_servers_profile_answers_each_question(operation: str, subject: str | None, expected: str):
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


@pytest.mark.parametrize(
    ("later", "expected"),
    [
        ('(deny file-read* (subpath "/a/b"))', "denied"),
        ('(deny file-read-data (subpath "/a/b"))', "denied"),
        ('(deny file-read* (subpath "/a/b"))(allow file-read* (literal "/a/b/c"))', "allowed"),
        ('(deny file* (subpath "/a/b"))', "unknown"),  # of the family, which a rule for a member need not heed
    ],
)
def test_of_filtered_rules_the_last_one_wins(later: str, expected: str):
    text = '(deny default)(allow file-read* (subpath "/a"))' + later
    answer = ask(evaluate(read(text)), "file-read-data", "/a/b/c")
    assert answer.verdict == expected
    assert expected != "unknown" or ("1:15" in answer.reason and "1:48" in answer.reason)
    assert verdict(text, "file-read-data", "/a/c") == "allowed"


def test_a_folder_that_ends_with_a_slash_may_match_nothing():
    text = (
        '(version 1)(deny default)(allow file-read*)(deny file-read* (subpath "/a/"))(deny file-read* (literal "/b/"))'
    )
    assert verdict(text, "file-read-data", "/a/x") == "unknown"
    assert verdict(text, "file-read-data", "/b") == "allowed"
    assert verdict('(deny default)(allow file-read* (subpath "/"))', "file-read-data", "/a/x") == "allowed"
    assert [str(each.place) for each in check(text) if "ends with /" in each.message] == ["1:61", "1:94"]


def test_what_was_divided_is_still_meant_by_its_old_name():
    """macOS 13 has two operations for iokit-open, and profiles from before work there."""
    assert verdict("(deny default)(allow iokit-open)", "iokit-open-user-client", "RootDomainUserClient") == "allowed"
    assert verdict("(deny default)(allow iokit-open)", "iokit-set-properties", "RootDomainUserClient") == "denied"


def test_an_import_that_is_not_here_decides_what_nothing_else_does():
    text = '(deny default)(import "system.sb")(allow signal (target self))'
    answer = ask(evaluate(read(text)), "file-read-data", "/x")
    assert answer.verdict == "unknown"
    assert "system.sb" in answer.reason
    assert verdict(text, "signal", "self") == "allowed"


@pytest.mark.parametrize(
    "macro", ["macro (allow form)", "macro allow", "define-macro (allow . r)", "define-syntax allow"]
)
def test_a_macro_may_give_a_known_word_another_meaning(macro: str):
    text = f"(version 1) (deny default) ({macro} `(deny ,@r)) (allow file-read*)"
    assert verdict(text, "file-read-data", "/etc/passwd") == "unknown"


def test_a_message_filter_decides_what_is_sent_and_not_what_is_opened():
    text = "(deny default)(allow mach-bootstrap (apply-message-filter (allow mach-message-send (message-number 5))))"
    assert verdict(text, "mach-bootstrap") == "allowed"
    assert verdict(text, "mach-message-send") == "unknown"
    assert verdict(text, "iokit-external-method") == "denied"


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
    ("rules", "operation", "subject", "expected"),
    [
        ("", "process-info-pidinfo", "others", "allowed"),
        ("", "nvram-get", "boot-args", "allowed"),
        ("", "file-map-executable", "/a", "allowed"),
        ("", "dynamic-code-generation", None, "unknown"),
        ("", "process-fork", None, "denied"),
        ("(allow process-info* (target self))", "process-info-pidinfo", "others", "allowed"),
        ("(deny process-info*)(allow process-info* (target self))", "process-info-pidinfo", "others", "denied"),
        ("(deny process-info*)(allow process-info* (target self))", "process-info-pidinfo", "self", "allowed"),
        ("(deny process-info* (target others))", "process-info-pidinfo", "others", "denied"),
        ("(deny process-info* (target others))", "process-info-pidinfo", None, "unknown"),
        ('(import "system.sb")', "process-info-pidinfo", "others", "unknown"),
    ],
)
def test_the_default_does_not_cover_everything(rules: str, operation: str, subject: str | None, expected: str):
    assert verdict(f"(version 1)(deny default){rules}", operation, subject) == expected


def test_the_checker_names_what_the_default_does_not_cover():
    text = "(version 1)(deny default)(deny nvram*)(allow process-info* (target self))"
    (message,) = [each.message for each in check(text) if "(deny default)" in each.message]
    assert "process-info*" in message
    assert "nvram" not in message


def test_a_member_of_a_family_is_decided_where_order_and_width_agree():
    assert (
        verdict("(deny default)(deny process-info*)(allow process-info-pidinfo)", "process-info-pidinfo") == "allowed"
    )
    assert (
        verdict("(deny default)(allow process-info-pidinfo)(deny process-info*)", "process-info-pidinfo") == "unknown"
    )
    text = '(deny default)(deny file* (subpath "/s"))(allow file-read*)'
    assert verdict(text, "file-read-data", "/s/x") == "unknown"
    assert verdict(text, "file-read-data", "/t") == "allowed"


def test_a_path_of_many_accents_takes_no_more_time_than_others():
    accents = "\u0301\u0327" * 50_000
    before = time.process_time()
    assert (
        verdict(f'(version 1)\n(deny default)\n(allow file-read* (subpath "/a{accents}"))', "file-read*", "/b")
        == "denied"
    )
    assert time.process_time() - before < 5
