"""YAML text -> Baseline, strictly: what is not understood to the last key is refused, with file, line and column.

schema: binsafe.baseline/1
name: flaky_servers
extends: network_server         (all that the other one has; its limits may be replaced)
without: [processes, scratch]   (but for these of its groups, or its scratch folder)
description: what kind of program this is for
ports:
  reason: why
  layout: [4000-4009, 5000-5009]
files:
  - read: /dev/urandom          (or `write:`; an absolute path, or scratch)
    reason: why
environment:
  - name: LANG
    value: C.UTF-8
    reason: why
limits:
  nofile: {value: 1024, reason: why}        (or `value: none`)
syscalls:
  - group: sockets
    reason: why
    assumed: true               (taken from here when the analysis of a program is not complete)
    needs: dynamic              (left out for other programs; or another `Need`)
    along_with: [fork]          (left out where none of these calls was found)
    calls: [listen, shutdown]
    when:
      socket: arg0 == AF_INET and arg1 == SOCK_STREAM     (or a list of such conditions: alternatives)
"""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Final, cast, get_args

import msgspec

from binsafe.errors import BaselineError
from binsafe.model import Condition, Grant
from binsafe.model.policy import GrantKind
from binsafe.policy.baseline import BASELINE_SCHEMA, Baseline, CallGroup, Need, PortLayout
from binsafe.policy.conditions import ConditionError, parse_condition
from binsafe.policy.objects import SCRATCH, ObjectError, check_object, check_value, port_range
from binsafe.policy.walls import ALWAYS, NEEDS_CONDITION, WALLS
from binsafe.policy.yamlnodes import Element, read
from binsafe.syscalls import tables

_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,63}")
_OPTIONAL: Final = ("ports", "files", "environment", "limits", "syscalls")
_UNITS: Final = {"": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}
_AMOUNT: Final = re.compile(r"(0|[1-9][0-9]{0,9})(?: ?(KiB|MiB|GiB))?")


def no_other(name: str) -> Baseline:
    """A baseline that stands alone extends nothing."""
    raise BaselineError(f"there is no baseline {name!r} to extend", hint="leave `extends` out")


def parse(text: str, origin: str, extended: Callable[[str], Baseline] = no_other) -> Baseline:
    """The baseline that a text describes. ``origin`` names it in messages; ``extended`` finds the one it extends.

    Raises:
        BaselineError: the text is none; the message begins ``FILE:LINE:COLUMN:`` and the hint says what was expected.
    """
    root = read(text, origin)
    fields = root.fields(("schema", "name", "description"), ("extends", "without", *_OPTIONAL))
    if fields["schema"].text() != BASELINE_SCHEMA:
        fields["schema"].fail("another schema", expected=f"expected {BASELINE_SCHEMA}")
    name = _name(fields["name"])
    base = _base(fields, extended)
    limits, replaced = _limits(fields["limits"]) if "limits" in fields else ((), frozenset[str]())
    own = (*_files(fields), *_environment(fields), *limits)
    _refuse_repetition(own, base, root)
    inherited = base.grants if base else ()
    return Baseline(
        name=name,
        description=" ".join(fields["description"].text().split()),
        ports=_ports(fields["ports"]) if "ports" in fields else base.ports if base else None,
        grants=(*(grant for grant in inherited if not (grant.kind == "limit" and grant.object in replaced)), *own),
        calls=(*(base.calls if base else ()), *_groups(fields, base)),
    )


def _base(fields: Mapping[str, Element], extended: Callable[[str], Baseline]) -> Baseline | None:
    """The extended baseline, without the groups that this one leaves out, or its scratch folder."""
    base = extended(_name(fields["extends"])) if "extends" in fields else None
    left_out = fields["without"].items("expected a list of groups") if "without" in fields else ()
    names = (
        [*(group.name for group in base.calls), *(g.object for g in base.grants if g.object == SCRATCH)] if base else []
    )
    have = dict.fromkeys(names, True)
    for item in left_out:
        if have.pop(item.text(), None) is None:
            item.fail("no such group to leave out", expected=f"expected one of: {', '.join(have) or 'none'}")
    if base is None:
        return None
    return msgspec.structs.replace(
        base,
        calls=tuple(group for group in base.calls if group.name in have),
        grants=tuple(grant for grant in base.grants if grant.object != SCRATCH or SCRATCH in have),
    )


def _name(element: Element) -> str:
    name = element.text()
    if _NAME.fullmatch(name) is None:
        element.fail(f"{name!r} is no name", expected="expected lower-case letters, digits and _")
    return name


def _reason(fields: Mapping[str, Element]) -> str:
    return " ".join(fields["reason"].text("expected the reason, for the person who reviews this").split())


def _grant(kind: GrantKind, element: Element, reason: str, value: str = "") -> Grant:
    try:
        return Grant(
            kind=kind, object=check_object(kind, element.text()), access=check_value(kind, value), reason=reason
        )
    except ObjectError as problem:
        element.fail(problem.message, expected=problem.expected)


def _ports(element: Element) -> PortLayout:
    fields = element.fields(("reason", "layout"))
    ranges: list[tuple[int, int]] = []
    for item in fields["layout"].items("expected a list of ports and ranges, as [4000-4009, 8080]"):
        try:
            ports = port_range(item.text())
        except ObjectError as problem:
            item.fail(problem.message, expected=f"{problem.expected}, or a range as 4000-4009")
        if any(ports[0] <= last and first <= ports[-1] for first, last in ranges):
            item.fail("overlaps a range before it", expected="expected each port once")
        ranges.append((ports[0], ports[-1]))
    if not ranges:
        element.fail("no ports", expected="expected at least one, or no `ports` at all")
    return PortLayout(ranges=tuple(ranges), reason=_reason(fields))


