"""Rules that open more than they seem to, and rules that overlap: those compile, and mislead whoever reads them."""

from collections.abc import Iterator
from itertools import islice
from typing import Final

from binsafe.paths import is_inside
from binsafe.seatbelt import vocabulary
from binsafe.seatbelt.findings import Finding, error, every_filter, note, warning
from binsafe.seatbelt.matching import Match, matches
from binsafe.seatbelt.program import Filter, Program, Rule, Unknown, Word

MAX_COMPARISONS = 200_000
"""Pairs of rules that are compared; one whose filters have many arguments counts as often as those make tens."""

MAX_PIECES = 1_000
"""More than that many comparisons reach."""

_WIDE: Final = {
    "default": "everything that no other rule denies",
    "process-exec*": "every program of the machine",
    "network*": "every address, in and out",
    "network-outbound": "every address: anything can leave",
    "file*": "every file, for reading and writing",
    "file-write*": "every file, for writing",
    "mach-lookup": "every service of the system, and some of those act for the program outside of the sandbox",
    "mach*": "every service of the system, and some of those act for the program outside of the sandbox",
    "appleevent-send": "telling other applications what to do",
    "lsopen": "having applications started, outside of the sandbox",
    "job-creation": "having launchd start programs, outside of the sandbox",
    "system-privilege": "whatever root may",
    "process*": "every program of the machine, and looking at all processes",
}
_LARGE: Final = {
    "file-read*": "every file, for reading",
    "file-read-data": "the contents of every file",
    "signal": "signals to every process of the user",
    "process-info*": "looking at every process",
    "iokit-open": "every driver's interface",
    "network-inbound": "every port",
    "network-bind": "every port",
}
_PATHS: Final = (("/q", "/Users/.a b/\xe9", "/usr/lib/k~1"),)
_TRIED: Final = (
    ("network", (("192.0.2.1:443", "[2001:db8::9]:7"), ("udp 192.0.2.1:53", "udp [2001:db8::9]:7"))),
    ("mach", (("q", "com.apple.x", "org.example.Y-1"),)),
    ("sig", (("self", "others"),)),
    ("process-info", (("self", "others"),)),
    ("", _PATHS),
)
"""Beginning of an operation -> lists of objects that have nothing in common: who allows all of one allows all."""


def opens_much(program: Program) -> Iterator[Finding]:
    """Allows that nothing narrows, and programs that run outside of the sandbox."""
    for rule in program.rules:
        if rule.action != "allow":
            continue
        known: dict[object, bool] = {}  # patterns take their time, and rules name many operations
        for operation in rule.operations:
            for level, table in ((warning, _WIDE), (note, _LARGE)):
                if operation.name in table and _is_everything(rule, operation.name, known):
                    yield level(
                        operation.place,
                        f"{operation.name} without a filter that narrows it: allows {table[operation.name]}",
                        "expected a filter that names what is needed",
                    )
        for modifier in rule.modifiers:
            if modifier.name == "no-sandbox":
                yield warning(
                    modifier.place,
                    "(with no-sandbox): what is executed here runs outside of any sandbox",
                    "expected the program to run under this profile",
                )


def left_by_default(program: Program) -> Iterator[Finding]:
    """A ``(deny default)`` whose reader takes it for everything: some families have to be denied by name."""
    closing = [r for r in program.rules if r.action == "deny" and any(o.name == "default" for o in r.operations)]
    denied = {operation.name for rule in program.rules if rule.action == "deny" for operation in rule.operations}
    left = [
        family
        for family in vocabulary.OPEN_BY_DEFAULT
        if not any(name != "default" and vocabulary.covers(name, family) for name in denied)
    ]
    if closing and left:
        yield note(
            closing[0].place,
            f"(deny default) does not cover {', '.join(left)}: allowed until denied by name",
            f"expected (deny {' '.join(left)}) before what allows some of it",
        )


def _is_everything(rule: Rule, operation: str, known: dict[object, bool]) -> bool:
    """Whether nothing narrows it: no filter, or filters that match whatever is tried, however they are written."""
    others = tuple(each for each in rule.filters if each.name != "local" or not _goes_out(operation))  # ends_of_sockets
    if not others:
        return not rule.filters
    tried = next((tried for beginning, tried in _TRIED if operation.startswith(beginning)), ())
    about = operation if operation.startswith("network") else tried
    if about not in known:
        known[about] = any(all(matches(others, operation, each) is Match.YES for each in every) for every in tried)
    return known[about]


