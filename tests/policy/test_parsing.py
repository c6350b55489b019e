"""Baselines from YAML: what is not understood to the last key is refused, with file, line and column."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from binsafe.errors import BaselineError
from binsafe.policy.parsing import parse
from binsafe.policy.yamlnodes import MAX_CHARACTERS

TWO_GROUPS = (
    "syscalls:\n  - {group: g, reason: r, when: {mmap: arg2 == 0}}\n"
    "  - {group: h, reason: r, needs: jit, when: {mmap: arg2 == 4}}\n"
)
HEAD = "schema: binsafe.baseline/1\nname: mine\ndescription: for a test\n"


def test_a_whole_baseline():
    baseline = parse(
        HEAD
        + """\
ports:
  reason: two servers
  layout: [8000-8001, 9000]
files:
  - {read: /data, reason: its input}
environment:
  - {name: LANG, value: C.UTF-8, reason: texts}
limits:
  nofile: {value: 64, reason: few}
  fsize: {value: 2 MiB, reason: small}
  cpu: {value: none, reason: it may run}
syscalls:
  - group: sockets
    reason: it serves
    assumed: true
    calls: [listen]
    when:
      socket: arg0 == AF_INET
      setsockopt:
        - arg1 == SOL_SOCKET and arg2 == SO_REUSEADDR
        - arg1 == IPPROTO_TCP and arg2 == TCP_NODELAY
