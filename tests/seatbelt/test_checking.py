"""The checker: each rule finds what it is for, at its place, and says nothing of a profile that is right."""

import time

import pytest
from sample_profiles import ALL, LOOSE

from binsafe.seatbelt import check
from binsafe.seatbelt.checking import MAX_FINDINGS

HEAD = "(version 1)\n(deny default)(deny file-map-executable iokit-get-properties nvram* process-info*)\n"


def found(text: str, **options: str):
    return [(each.level, str(each.place), each.message) for each in check(HEAD + text, **options)]


@pytest.mark.parametrize(
    "text",
    [
        "",
        '(allow file-read* (subpath "/usr/lib") (literal "/"))',
        '(allow network-bind network-inbound (local tcp "localhost:4000"))',
        '(allow network-outbound (remote tcp "localhost:5432"))',
        '(allow network-outbound (remote unix-socket (path-literal "/private/var/run/x")))',
        "(allow signal process-info* (target self))",
        "(allow mach-bootstrap (apply-message-filter (with report) (allow mach-message-send (message-number 206))))",
        '(allow file-read-metadata (literal "/tmp"))',
        '(allow file-read* (subpath "/a"))(deny file-read* (literal "/b"))(deny file-write* (subpath "/ab"))',
        '(if (param "SCRATCH") (allow file-read* file-write* (subpath (param "SCRATCH"))))',
        '(if (param "A") (allow signal (target self)) (begin (allow signal (target self)) (allow process-fork)))',
        '(if (param "A") (allow file-read* (literal "/a")) (deny file-read* (literal "/a")))',
        '(cond ((param "A") (allow process-fork)) ((param "B") (allow process-fork)) (else (deny process-fork)))',
        "(allow syscall-unix (syscall-group-read) (syscall-group-mach-eventlink) (syscall-number SYS_exit))",
        "(allow system-necp-client-action (necp-client-action NECP_CLIENT_ACTION_ADD))(allow necp-client-open)",
        "(allow process-codesigning (codesigning-operation CS_OPS_STATUS))",
        '(allow process-info-codesignature (target-signing-identifier "org.example"))',
        '(allow file-read-metadata (extension-path-ancestor))(allow system-fsctl (fsctl-command (_IO "h" 47)))',
        '(with-filter (filesystem-name "devfs") (allow file-read*))',
        '(with-filter (process-path-regex "/agent$") (allow mach-lookup (global-name "a")))',
        '(with-filter (%entitlement-is-present "a") (allow mach-lookup (global-name "b")))',
        '(allow mach-lookup (subpath "/Library/Video"))(allow user-preference-read (global-name "a"))',
    ],
)
def test_nothing_to_say(text: str):
    assert found(text) == []


