"""SBPL: its structure, what it opens, and what it refuses to say."""

import re
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_policies import grant, make_policy

from binsafe.errors import CannotExpress
from binsafe.model import Denial, Evidence, Grant
from binsafe.policy.objects import ObjectError, check_object
from binsafe.renderers.seatbelt import render
from binsafe.seatbelt import ask, check, evaluate, read

_TOKEN = re.compile(r'\s+|;[^\n]*|"[^"\\\n]*"|[()]|[^\s()";]+')


def read_sbpl(text: str):
    """The top-level expressions as nested lists, or an AssertionError: reads the part of the language that we write."""
    stack, position = [[]], 0
    while position < len(text):
        match = _TOKEN.match(text, position)
        assert match, f"not SBPL at {position}: {text[position : position + 20]!r}"
        word, position = match[0], match.end()
        match word:
            case "(":
                stack.append([])
            case ")":
                assert len(stack) > 1, "one ) too many"
                stack[-2].append(stack.pop())
            case _ if not word.isspace() and not word.startswith(";"):
                stack[-1].append(word)
    assert len(stack) == 1, "one ( too many"
    return stack[0]


def policy(*grants: Grant, denied: tuple[Denial, ...] = ()):
    return make_policy(
        grant("execute", "artifact"), grant("read", "artifact"), *grants, system="macos", arch="arm64", denied=denied
    )


def rules(text: str):
    """(operation, filter) pairs of all allows."""
    pairs = []
    for expression in read_sbpl(text):
        allow = expression[2] if expression[0] == "if" else expression
        if allow[0] == "allow":
            operations = [item for item in allow[1:] if isinstance(item, str)]
            filters = [item for item in allow[1:] if isinstance(item, list)] or [[]]
            pairs += [(operation, each) for operation in operations for each in filters]
    return pairs


LISTENERS = [grant("listen", f"127.0.0.1:{port}", "tcp") for port in (*range(4000, 4010), 5000)]


def test_a_profile_denies_by_default_and_then_allows():
    text = render(policy(*LISTENERS)).text
    expressions = read_sbpl(text)
    assert expressions[0] == ["version", "1"]
    assert expressions[1] == ["deny", "default"]
    assert expressions[2][0] == "deny"
    assert {each[0] if each[0] != "if" else each[2][0] for each in expressions[3:]} == {"allow"}
    assert "network-outbound" not in text
    assert "(local ip" not in text
    assert '"*' not in text
    assert "process-fork" not in text
    assert "mach-lookup" not in text
    assert "import" not in {expression[0] for expression in expressions}


def test_each_rule_has_its_reason_above_it():
    lines = render(policy(*LISTENERS)).text.splitlines()
    above = [before for before, line in pairwise(lines) if line.startswith("(allow")]
    assert above
    assert all(re.match(r"; \S", before) for before in above)


def test_rules_do_not_overlap():
    pairs = [
        (operation, *each)
        for operation, each in rules(render(policy(*LISTENERS, grant("write", "scratch"))).text)
        if each
    ]
    keys = [str(pair) for pair in pairs]
    assert len(set(keys)) == len(keys)


def test_exactly_the_ports():
    pairs = rules(render(policy(*LISTENERS)).text)
    for operation in ("network-bind", "network-inbound"):
        found = [each for name, each in pairs if name == operation]
        assert found == [["local", "tcp", f'"localhost:{port}"'] for port in (*range(4000, 4010), 5000)]
    assert not [name for name, _ in rules(render(policy()).text) if name.startswith("network")]


def test_ports_of_the_kernels_choice_need_the_wildcard():
    assert '(local tcp "localhost:*")' in render(policy(grant("listen", "127.0.0.1:0", "tcp"))).text


def test_only_the_program_itself_is_executable():
    text = render(policy(), binary="/private/tmp/x/flaky").text
    assert [each for name, each in rules(text) if name.startswith("process-exec")] == [
        ["literal", '"/private/tmp/x/flaky"']
    ]
    assert '(literal "/private/tmp/x")' in text
    assert '(process-exec* (literal (param "BINARY")))' in render(policy()).text.replace("(allow ", "(")


def test_granted_files_become_rules_for_reading_and_writing():
    text = render(policy(grant("read", "/data"), grant("write", "/out"), grant("write", "scratch"))).text
    pairs = rules(text)
    assert ("file-read*", ["subpath", '"/data"']) in pairs
    written = {name for name, each in pairs if name.startswith("file-write") and each == ["subpath", '"/out"']}
    assert written >= {"file-write-create", "file-write-data", "file-write-unlink"}
    assert not written & {"file-write*", "file-write-setugid"}
    assert not [name for name, each in pairs if name.startswith("file-write") and each == ["subpath", '"/data"']]
    assert re.search(r'\(if \(param "SCRATCH"\) \(allow file-read\* [^()]* file-write-create [^()]*\(subpath', text)