def _goes_out(operation: str) -> bool:
    return vocabulary.covers(operation, "network-outbound")


def ends_of_sockets(program: Program) -> Iterator[Finding]:
    """``local`` where the other end should be named, and ``remote`` where only the own one counts."""
    for rule in program.rules:
        names = {operation.name for operation in rule.operations}
        outgoing = any(map(_goes_out, names))
        for each in every_filter(rule):
            if each.name == "local" and outgoing and rule.action == "allow":
                yield warning(
                    each.place,
                    f"{each} under {' '.join(sorted(names))} lets every connection out: "
                    "it looks at the socket's own end, and every socket has one",
                    'expected (remote ip "localhost:PORT"), or network-bind and network-inbound alone',
                )
            elif each.name == "remote" and names <= {"network-inbound", "network-bind"} and _is_address(each):
                yield error(
                    each.place,
                    f"{each} decides nothing under {' '.join(sorted(names))}: the own end alone is looked at",
                    'expected (local tcp "localhost:PORT")',
                )


def _is_address(each: Filter) -> bool:
    first = each.arguments[0] if each.arguments else None
    return isinstance(first, Word) and vocabulary.canonical(first.name) != "unix-socket"


def overlaps(program: Program) -> Iterator[Finding]:
    """Rules that say again what one before them said, and pairs that leave the answer to their order."""
    every = (
        (rule, operation.name, each)
        for rule in program.rules
        for operation in rule.operations
        for each in rule.filters or (None,)
        if operation.name != "default"
    )
    pieces = list(islice(every, MAX_PIECES))
    sizes = [len(each.arguments) // 10 if each else 0 for _, _, each in pieces]
    budget = MAX_COMPARISONS
    for index, (rule, name, each) in enumerate(pieces):
        for size, (other, other_name, other_filter) in zip(sizes, pieces[:index], strict=False):
            budget -= 1 + size + sizes[index]
            if budget < 0:
                yield note(rule.place, "too many rules to compare each with each", "expected fewer rules")
                return
            if not (vocabulary.covers(other_name, name) or vocabulary.covers(name, other_name)):
                continue
            yield from _pair(rule, name, each, other, other_name, other_filter)


def _pair(
    rule: Rule, name: str, each: Filter | None, other: Rule, other_name: str, other_filter: Filter | None
) -> Iterator[Finding]:
    if rule.doubt != other.doubt or rule.excludes(other):
        return
    same_place = (
        rule.place == other.place and each is not None and other_filter is not None and each.place == other_filter.place
    )
    if rule.action == other.action:
        if vocabulary.covers(other_name, name) and _includes(other_filter, each) and not same_place:
            what = f"{rule.action} {name} {each or ''}".rstrip()
            yield note(
                each.place if each else rule.place,
                f"({what}) says nothing new: {other.place} {other} covers it",
                "expected each permission once",
            )
    elif (
        each is not None
        and other_filter is not None
        and (_includes(other_filter, each) or _includes(each, other_filter))
    ):
        yield note(
            rule.place,
            f"{rule.action} {name}, and {other.action} {other_name} at {other.place}: their order decides",
            "expected (deny default) and allows that do not overlap: of rules for one operation the last one counts",
        )


def unseen(program: Program) -> Iterator[Finding]:
    """What may allow or deny more than is here; a misspelt name behind an import looks the same."""
    for each in program.unseen:
        yield note(
            each.place,
            f"what rules come from here is not known: {each.what}",
            "expected the imported file (--prelude) and no loop or call that a parameter decides",
        )


def _includes(wide: Filter | None, narrow: Filter | None) -> bool:
    """Whether ``wide`` matches all that ``narrow`` does; None stands for no filter. False where that is not sure."""
    if wide is None:
        return True
    if narrow is None or any(
        isinstance(argument, Unknown | Filter) for argument in (*wide.arguments, *narrow.arguments)
    ):
        return False
    if wide.name == narrow.name and wide.name not in {"local", "remote"}:
        if set(narrow.arguments) <= set(wide.arguments):
            return True
    elif wide.name == narrow.name and wide.arguments == narrow.arguments:
        return True
    if wide.name == "subpath" and narrow.name in {"path", "subpath"}:
        return all(is_inside(str(path), *map(str, wide.arguments)) for path in narrow.arguments)
    return False
