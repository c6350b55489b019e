"""What is wrong with a profile: what will not compile, what opens more than it seems to, what can never match.

Each rule of the checker is a function from an evaluated program to findings; they stand in `_CHECKS`.
"""

import re
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Final

from binsafe.seatbelt import holes, vocabulary
from binsafe.seatbelt.findings import Finding, all_filters, all_rules, error, every_filter, note, warning
from binsafe.seatbelt.interpreter import evaluate
from binsafe.seatbelt.matching import LINKS
from binsafe.seatbelt.nodes import Place
from binsafe.seatbelt.pattern import Pattern, PatternError, UnknownPattern
from binsafe.seatbelt.program import Filter, Program, Unknown, Word
from binsafe.seatbelt.reader import SyntaxProblem, read

MAX_FINDINGS = 1_000
"""Of each rule of the checker, and of all together."""


def check(text: str, *, release: str | None = None) -> tuple[Finding, ...]:
    """All findings of a profile in the order of their places; ``release`` is the oldest macOS that it must load on."""
    try:
        program = evaluate(read(text))
    except SyntaxProblem as problem:
        return (error(problem.place, problem.detail, problem.hint),)
    found = [error(problem.place, problem.message, problem.expected) for problem in program.problems]
    for each in _CHECKS:
        found += islice(each(program), MAX_FINDINGS)
    if release is not None:
        found += islice(_too_new(program, release), MAX_FINDINGS)
    unique = dict.fromkeys(sorted(found, key=lambda finding: (finding.place, finding.message)))
    return tuple(islice(unique, MAX_FINDINGS))


def _version_first(program: Program) -> Iterator[Finding]:
    if program.version is None:
        yield error(Place(1, 1), "no (version 1)", "expected (version 1) to begin with")


def _filters_belong(program: Program) -> Iterator[Finding]:
    for rule in all_rules(program):
        for each in every_filter(rule):
            if each.name not in vocabulary.FILTERS:
                continue
            for operation in dict.fromkeys(operation.name for operation in rule.operations):
                if operation != "default" and not vocabulary.applies(each.name, operation):
                    yield error(
                        each.place,
                        f"{each.name} is no filter of {operation}",
                        f"it belongs to {', '.join(vocabulary.FILTERS[each.name].belongs_to)}",
                    )


def _arguments_fit(program: Program) -> Iterator[Finding]:
    for each in all_filters(program):
        if each.name in vocabulary.COMBINING:
            if not each.arguments or not all(isinstance(a, Filter | Unknown) for a in each.arguments):
                yield error(each.place, f"{each.name} without filters", "expected filters")
            continue
        takes = vocabulary.FILTERS[each.name]
        for argument in each.arguments:
            problem = _argument_problem(takes, argument)
            if problem is not None:
                message, expected = problem
                yield error(each.place, f"{each.name}: {message}", expected)
        if not each.arguments and takes.takes in ("text", "word", "address"):
            yield error(each.place, f"{each.name} without an argument", "expected one")


def _argument_problem(takes: vocabulary.Filter, argument: object) -> tuple[str, str] | None:
    if isinstance(argument, Unknown):
        return None
    if takes.takes == "text" and not isinstance(argument, str):
        return "no string", "expected a string"
    if takes.takes == "word" and takes.words and isinstance(argument, Word) and argument.name not in takes.words:
        return f"unknown word {argument.name}", f"expected one of {', '.join(sorted(takes.words))}"
    return None


def _messages(program: Program) -> Iterator[Finding]:
    """What was seen on a Mac: such a profile compiles, and no process without the entitlement can be put under it."""
    for rule in (rule for outer in program.rules for rule in outer.messages if rule.action == "deny"):
        message = "a message filter that denies takes an entitlement of Apple's own: sandbox-exec ends with EPERM"
        yield warning(rule.place, message, "expected a message filter without deny, or none")


def _addresses(program: Program) -> Iterator[Finding]:
    for each in all_filters(program):
        if each.name in {"local", "remote"}:
            for message, expected in _address_problems(each):
                yield error(each.place, message, expected)


