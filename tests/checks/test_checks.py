"""Checking by kind: what a text is, and what its reader objects to, at its place."""

import contextlib
import json
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from json_values import replaced, values

from binsafe import baselines
from binsafe.checks import check_text, kind_of
from binsafe.errors import UsageError
from binsafe.policy.conditions import parse_condition
from binsafe.policy.jsonnodes import JsonError, JsonNode, read_json

FILTER = """{
  "defaultAction": "SCMP_ACT_ERRNO",
  "defaultErrnoRet": 38,
  "architectures": ["SCMP_ARCH_X86_64"],
  "syscalls": [
    {"names": ["read", "write"], "action": "SCMP_ACT_ALLOW"},
    {"names": ["socket"], "action": "SCMP_ACT_ALLOW",
     "args": [{"index": 0, "value": 2, "op": "SCMP_CMP_EQ"}]}
  ]
}
"""


def found(text: str, kind: str = "seccomp"):
    return [(each.level, str(each.place), each.message) for each in check_text(text, kind, extended=baselines.load)]


@pytest.mark.parametrize(
    ("text", "name", "kind"),
    [
        ("(version 1)", "p.sb", "seatbelt"),
        ("; x\n(version 1)", "p", "seatbelt"),
        (FILTER, "p.json", "seccomp"),
        ('{"schema": "binsafe.policy/1"}', "p", "policy"),
        ("schema: binsafe.baseline/1", "p", "baseline"),
        ("x", "p.yaml", "baseline"),
    ],
)
def test_what_a_text_is(text: str, name: str, kind: str):
    assert kind_of(text, name) == kind


def test_a_filter_that_is_right():
    assert found(FILTER) == []
    assert found(json.dumps({"linux": {"seccomp": json.loads(FILTER)}})) == []


@pytest.mark.parametrize(
    ("before", "after", "level", "place", "message"),
    [
        ("38,", "38", "error", "4:3", "no JSON"),
        ('"defaultErrnoRet"', '"defaultError"', "error", "3:3", "unknown key"),
        ('"defaultErrnoRet"', '"defaultErrno"', "error", "3:19", "no name of an error"),
        ('_ERRNO",', '_ERRNO", "defaultErrno": "38",', "error", "2:54", "no name of an error"),
        ("SCMP_ARCH_X86_64", "x86_64", "error", "4:21", "unknown 'x86_64'"),
        ("38", "5000", "error", "3:22", "no error number"),
        ('"SCMP_ACT_ERRNO"', '"SCMP_ACT_ERNO"', "error", "2:20", "unknown 'SCMP_ACT_ERNO'"),
        ('"SCMP_ACT_ERRNO"', '"SCMP_ACT_ALLOW"', "warning", "2:20", "what is not named is allowed"),
        ('"write"', '"read"', "note", "6:24", "stands twice"),
        ('"write"', '"wrote"', "note", "6:24", "no system call"),
        ('"write"', '"bpf"', "note", "6:24", "loads programs"),
        ('"write"', '"ioctl"', "note", "6:24", "stands for many calls"),
        ('"index": 0', '"index": 6', "error", "8:25", "no argument"),
        ('"value": 2', '"value": -2', "error", "8:37", "64-bit"),
        ('"op"', '"oo"', "error", "8:40", "unknown key"),
        ("SCMP_CMP_EQ", "SCMP_CMP_XX", "error", "8:46", "unknown"),
        ('"op": "SCMP_CMP_EQ"', '"valueTwo": 4, "op": "SCMP_CMP_MASKED_EQ"', "error", "8:52", "never hold"),
        ('"names": ["socket"], ', "", "error", "7:5", "without names"),
        (', "action": "SCMP_ACT_ALLOW",\n', ",\n", "error", "7:5", "without an action"),
        (
            '"SCMP_ACT_ALLOW"},',
            '"SCMP_ACT_ALLOW"}, {"names": ["read"], "action": "SCMP_ACT_ERRNO"},',
            "error",
            "6:74",
            "decided twice, differently",
        ),
    ],
)
def test_each_fault_of_a_filter(before: str, after: str, level: str, place: str, message: str):
    assert before in FILTER
    findings = found(FILTER.replace(before, after, 1))
    assert any((level, place) == each[:2] and message in each[2] for each in findings), findings


def test_podmans_names_of_errors_are_known():
    named = FILTER.replace("38,", '38, "defaultErrno": "ENOSYS",').replace(
        '{"names": ["socket"]',
        '{"names": ["bpf"], "action": "SCMP_ACT_ERRNO", "errnoRet": 1, "errno": "EPERM"},\n {"names": ["socket"]',
    )
    assert found(named) == []


