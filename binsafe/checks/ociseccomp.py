"""Checks a seccomp filter in the OCI runtime's JSON (config-linux.md, "Seccomp"), with Docker's and Podman's additions.

Strict in what libseccomp would refuse or silently read otherwise, and with an eye for what opens more than it seems to.
"""

import re
from collections.abc import Iterator
from typing import Any, Final

from binsafe.policy.conditions import WORD
from binsafe.policy.jsonnodes import JsonError, JsonNode, line_and_column, read_json
from binsafe.policy.walls import NEEDS_CONDITION, WALLS
from binsafe.seatbelt.findings import Finding, Level
from binsafe.seatbelt.nodes import Place
from binsafe.syscalls import tables

_ACTIONS: Final = frozenset(
    f"SCMP_ACT_{name}"
    for name in ("KILL", "KILL_PROCESS", "KILL_THREAD", "TRAP", "ERRNO", "TRACE", "ALLOW", "LOG", "NOTIFY")
)
_OPERATORS: Final = frozenset(f"SCMP_CMP_{name}" for name in ("NE", "LT", "LE", "EQ", "GE", "GT", "MASKED_EQ"))
_ARCHITECTURES: Final = frozenset(
    f"SCMP_ARCH_{name}"
    for name in (
        "X86 X86_64 X32 ARM AARCH64 MIPS MIPS64 MIPS64N32 MIPSEL MIPSEL64 MIPSEL64N32 PPC PPC64 PPC64LE S390 S390X"
        " PARISC PARISC64 RISCV64 LOONGARCH64 M68K SH SHEB"
    ).split()
)
_TOP: Final = frozenset(
    "defaultAction defaultErrnoRet defaultErrno architectures archMap flags listenerPath listenerMetadata"
    " syscalls".split()
)
_RULE: Final = frozenset("names name action errnoRet errno args comment includes excludes".split())
_ARGUMENT: Final = frozenset(("index", "value", "valueTwo", "op"))
_MAX_ERRNO: Final = 4095
"""``MAX_ERRNO`` of linux/err.h."""

_Problem = tuple[Level, int, str, str]
"""Level, offset, message, what was expected."""


def check(text: str) -> tuple[Finding, ...]:
    """All findings, in the order of their places."""
    try:
        found = list(_document(read_json(text)))
    except JsonError as problem:
        found = [("error", problem.offset, "no JSON", str(problem))]
    return tuple(
        Finding(level=level, place=Place(*line_and_column(text, offset)), message=message, expected=expected)
        for level, offset, message, expected in sorted(found, key=lambda problem: problem[1])
    )


def _document(root: JsonNode) -> Iterator[_Problem]:
    for inside in ("linux", "seccomp"):  # a whole config.json, or binsafe's own document
        if inside in root.fields and "defaultAction" not in root.fields:
            root = root.fields[inside][1]
    if not isinstance(root.value, dict):
        yield "error", root.offset, "no object", "expected {...} with defaultAction"
        return
    yield from _unknown_keys(root, _TOP)
    default = _field(root, "defaultAction")
    if default is None:
        yield "error", root.offset, "no defaultAction", "expected one of " + ", ".join(sorted(_ACTIONS))
    else:
        yield from _one_of(default, _ACTIONS)
        if default.value in ("SCMP_ACT_ALLOW", "SCMP_ACT_LOG"):
            yield "warning", default.offset, "what is not named is allowed", "expected SCMP_ACT_ERRNO"
    yield from _errno(root, "defaultErrnoRet", default)
    yield from _architectures(root)
    rules = _field(root, "syscalls")
    if rules is None:
        return
    if not isinstance(rules.value, list):
        yield "error", rules.offset, "no list", "expected a list of rules"
    seen: dict[tuple[str, str], tuple[str, int]] = {}
    for rule in rules.items:
        yield from _rule(rule, seen)


def _architectures(root: JsonNode) -> Iterator[_Problem]:
    named = _field(root, "architectures")
    if named is None and "archMap" not in root.fields:
        yield "note", root.offset, "no architectures: the runtime's own is taken", "expected architectures"
    for each in named.items if named is not None else ():
        yield from _one_of(each, _ARCHITECTURES)


def _rule(rule: JsonNode, seen: dict[tuple[str, str], tuple[str, int]]) -> Iterator[_Problem]:
    if not isinstance(rule.value, dict):
        yield "error", rule.offset, "no rule", "expected {names, action, args}"
        return
    yield from _unknown_keys(rule, _RULE)
    action = _field(rule, "action")
    if action is None:
        yield "error", rule.offset, "a rule without an action", "expected action"
        return
    yield from _one_of(action, _ACTIONS)
    yield from _errno(rule, "errnoRet", action)
    arguments = _field(rule, "args")
    tests = arguments.items if arguments is not None else []
    for test in tests:
        yield from _argument(test)
    indices = [test.fields["index"][1].value for test in tests if "index" in test.fields]
    if len(indices) != len(set(map(repr, indices))):
        offset = arguments.offset if arguments is not None else rule.offset
        yield "error", offset, "one argument is tested twice in one rule", "expected a rule for each test"
    names = list(_names(rule))
    if not names:
        yield "error", rule.offset, "a rule without names", "expected names"
    for name in names:
        yield from _name(name, action, tests, rule, seen)