def _files(fields: Mapping[str, Element]) -> Iterator[Grant]:
    if "files" not in fields:
        return
    for item in fields["files"].items():
        entry = item.fields(("reason",), ("read", "write"))
        if "read" in entry:
            yield _grant("read", entry["read"], _reason(entry))
        if "write" in entry:
            yield _grant("write", entry["write"], _reason(entry))
        if ("read" in entry) == ("write" in entry):
            item.fail("names not exactly one path", expected="expected either `read: PATH` or `write: PATH`")


def _environment(fields: Mapping[str, Element]) -> Iterator[Grant]:
    if "environment" not in fields:
        return
    for item in fields["environment"].items():
        entry = item.fields(("name", "value", "reason"))
        yield _grant("environment", entry["name"], _reason(entry), entry["value"].text())


def _limits(element: Element) -> tuple[tuple[Grant, ...], frozenset[str]]:
    """The limits that are set, and the names of all that are spoken of: ``none`` lifts an extended baseline's."""
    grants, spoken_of = [], set()
    for name, entry in element.mapping().items():
        fields = entry.fields(("value", "reason"))
        spoken_of.add(name)
        value = fields["value"].text()
        reason = _reason(fields)
        try:
            check_object("limit", name)
        except ObjectError as problem:
            entry.fail(problem.message, expected=problem.expected)
        if value == "none":
            continue
        amount = _AMOUNT.fullmatch(value)
        if amount is None:
            fields["value"].fail(f"{value!r} is no limit", expected="expected a number, as 1024 or 64 MiB, or none")
        grants.append(
            Grant(kind="limit", object=name, access=str(int(amount[1]) * _UNITS[amount[2] or ""]), reason=reason)
        )
    return tuple(grants), frozenset(spoken_of)


def _groups(fields: Mapping[str, Element], base: Baseline | None) -> Iterator[CallGroup]:
    taken = {(grant.object, grant.when): group.name for group in (base.calls if base else ()) for grant in group.grants}
    for item in fields["syscalls"].items() if "syscalls" in fields else ():
        entry = item.fields(("group", "reason"), ("assumed", "needs", "along_with", "calls", "when"))
        name, reason = entry["group"].text(), _reason(entry)
        calls = entry["calls"].items("expected a list of system calls") if "calls" in entry else ()
        grants = [_call(call, call.text(), name, reason, taken) for call in calls]
        for call_name, conditions in entry["when"].mapping().items() if "when" in entry else ():
            grants += _conditional(conditions, call_name, name, reason, taken)
        if not grants:
            item.fail("no system calls", expected="expected `calls`, `when` or both")
        assumed = entry["assumed"].truth() if "assumed" in entry else False
        along_with = entry["along_with"].items("expected a list of system calls") if "along_with" in entry else ()
        yield CallGroup(
            name=name,
            reason=reason,
            assumed=assumed,
            grants=tuple(grants),
            needs=_need(entry["needs"]) if "needs" in entry else None,
            along_with=tuple(_known_call(each, each.text()) for each in along_with),
        )


def _need(element: Element) -> Need:
    text = element.text()
    if text not in get_args(Need):
        element.fail(f"{text!r} is no need", expected=f"expected one of: {', '.join(get_args(Need))}")
    return cast("Need", text)


_Taken = dict[tuple[str, tuple[Condition, ...]], str]
"""Call and condition -> the group that has it."""


def _conditional(element: Element, call: str, group: str, reason: str, taken: _Taken) -> Iterator[Grant]:
    for item in element.one_or_more("expected a condition, or a list of conditions"):
        text = " ".join(item.text("expected a condition").split())
        try:
            when = parse_condition(text)
        except ConditionError as problem:
            item.fail(
                f"{problem} (column {problem.column + 1} of the condition)",
                expected="expected a condition such as 'arg2 & PROT_EXEC == 0'",
            )
        _check_call(item, call, when, group, taken)
        yield Grant(kind="syscall", object=call, access=text, when=when, reason=f"{group}: {reason}")


def _call(element: Element, call: str, group: str, reason: str, taken: _Taken) -> Grant:
    _check_call(element, call, (), group, taken)
    if call in NEEDS_CONDITION:
        element.fail(f"{call} stands for many calls", expected="expected it under `when`, with its arguments")
    return Grant(kind="syscall", object=call, reason=f"{group}: {reason}")


def _known_call(element: Element, call: str) -> str:
    if not any(call in tables.numbers(arch) for arch in tables.AUDIT_ARCH):
        element.fail(f"no system call is named {call!r}", expected="expected a name as in `man syscalls`")
    return call


def _check_call(element: Element, call: str, when: tuple[Condition, ...], group: str, taken: _Taken) -> None:
    """Notes the call as taken by the group, or refuses it: whole in one group alone, or each condition once."""
    _known_call(element, call)
    if call in WALLS:
        element.fail(f"{call} can never be granted: it {WALLS[call]}", expected="leave it out")
    if call in ALWAYS:
        element.fail(f"{call} is granted to every program", expected="leave it out")
    for (other, condition), owner in taken.items():
        if other == call and (when == condition or not when or not condition):
            what = "the same condition" if when and when == condition else call
            element.fail(f"{what} stands in the group {owner!r} already", expected="expected it in one group")
    taken[call, when] = group


def _refuse_repetition(own: tuple[Grant, ...], base: Baseline | None, root: Element) -> None:
    inherited: set[tuple[str, str]] = {
        (grant.kind, grant.object) for grant in (base.grants if base else ()) if grant.kind != "limit"
    }
    for grant in own:
        key: tuple[str, str] = (grant.kind, grant.object)
        if key in inherited:
            root.fail(f"{grant.kind} {grant.object} is granted twice", expected="expected each grant once")
        inherited.add(key)