def test_libraries_beside_the_program_are_mapped_from_the_folder_that_is_named():
    """Without them dyld aborts: under the profile, what needs one could not start at all."""
    missing = Denial(capability="load @loader_path/../lib/libz.dylib", reason="it is looked for from where it lies")
    text = render(policy(denied=(missing,))).text
    assert check(text) == ()
    questions = [(name, "/opt/x/lib/libz.dylib") for name in ("file-read-data", "file-map-executable", "process-exec")]
    for named, verdicts in (
        ({}, ["unknown", "unknown", "denied"]),
        ({"LIBRARIES": "/opt/x/lib"}, ["allowed", "allowed", "denied"]),
    ):
        program = evaluate(read(text), {"BINARY": "/opt/x/bin/program", **named})
        assert [ask(program, *question).verdict for question in questions] == verdicts
    assert "LIBRARIES" not in render(policy()).text


def test_granted_programs_can_be_started():
    pairs = rules(render(policy(grant("execute", "/usr/bin/true"))).text)
    assert ("process-exec*", ["literal", '"/usr/bin/true"']) in pairs
    assert ("process-fork", []) in pairs


@pytest.mark.parametrize("path", ['/a"b', "/a\\b", "/a(b", "/a)b", "/a\nb", "/a\x1bb", "/a\u2028b", "a"])
def test_paths_that_could_end_a_string_are_refused(path: str):
    with pytest.raises(CannotExpress, match="cannot hold the path"):
        render(policy(), binary=path)
    with pytest.raises(CannotExpress, match="cannot hold the path"):
        render(policy(grant("read", path)))


@given(st.text(min_size=1, max_size=30).map(lambda text: "/" + text))
def test_any_path_is_refused_or_stays_one_string(path: str):
    try:
        check_object("read", path)
        text = render(policy(grant("read", path))).text
    except (ObjectError, CannotExpress):
        return
    assert ("file-read*", ["subpath", f'"{path}"']) in rules(text)


@given(st.text(max_size=60))
def test_no_reason_name_or_denial_becomes_a_rule(words: str):
    denial = Denial(capability=words, reason=words, evidence=(Evidence(via="import", symbol=words),))
    plain = read_sbpl(render(policy(grant("read", "/data"))).text)
    assert read_sbpl(render(policy(grant("read", "/data", reason=words), denied=(denial,))).text) == plain


def test_a_connect_grant_to_this_machine():
    pairs = rules(render(policy(grant("connect", "localhost:5432", "tcp"))).text)
    assert [each for name, each in pairs if name == "network-outbound"] == [["remote", "tcp", '"localhost:5432"']]


def test_a_remote_host_has_no_words():
    wanted = policy(grant("connect", "example.org:443", "tcp"))
    with pytest.raises(CannotExpress, match=r"cannot name example\.org") as caught:
        render(wanted)
    assert "--allow-partial" in caught.value.hint
    profile = render(wanted, allow_partial=True)
    assert ("network-outbound", ["remote", "tcp", '"*:443"']) in rules(profile.text)
    assert any("open to every host" in gap.reason for gap in profile.gaps)


def test_gaps_are_named():
    assert {"seatbelt-localhost", "seatbelt-syscalls", "seatbelt-limits"} <= {gap.id for gap in render(policy()).gaps}


@pytest.mark.parametrize("text", ["(allow", "(allow))", '(literal "x)', "(a \\ b"])
def test_the_reader_of_these_tests_can_fail(text: str):
    with pytest.raises(AssertionError):
        read_sbpl(text + '"')


paths = st.sampled_from(["/", "/usr", "/usr/lib/x", "/data", "/data/a", "/data/ab", "/opt/server", "/private/tmp/x"])


@given(
    st.lists(st.tuples(st.sampled_from(["read", "write", "execute"]), paths), max_size=6),
    st.sampled_from([None, "/opt/server", "/data/a/server"]),
    st.sets(st.integers(0, 65535), max_size=3),
)
def test_our_own_checker_has_nothing_to_say(grants: list[tuple[str, str]], binary: str | None, ports: set[int]):
    """Whatever is granted: no error, no overlap; only what was asked for by name may be called wide."""
    listed = dict.fromkeys((kind, path) for kind, path in grants if kind != "execute" or path != "/")
    named = [grant(kind, path) for kind, path in listed]
    listen = [grant("listen", f"127.0.0.1:{port}", "tcp") for port in ports]
    findings = check(render(policy(*named, *listen), binary=binary, allow_partial=True).text)
    wide = {"every file" in each.message for each in findings}
    assert [each for each in findings if "every file" not in each.message] == []
    assert not wide or "/" in {path for _, path in listed}