def _names(rule: JsonNode) -> Iterator[JsonNode]:
    single, many = _field(rule, "name"), _field(rule, "names")
    if single is not None:
        yield single
    if many is not None:
        yield from many.items


def _name(
    name: JsonNode,
    action: JsonNode,
    tests: list[JsonNode],
    rule: JsonNode,
    seen: dict[tuple[str, str], tuple[str, int]],
) -> Iterator[_Problem]:
    if not isinstance(name.value, str):
        yield "error", name.offset, "no name", "expected a system call"
        return
    if not any(name.value in tables.numbers(arch) for arch in tables.AUDIT_ARCH):
        yield (
            "note",
            name.offset,
            f"no system call {name.value!r} on x86-64 or arm64",
            "expected a name of the kernel's",
        )
    filtered = repr(sorted(repr(_plain(test)) for test in tests))
    includes = "includes" in rule.fields or "excludes" in rule.fields
    before = seen.get((name.value, filtered))
    if before is None or includes:
        seen.setdefault((name.value, filtered), (str(action.value), name.offset))
    elif before[0] != action.value:
        yield "error", name.offset, f"{name.value} is decided twice, differently", "expected one action for each call"
    else:
        yield "note", name.offset, f"{name.value} stands twice", "expected it once"
    if action.value == "SCMP_ACT_ALLOW" and name.value in WALLS and name.value not in {"execve", "connect"}:
        yield "note", name.offset, f"{name.value} is allowed: it {WALLS[name.value]}", "expected it left out"
    elif action.value == "SCMP_ACT_ALLOW" and name.value in NEEDS_CONDITION and not tests:
        yield "note", name.offset, f"{name.value} is allowed whole: it stands for many calls", "expected args"


def _argument(test: JsonNode) -> Iterator[_Problem]:
    yield from _unknown_keys(test, _ARGUMENT)
    values = {key: _field(test, key) for key in ("index", "value", "op")}
    for key, node in values.items():
        if node is None:
            yield "error", test.offset, f"a test without {key}", "expected {index, value, op}"
            return
    index, value, operator = values["index"], values["value"], values["op"]
    if index is None or value is None or operator is None:
        return
    if not _is_number(index.value, 5):
        yield "error", index.offset, f"{index.value!r} is no argument", "expected a number from 0 to 5"
    yield from _one_of(operator, _OPERATORS)
    second = _field(test, "valueTwo")
    for node in (value, second):
        if node is not None and not _is_number(node.value, WORD):
            yield "error", node.offset, f"{node.value!r} is no 64-bit number", "expected 0 to 2**64-1"
            return
    if operator.value == "SCMP_CMP_MASKED_EQ":
        wanted = second.value if second is not None else 0
        if wanted & ~value.value:
            where = second.offset if second is not None else value.offset
            yield "error", where, "can never hold: valueTwo has bits outside of the mask", "expected bits of value"


def _is_number(value: Any, largest: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= largest


def _field(node: JsonNode, key: str) -> JsonNode | None:
    entry = node.fields.get(key)
    return entry[1] if entry is not None and entry[1].value is not None else None


def _unknown_keys(node: JsonNode, known: frozenset[str]) -> Iterator[_Problem]:
    for key, (offset, _) in node.fields.items():
        if key not in known:
            yield "error", offset, f"unknown key {key!r}", f"expected one of: {', '.join(sorted(known))}"


def _one_of(node: JsonNode, known: frozenset[str]) -> Iterator[_Problem]:
    if not isinstance(node.value, str) or node.value not in known:
        yield "error", node.offset, f"unknown {node.value!r}", f"expected one of: {', '.join(sorted(known))}"


def _errno(node: JsonNode, key: str, action: JsonNode | None) -> Iterator[_Problem]:
    """The error number that is returned, and its name beside it, which Podman reads instead."""
    name = _field(node, key.removesuffix("Ret"))
    if name is not None and (not isinstance(name.value, str) or re.fullmatch(r"E[A-Z0-9]+", name.value) is None):
        yield "error", name.offset, f"{name.value!r} is no name of an error", "expected a name, as EPERM"
    number = _field(node, key)
    if number is None:
        return
    if not _is_number(number.value, _MAX_ERRNO):
        yield "error", number.offset, f"{number.value!r} is no error number", f"expected 0 to {_MAX_ERRNO}"
    if action is not None and action.value not in ("SCMP_ACT_ERRNO", "SCMP_ACT_TRACE"):
        yield "error", number.offset, f"{action.value} returns no error number", "expected SCMP_ACT_ERRNO, or none"


def _plain(node: JsonNode) -> Any:
    """A node's value without places."""
    if isinstance(node.value, dict):
        return {key: _plain(entry) for key, (_, entry) in sorted(node.fields.items())}
    return [_plain(item) for item in node.items] if isinstance(node.value, list) else node.value
