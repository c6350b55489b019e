"""Asking: allowed, denied or unknown, by which rule, and never 'denied' where it might be allowed."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sample_profiles import COMPILER, LOOSE, PACKAGER

from binsafe.errors import UsageError
from binsafe.seatbelt import ask, check, evaluate, read
from binsafe.seatbelt.vocabulary import covers

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


ELSEWHERE = ("network-outbound", "192.0.2.1:80")


@pytest.mark.parametrize(
    ("text", "operation", "subject"),
    [
        ('(define f (if (param "A") (lambda () (allow network*)) (lambda () 1))) (f)', *ELSEWHERE),
        ('((if (param "A") list +) (allow network*))', *ELSEWHERE),
        ("(for-each (lambda (x) (allow network*)) (if (param \"A\") '(1) '()))", *ELSEWHERE),
        ('(map (lambda (x) (allow network-outbound (remote ip x))) (param "A"))', *ELSEWHERE),
        ('(define x #f) (for-each (lambda (y) (set! x #t)) (param "A")) (if x (allow network*))', *ELSEWHERE),
        ('(import "x.sb") (deny network*)', *ELSEWHERE),
        ('(import "x.sb") (deny network* (remote ip "*:*"))', *ELSEWHERE),
        ('(allow network-outbound (remote tcp "*:1" "*:80"))', *ELSEWHERE),
        ('(allow network-outbound (remote tcp "localhost:80"))', "network-outbound", "127.1:80"),
        ('(allow network-outbound (remote tcp "localhost:80"))', "network-outbound", "mac.local:80"),
        ("(allow signal (target same-sandbox))", "signal", "self"),
        ("(allow signal (target pgrp))", "signal", "self"),
        ("(allow signal (target same-sandbox))", "signal", "others"),
        ('(allow file-read* (subpath "/private/tmp"))', "file-read-data", "/TMP/x"),
        ('(allow file-read* (subpath "/Users"))', "file-read-data", "/System/Volumes/Data/Users/x"),
        ('(allow file-read* (subpath "/Users"))', "file-read-data", "/Volumes/Macintosh HD/Users/x"),
        ('(allow file-read* (regex #"^/[[:alpha:]]+$"))', "file-read-data", "/abc"),
        ('(allow file-read* (regex #"^/a{2}$"))', "file-read-data", "/aa"),
        ('(allow file-read* (regex #"^/\\d$"))', "file-read-data", "/1"),
    ],
)
def test_denied_is_said_only_where_nothing_could_allow_it(text: str, operation: str, subject: str):
    assert verdict(f"(version 1)(deny default){text}", operation, subject) != "denied"


@pytest.mark.parametrize(
    ("text", "given", "operation", "subject", "expected"),
    [
        ('(or (param "A") (deny network*))', {}, *ELSEWHERE, "unknown"),
        ('(or (param "A") (deny network*))', {"A": "1"}, *ELSEWHERE, "allowed"),
        ('(if (and (param "A") #f) (deny network*))', {}, *ELSEWHERE, "allowed"),
        ('(if (or (param "A") #t) (deny network*))', {}, *ELSEWHERE, "denied"),
        ('(and #t (param "A") (deny network*) (deny signal))', {}, "signal", "self", "unknown"),
        ('(deny network-outbound (remote unix-socket "/a"))', {}, "network-outbound", "unix:/b", "unknown"),
    ],
)  # fmt: skip
def test_what_may_not_be_evaluated_is_in_doubt(
    text: str, given: dict[str, str], operation: str, subject: str, expected: str
):
    assert verdict(f"(version 1)(allow default){text}", operation, subject, **given) == expected


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


@pytest.mark.parametrize(
    ("operation", "subject", "expected"),
    [
        ("file-read-data", "/usr/lib/../../etc/passwd", "unknown"),
        ("file-read-data", "/usr//lib/./x/", "allowed"),
        ("file-read-data", "/USR/lib/x", "unknown"),
        ("file-read-data", "/opt/cafe\u0301", "unknown"),
        ("file-read-data", "/opt/caf\xe9", "allowed"),
        ("file-read-metadata", "/tmp", "allowed"),
        ("file-read-data", "/tmp", "denied"),
        ("file-read-metadata", "/private/tmp", "denied"),
        ("file-write-data", "/usr/lib/x", "denied"),
    ],
)
def test_other_spellings_of_a_path(operation: str, subject: str, expected: str):
    rules = (
        '(allow file-read* (subpath "/usr/lib") (literal "/opt/caf\xe9"))(allow file-read-metadata (literal "/tmp"))'
    )
    assert verdict(f"(version 1)(deny default){rules}", operation, subject) == expected


Written = tuple[str, str, str | None]
"""Action, operation, folder."""


def readings(rules: list[Written], operation: str, path: str):
    """What each reading of the language says that fits the profiles which are known to work."""
    speaking = [
        (action, name, folder) for action, name, folder in rules if covers(name, operation) and holds(folder, path)
    ]
    names = sorted({name for _, name, _ in speaking}, key=len, reverse=True)
    # Each operation has rules of its own, and asks its family only where none of those speaks.
    by_name = [[action for action, n, folder in speaking if n == name and folder] for name in names]
    plain = [[action for action, n, folder in speaking if n == name and not folder] for name in names]
    yield next((each[-1] if each else last[-1] for each, last in zip(by_name, plain, strict=True)), "deny")
    # All rules with filters come before all without.
    with_filter = [action for action, _, folder in speaking if folder]
    without = [(len(name), index, action) for index, (action, name, folder) in enumerate(speaking) if not folder]
    yield with_filter[-1] if with_filter else max(without, default=(0, 0, "deny"))[2]


def holds(folder: str | None, path: str) -> bool:
    return folder is None or f"{path}/".startswith(f"{folder}/")


RULE = st.tuples(
    st.sampled_from(["allow", "deny"]),
    st.sampled_from(["file*", "file-read*", "file-read-data"]),
    st.sampled_from([None, "/a", "/a/b"]),
)


@given(st.lists(RULE, max_size=5), st.sampled_from(["/a", "/a/b/c", "/b"]))
def test_a_sure_answer_is_what_every_reading_says(rules: list[Written], path: str):
    written = (f"({act} {name}" + (f' (subpath "{where}"))' if where else ")") for act, name, where in rules)
    answer = verdict("(version 1)(deny default)" + "".join(written), "file-read-data", path)
    said = set(readings(rules, "file-read-data", path))
    assert answer == "unknown" or said == {answer.removesuffix("ed").replace("deni", "deny")}


def test_what_a_filter_matches_where_it_does_not_belong_is_not_known():
    """Apple's own profiles have such rules, so that they compile."""
    text = '(version 1)(deny default)(allow user-preference-read (global-name "a"))(allow mach-lookup (subpath "/a"))'
    assert verdict(text, "user-preference-read", "a") == "unknown"
    assert verdict(text, "mach-lookup", "/a/b") == "unknown"
    assert verdict(text, "mach-register", "a") == "denied"


def test_a_path_of_many_accents_takes_no_more_time_than_others():
    accents = "\u0301\u0327" * 50_000
    before = time.process_time()
    assert (
        verdict(f'(version 1)\n(deny default)\n(allow file-read* (subpath "/a{accents}"))', "file-read*", "/b")
        == "denied"
    )
    assert time.process_time() - before < 5