def _address_problems(each: Filter) -> Iterator[tuple[str, str]]:
    protocol, *rest = each.arguments or (None,)
    if isinstance(protocol, Unknown):
        return
    if not isinstance(protocol, Word) or vocabulary.canonical(protocol.name) not in vocabulary.PROTOCOLS:
        yield "an address without a protocol", f"expected one of {', '.join(sorted(vocabulary.PROTOCOLS))} first"
        return
    if vocabulary.canonical(protocol.name) == "unix-socket":
        return
    for address in rest:
        if not isinstance(address, str):
            continue
        host, colon, port = address.rpartition(":")
        if not colon or host not in ("*", "localhost"):
            yield (
                f"host must be * or localhost in the network address {address!r}",
                'expected "*:PORT" or "localhost:PORT"',
            )
        if port != "*" and not (re.fullmatch(r"[1-9][0-9]{0,4}", port) and int(port) <= 0xFFFF):
            yield f"invalid port in the network address {address!r}", "expected one number from 1 to 65535, or *"


def _paths(program: Program) -> Iterator[Finding]:
    texts = [(each, a) for each in all_filters(program) for a in each.arguments if isinstance(a, str)]
    named = {text for _, text in texts}
    for each, text in texts:
        if each.name in {"path", "subpath", "path-prefix"}:
            yield from _path_findings(each, text, named)
        elif each.name == "path-regex":
            yield from _pattern_findings(each, text)


def _path_findings(each: Filter, path: str, named: set[str]) -> Iterator[Finding]:
    if not path.startswith("/"):
        yield error(each.place, f"{path!r} is not absolute, so it never matches", "expected a path that starts with /")
        return
    if re.search(r"/\.{1,2}(?:/|$)|//", path):
        yield error(each.place, f"{path!r} never matches: the kernel compares plain paths", "expected no //, . or ..")
    elif path != "/" and path.endswith("/") and each.name == "path":
        yield error(each.place, f"{path!r} never matches: it ends with /", f"expected {path.rstrip('/')!r}")
    elif path != "/" and path.endswith("/") and each.name == "subpath":
        yield warning(each.place, f"{path!r} may match nothing: it ends with /", f"expected {path.rstrip('/')!r}")
    for link, target in LINKS.items():
        if path.startswith(link + "/") or (path == link and each.name == "subpath"):
            meant = target + path[len(link) :]
            level = note if meant in named else warning
            yield level(each.place, f"{path!r} never matches what lies in it: {link} is a link", f"expected {meant!r}")


def _pattern_findings(each: Filter, pattern: str) -> Iterator[Finding]:
    try:
        Pattern(pattern)
    except UnknownPattern as problem:
        message = f"the pattern {pattern!r} may not mean what it seems to (column {problem.column + 1}): {problem}"
        yield warning(each.place, message, "expected what all engines agree on")
        return
    except PatternError as problem:
        message = f"the pattern {pattern!r} does not compile (column {problem.column + 1}): {problem}"
        yield error(each.place, message, "expected a regular expression")
        return
    if not pattern.startswith(("^", "(^")):
        message = f"the pattern {pattern!r} matches anywhere in a path"
        yield note(each.place, message, "expected ^ at its beginning")


def _too_new(program: Program, release: str) -> Iterator[Finding]:
    wanted = _release(release)
    for rule in all_rules(program):
        for operation in rule.operations:
            since = vocabulary.OPERATIONS[operation.name]
            if _release(since) > wanted:
                yield error(
                    operation.place,
                    f"{operation.name} is known since macOS {since}; {release} may refuse the profile",
                    f"expected operations of macOS {release}",
                )


def _release(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split("."))


_CHECKS: Final[tuple[Callable[[Program], Iterator[Finding]], ...]] = (
    _version_first,
    _filters_belong,
    _arguments_fit,
    _messages,
    _addresses,
    _paths,
    holes.opens_much,
    holes.left_by_default,
    holes.ends_of_sockets,
    holes.overlaps,
    holes.unseen,
)