@pytest.mark.parametrize(("value", "said"), [(3, []), (2, ["socket stands twice"])])
def test_a_call_under_another_condition_is_another_rule(value: int, said: list[str]):
    condition = f'{{"op": "SCMP_CMP_EQ", "index": 0, "value": {value}}}'
    rule = f'{{"names": ["socket"], "action": "SCMP_ACT_ALLOW", "args": [{condition}]}}'
    text = FILTER.replace('"syscalls": [', f'"syscalls": [{rule},')
    assert [message for _, _, message in found(text)] == said


def test_one_argument_tested_twice_in_one_rule():
    test = '{"index": 0, "value": 2, "op": "SCMP_CMP_EQ"}'
    assert ("error", "8:14", "one argument is tested twice in one rule") in found(
        FILTER.replace(test, f"{test}, {test}")
    )


def test_policies_and_baselines_stop_at_the_first_fault():
    (policy,) = found('{"schema": "binsafe.policy/1",\n "extra": 1}', "policy")
    assert policy[0] == "error"
    (baseline,) = found("schema: binsafe.baseline/1\nname: x\ndescription: d\nextra: 1\n", "baseline")
    assert baseline[:2] == ("error", "4:8")
    assert found("schema: binsafe.baseline/1\nname: x\nextends: cli_tool\ndescription: d\n", "baseline") == []
    with pytest.raises(UsageError):
        check_text("", "selinux")


EXAMPLE = Path(__file__).parents[2] / "profiles/rendered/policy/flaky_servers.json"


def _edited(**changes: object):
    """The example, and the same with one grant more."""
    document = json.loads(EXAMPLE.read_text())
    grant = {"kind": "syscall", "reason": "by hand", "evidence": [], "access": "", "when": []} | changes
    return json.dumps(document | {"grants": [*document["grants"], grant]}, indent=1)


@pytest.mark.parametrize(
    ("call", "text"),
    [
        ("syslog", ""),
        ("getsockopt", "arg1 == 0x1"),
        ("setsockopt", "arg1 == IPPROTO_IPV6 and arg2 == 0x39"),
        ("socket", "arg0 == 0x10"),
    ],
)
def test_a_call_that_was_added_by_hand_and_no_baseline_lets_be_granted(call: str, text: str):
    when = msgspec.to_builtins(parse_condition(text)) if text else []
    (finding,) = found(_edited(object=call, access=text, when=when), "policy")
    assert finding[0] == "warning"
    assert f"{call} is granted beyond what the baseline flaky_servers lets" in finding[2]


def test_no_warning_within_the_cap_or_of_a_baseline_that_is_not_here(tmp_path: Path):
    assert found(EXAMPLE.read_text(), "policy") == []
    narrower = "arg0 == AF_INET and arg1 == SOCK_STREAM and arg2 == 0"
    inside = _edited(object="socket", access=narrower, when=msgspec.to_builtins(parse_condition(narrower)))
    assert found(inside, "policy") == []
    beyond = json.loads(_edited(object="syslog"))
    for name in ("mine", "../x", str(tmp_path / "x.yaml"), "flaky_servers+mine"):
        assert found(json.dumps(beyond | {"baseline": name}), "policy") == []


def test_the_policy_inside_of_a_linux_profile_is_read_where_it_stands():
    text = (Path(__file__).parents[2] / "profiles/rendered/linux/flaky_servers.json").read_text()
    line = next(number for number, content in enumerate(text.splitlines(), 1) if '"127.0.0.1:4000"' in content)
    damaged = text.replace('"127.0.0.1:4000"', '"0.0.0.0:4000"', 1)
    assert kind_of(text, "p.json") == "linux"
    assert [each for each in found(text, "linux") if each[0] == "error"] == []
    assert [each[1].split(":")[0] for each in found(damaged, "linux") if each[0] == "error"] == [str(line)]


def test_our_own_filter_has_no_finding():
    text = (Path(__file__).parents[2] / "profiles/rendered/seccomp/flaky_servers.json").read_text()
    assert [each for each in found(text) if each[0] != "note"] == []


def plain(node: JsonNode):
    if isinstance(node.value, dict):
        return {key: plain(entry) for key, (_, entry) in node.fields.items()}
    return [plain(item) for item in node.items] if isinstance(node.value, list) else node.value


@given(values, st.sampled_from([None, 1]))
def test_json_is_read_as_json_reads_it(value: object, indent: int | None):
    assert plain(read_json(json.dumps(value, indent=indent))) == value


@given(st.text(alphabet='{}[],:"0-1.e\\ tfn', max_size=30))
def test_any_text_is_json_to_both_or_to_none(text: str):
    try:
        expected = json.loads(text, parse_constant=lambda _: 1 / 0)
    except (ValueError, ZeroDivisionError):
        with pytest.raises(JsonError):
            read_json(text)
        return
    with contextlib.suppress(JsonError):  # stricter in a key that stands twice and in the length of numbers
        assert plain(read_json(text)) == expected


@given(st.data(), values)
def test_any_value_anywhere_is_checked_without_a_crash(data: st.DataObject, value: object):
    check_text(json.dumps(replaced(data, FILTER, value)), "seccomp")