@pytest.mark.parametrize(
    ("text", "level", "place", "message"),
    [
        ('(allow file-read* (literal "/a")', "error", "3:1", "never closed"),
        ('(allow file-red* (literal "/a"))', "error", "3:8", "unknown name"),
        ('(allow file-read* (global-name "a"))', "error", "3:19", "global-name is no filter of file-read*"),
        ("(allow mach-bootstrap (apply-message-filter (deny mach-message-send)))", "warning", "3:45", "entitlement"),
        ("(allow mach-bootstrap (apply-message-filter (allow signal)))", "error", "3:52", "signal in a message filter"),
        ("(allow mach-bootstrap (apply-message-filter 5))", "error", "3:45", "5 is no rule"),
        ("(deny mach-bootstrap (apply-message-filter))", "error", "3:22", "(apply-message-filter) is no filter"),
        ("(allow mach-lookup (message-number 5))", "error", "3:20", "message-number is no filter of mach-lookup"),
        ('(allow signal (subpath "/a"))', "error", "3:15", "subpath is no filter of signal"),
        ('(allow network-bind (local tcp "127.0.0.1:80"))', "error", "3:21", "host must be * or localhost"),
        ('(allow network-bind (local tcp "localhost:80-90"))', "error", "3:21", "invalid port"),
        ('(allow network-bind (local tcp "localhost:0"))', "error", "3:21", "invalid port"),
        ('(allow network-bind (local tcp "localhost:70000"))', "error", "3:21", "invalid port"),
        ('(allow network-bind (local "localhost:80"))', "error", "3:21", "without a protocol"),
        ('(allow network-bind (local http "localhost:80"))', "error", "3:21", "without a protocol"),
        ('(allow network-inbound (remote tcp "localhost:80"))', "error", "3:24", "decides nothing"),
        ('(allow file-read* (literal "a"))', "error", "3:19", "not absolute"),
        ('(allow file-read* (literal "/a/../b"))', "error", "3:19", "never matches"),
        ('(allow file-read* (literal "/a/"))', "error", "3:19", "ends with /"),
        ('(allow file-read* (regex #"^/("))', "error", "3:19", "does not compile"),
        ("(allow file-read* (vnode-type FILE))", "error", "3:19", "unknown word FILE"),
        ("(allow file-read* (literal 5))", "error", "3:19", "no string"),
        ("(allow file-read* (literal))", "error", "3:19", "without an argument"),
        ("(allow file-read* (require-all))", "error", "3:19", "without filters"),
        ('(allow file-read* (subpath "/tmp"))', "warning", "3:19", "/tmp is a link"),
        ('(allow file-read* (literal "/etc/passwd"))', "warning", "3:19", "/etc is a link"),
        ("(allow network-outbound (local ip))", "warning", "3:25", "lets every connection out"),
        ('(allow network* (local ip "localhost:*"))', "warning", "3:17", "lets every connection out"),
        ("(allow network-outbound)", "warning", "3:8", "every address"),
        ("(allow process-exec)", "warning", "3:8", "every program"),
        ('(allow file-write* (subpath "/"))', "warning", "3:8", "every file, for writing"),
        ('(allow process-exec (literal "/bin/ps") (with no-sandbox))', "warning", "3:41", "outside of any sandbox"),
        ("(allow default)", "warning", "3:8", "everything"),
        ('(allow network-outbound (remote ip "*:*"))', "warning", "3:8", "every address"),
        ('(allow network-outbound (remote udp "*:*"))', "warning", "3:8", "every address"),
        ('(allow file-write* (regex #"/"))', "warning", "3:8", "every file, for writing"),
        ('(allow file-write* (subpath "/x" "/"))', "warning", "3:8", "every file, for writing"),
        ('(allow file-write* (require-not (subpath "/x")))', "warning", "3:8", "every file, for writing"),
        ('(allow process-exec (regex #"^/.+"))', "warning", "3:8", "every program"),
        ('(allow mach-lookup (require-not (global-name "x")))', "warning", "3:8", "every service"),
        ("(allow signal (target self others))", "note", "3:8", "every process"),
        ('(import "x.sb")', "note", "3:1", "import x.sb"),
        ('(for-each (lambda (p) (allow signal)) (param "A"))', "note", "3:1", "a loop over"),
        ('(allow file-read* (regex #"^/[[:alpha:]]"))', "warning", "3:19", "may not mean what it seems to"),
        ("(allow mach-lookup)", "warning", "3:8", "every service"),
        ("(allow lsopen)", "warning", "3:8", "outside of the sandbox"),
        ("(allow job-creation)", "warning", "3:8", "outside of the sandbox"),
        ('(allow file-read* (regex #"passwd"))', "note", "3:19", "matches anywhere"),
        ("(allow signal)", "note", "3:8", "every process"),
        (
            '(allow file-read* (subpath "/a"))\n(allow file-read-data (literal "/a/b"))',
            "note",
            "4:23",
            "says nothing new",
        ),
        ('(allow file-read* (subpath "/a"))\n(deny file-read* (literal "/a/b"))', "note", "4:1", "their order decides"),
        ('(if (param "A") (begin (allow process-fork) (allow process-fork)) 0)', "note", "3:45", "says nothing new"),
        ('(if (param "A") (allow process-fork))\n(if (param "A") (allow process-fork))', "note", "4:17", "nothing new"),
    ],
)  # fmt: skip
def test_each_rule_finds_what_it_is_for(text: str, level: str, place: str, message: str):
    findings = found(text)
    assert any((level, place) == each[:2] and message in each[2] for each in findings), findings


def test_a_profile_without_a_version_is_told():
    assert any("no (version 1)" in each.message for each in check("(deny default)"))


def test_the_original_projects_profile_does_not_pass():
    assert any("lets every connection out" in each.message for each in check(LOOSE))


@pytest.mark.parametrize("name", ALL)
def test_profiles_in_the_manner_of_shipped_ones_have_no_error(name: str):
    assert [each for each in check(ALL[name]) if each.level == "error"] == []


def test_operations_of_a_later_release():
    assert any("known since macOS 10.15" in each[2] for each in found("(allow syscall-unix)", release="10.14"))
    assert found("(allow syscall-unix)", release="11") == []


def test_many_rules_are_compared_up_to_a_bound():
    text = "\n".join(f'(allow file-read* (literal "/a{i}"))' for i in range(2000))
    assert [each[2] for each in found(text)] == ["too many rules to compare each with each"]


def test_patterns_that_a_loop_makes_cost_no_more_than_the_budget():
    pattern = '(string-append "^x' + "a?" * 450 + '" (number->string i))'
    loop = f"(let loop ((i 0)) (when (< i 9000) (allow file-read* file-write* (regex {pattern})) (loop (+ i 1))))"
    before = time.process_time()
    assert any("too long" in each[2] for each in found(loop))
    assert time.process_time() - before < 20  # 0.6 s on the machine it was written on, and minutes without the budget


_MANY = """
(define (twice l n) (if (= n 0) l (twice (append l l) (- n 1))))
(define many (twice '("a/../b") 15))
(let loop ((i 0)) (when (< i 25) (allow file-read* (literal many)) (loop (+ i 1))))
"""


@pytest.mark.timeout(60)
@pytest.mark.parametrize(
    "text", [_MANY, "(allow " + "file-read* file-write* " * 1000 + '(regex #"^/.*$") ' * 1000 + ")"]
)
def test_a_rule_with_many_words_costs_no_more_than_the_bounds(text: str):
    """Seconds; without the bounds, minutes and gigabytes."""
    assert 0 < len(found(text)) <= MAX_FINDINGS