def test_a_library_may_be_read_and_mapped():
    library = Grant(kind="read", object="/opt/x.dylib", access="library", reason="library: needed by program")
    pairs = rules(render(policy(library)).text)
    assert ("file-map-executable", ["literal", '"/opt/x.dylib"']) in pairs


def answers(text: str, *questions: tuple[str, str]):
    program = evaluate(read(text), {"BINARY": "/opt/server"})
    return [ask(program, operation, subject).verdict for operation, subject in questions]


def test_what_the_default_leaves_open_is_denied():
    questions = [
        *(("process-info-pidinfo", "others"), ("process-info-listpids", "others"), ("nvram-get", "boot-args")),
        *(("iokit-get-properties", "IOPlatformSerialNumber"), ("file-map-executable", "/private/tmp/x")),
    ]
    assert answers(render(policy()).text, *questions) == ["denied"] * 5
    assert answers(render(policy()).text, ("process-info-pidinfo", "self"), ("file-map-executable", "/opt/server")) == [
        "allowed",
        "allowed",
    ]


def test_what_a_program_asks_before_its_first_instruction():
    needed = [
        *(("file-read-data", "/"), ("file-read-data", "/System/Library/dyld/dyld_shared_cache_arm64e")),
        *(
            ("file-read-metadata", "/etc"),
            ("file-read-metadata", "/tmp"),
            ("file-read-metadata", "/private/etc/localtime"),
        ),
        *(("sysctl-read", "hw.machine"), ("sysctl-read", "hw.pagesize_compat"), ("sysctl-read", "sysctl.name2oid")),
        *(("file-test-existence", "/usr/lib/dyld"), ("file-map-executable", "/usr/lib/dyld")),
    ]
    assert answers(render(policy()).text, *needed) == ["allowed"] * len(needed)
    assert answers(render(policy()).text, ("sysctl-read", "kern.ipc.somaxconn"), ("file-read-data", "/tmp/x")) == [
        "denied",
        "denied",
    ]
    assert answers(render(policy(*LISTENERS)).text, ("sysctl-read", "kern.ipc.somaxconn")) == ["allowed"]


def test_the_folders_above_what_is_granted_can_be_looked_at_and_no_more():
    text = render(policy(grant("read", "/Users/me/data"), grant("write", "/Users/me/out")), binary="/opt/x/server").text
    seen = [("file-read-metadata", each) for each in ("/Users", "/Users/me", "/opt/x", "/opt")]
    assert answers(text, *seen) == ["allowed"] * 4
    assert answers(text, ("file-read-data", "/Users/me"), ("file-read-metadata", "/Users/you")) == ["denied", "denied"]


def test_a_program_of_intels_may_be_translated():
    intel = make_policy(grant("execute", "artifact"), system="macos", arch="x86_64+arm64")
    assert answers(render(intel).text, ("file-map-executable", "/private/var/db/oah/1/2/x.aot")) == ["allowed"]
    assert answers(render(policy()).text, ("file-map-executable", "/private/var/db/oah/1/2/x.aot")) == ["denied"]


def test_its_own_terminal_and_no_other():
    questions = [("file-ioctl", "/dev/ttys004"), ("file-ioctl", "/dev/ttys003")]
    assert answers(render(policy(), terminal="/dev/ttys004").text, *questions) == ["allowed", "denied"]
    assert answers(render(policy()).text, *questions) == ["denied", "denied"]


@pytest.mark.parametrize("path", ["/var/tmp/data", "/tmp", "/etc/hosts"])
def test_a_path_below_a_link_of_macos_is_written_as_its_kernel_compares_it(path: str):
    """Written on Linux the profile named what never matches, and `check` warned of it."""
    text = render(make_policy(grant("read", path), grant("write", "/variable"), system="macos"), binary="/opt/x").text
    assert not [finding.message for finding in check(text) if "never matches" in finding.message]
    program = evaluate(read(text))
    assert ask(program, "file-read-data", f"/private{path}").verdict == "allowed"
    assert ask(program, "file-write-data", "/variable").verdict == "allowed"