""",
        "mine.yaml",
    )
    assert baseline.ports.ports == (8000, 8001, 9000)
    assert [(grant.kind, grant.object, grant.access) for grant in baseline.grants] == [
        ("read", "/data", ""),
        ("environment", "LANG", "C.UTF-8"),
        ("limit", "nofile", "64"),
        ("limit", "fsize", str(2 * 1024**2)),
    ]
    (group,) = baseline.calls
    assert group.assumed
    assert [grant.object for grant in group.grants] == ["listen", "socket", "setsockopt", "setsockopt"]
    assert all(grant.reason == "sockets: it serves" for grant in group.grants)
    assert baseline.may_listen


@pytest.mark.parametrize(
    ("text", "position", "message", "expected"),
    [
        ("grants: []\n", "4:9", "unknown key 'grants'", "one of"),
        ("name: again\n", "4:1", "stands twice", "once"),
        ("ports: {reason: r, layout: [70000]}\n", "4:29", "no port", "1 to 65535"),
        ("ports: {reason: r, layout: [0]}\n", "4:29", "no port", "1 to 65535"),
        ("ports: {reason: r, layout: [9-8]}\n", "4:29", "ends before", "8-9"),
        ("ports: {reason: r, layout: [8-9, 9]}\n", "4:34", "overlaps", "once"),
        ("ports: {reason: r, layout: []}\n", "4:8", "no ports", "at least one"),
        ("ports: {layout: [80]}\n", "4:8", "'reason' is missing", "reason"),
        ("files:\n  - read: etc/passwd\n    reason: r\n", "5:11", "not absolute", "starts with /"),
        ("files:\n  - read: /a/../b\n    reason: r\n", "5:11", "plain form", "/b"),
        ("files:\n  - read: /a//b\n    reason: r\n", "5:11", "plain form", "/a/b"),
        ("files:\n  - read: artifacts\n    reason: r\n", "5:11", "not absolute", "/"),
        ("files:\n  - {read: /a, write: /b, reason: r}\n", "5:5", "exactly one", "either"),
        ("files:\n  - {read: /a, reason: r}\n  - {read: /a, reason: s}\n", "1:1", "granted twice", "once"),
        ("files:\n  - read: /a\n    reason:\n", "6:12", "no text", "the reason"),
        ("limits: {nofiles: {value: 1, reason: r}}\n", "4:19", "unknown limit", "nofile"),
        ("limits: {nofile: {value: lots, reason: r}}\n", "4:26", "no limit", "64 MiB"),
        ("limits: {nofile: {value: -1, reason: r}}\n", "4:26", "no limit", "64 MiB"),
        ("environment: [{name: A-B, value: x, reason: r}]\n", "4:22", "no environment variable", "letters"),
        ("syscalls: [{group: g, reason: r}]\n", "4:12", "no system calls", "calls"),
        ("syscalls: [{group: g, reason: r, calls: [raed]}]\n", "4:42", "no system call is named 'raed'", "man"),
        ("syscalls: [{group: g, reason: r, calls: [connect]}]\n", "4:42", "never be granted", "leave it out"),
        ("syscalls: [{group: g, reason: r, calls: [io_uring_setup]}]\n", "4:42", "never be granted", "leave"),
        ("syscalls: [{group: g, reason: r, calls: [exit]}]\n", "4:42", "every program", "leave it out"),
        ("syscalls: [{group: g, reason: r, calls: [socket]}]\n", "4:42", "many calls", "when"),
        ("syscalls: [{group: g, reason: r, calls: [read, read]}]\n", "4:48", "already", "one group"),
        (
            "syscalls:\n  - group: g\n    reason: r\n    calls: [mmap]\n    when:\n      mmap: arg2 == 0\n",
            "9:13",
            "already",
            "one",
        ),
        ("syscalls:\n  - group: g\n    reason: r\n    when:\n      mmap: arg2 = 0\n", "8:13", "column 6", "condition"),
        ("syscalls: [{group: g, reason: r, assumed: yes, calls: [read]}]\n", "4:43", "neither", "true or false"),
        ("syscalls: [{group: g, reason: r, needs: luck, calls: [read]}]\n", "4:41", "no need", "dynamic, jit"),
        ("syscalls: [{group: g, reason: r, along_with: [raed], calls: [read]}]\n", "4:47", "'raed'", "man"),
        ("without: [sockets]\n", "4:11", "no such group", "none"),
        (
            TWO_GROUPS.replace("== 4", "== 0"),
            "6:52",
            "the same condition",
            "one group",
        ),
        ("extends: other\n", None, "no baseline 'other'", "leave"),
        ("extends: ../other\n", "4:10", "is no name", "lower-case"),
    ],
)
def test_errors_name_the_place_and_what_was_expected(text: str, position: str | None, message: str, expected: str):
    with pytest.raises(BaselineError, match=message) as caught:
        parse(HEAD + text, "mine.yaml")
    if position:
        assert str(caught.value).startswith(f"mine.yaml:{position}: ")
    assert expected in caught.value.hint


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "empty"),
        ("- a\n- b\n", "no mapping"),
        ("schema: binsafe.baseline/2\nname: a\ndescription: d\n", "another schema"),
        ("a: &x 1\nb: *x\n", "anchors, aliases and tags"),
        ("a: !!python/object/apply:os.system [ls]\n", "anchors, aliases and tags"),
        ("a: 1\n---\nb: 2\n", "no YAML"),
        ("a: [1, 2\n", "no YAML"),
        ("a: '\x07'\n", "no YAML"),
        ("[" * 10_000, "nested too deeply"),
        ("? {a: b}\n: c\n", "no text"),
        ("#" * (MAX_CHARACTERS + 1), "longer than"),
    ],
)
def test_what_is_no_baseline_at_all(text: str, message: str):
    with pytest.raises(BaselineError, match=message) as caught:
        parse(text, "mine.yaml")
    assert str(caught.value).startswith("mine.yaml:")


def test_a_billion_laughs_are_not_laughed():
    lines = ["a0: &a0 [x, x]", *(f"a{i}: &a{i} [*a{i - 1}, *a{i - 1}]" for i in range(1, 40))]
    with pytest.raises(BaselineError, match="anchors"):
        parse("\n".join(lines), "bomb.yaml")


def test_extending_adds_and_replaces_limits_only():
    base = parse(
        HEAD + "limits: {nofile: {value: 8, reason: few}, core: {value: 0, reason: none}}\n"
        "syscalls: [{group: g, reason: r, calls: [read]}]\n",
        "base.yaml",
    )
    text = HEAD.replace("mine", "child") + "extends: mine\n"
    child = parse(text + "limits: {nofile: {value: none, reason: many}}\n", "child.yaml", lambda _: base)
    assert [grant.object for grant in child.grants] == ["core"]
    assert child.allows_call("read")
    with pytest.raises(BaselineError, match="already"):
        parse(text + "syscalls: [{group: h, reason: r, calls: [read]}]\n", "child.yaml", lambda _: base)


@given(st.text(max_size=200) | st.text(alphabet="abc:-[]{}&*!|>'\"\n #?,", max_size=80))
def test_any_text_is_a_baseline_error(text: str):
    with pytest.raises(BaselineError):
        parse(text, "any.yaml")


@given(st.integers(0, 2_000), st.sampled_from([":", "-", "}", "\n", "\t", "&a ", "*a", "!", "x", ""]))
def test_a_damaged_baseline_is_refused_or_still_one(position: int, damage: str):
    from binsafe import baselines

    text = (baselines.shipped("baselines") / "deny_all.yaml").read_text(encoding="utf-8")
    position %= len(text)
    try:
        parse(text[:position] + damage + text[position + 1 :], "damaged.yaml")
    except BaselineError as problem:
        message = str(problem)
    else:
        message = "damaged.yaml: still a baseline"
    assert message.startswith("damaged.yaml:")


def test_a_baseline_may_leave_groups_of_the_extended_one_out():
    base = parse(
        HEAD + "syscalls: [{group: a, reason: r, calls: [read]}, {group: b, reason: r, calls: [write]}]\n", "base.yaml"
    )
    text = (
        HEAD.replace("mine", "child")
        + "extends: mine\nwithout: [a]\nsyscalls: [{group: c, reason: r, calls: [read]}]\n"
    )
    child = parse(text, "child.yaml", lambda _: base)
    assert [group.name for group in child.calls] == ["b", "c"]


def test_two_groups_may_have_one_call_under_different_conditions():
    assert [group.needs for group in parse(HEAD + TWO_GROUPS, "mine.yaml").calls] == [None, "jit"]
