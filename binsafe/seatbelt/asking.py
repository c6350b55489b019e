"""Would this be allowed? The answer of an evaluated profile, with the rule that decides.

Three tiers, the first that speaks decides:

filtered    rules whose filter matches. The last of them wins: what sandbox-runtime, nix and others rest on and test.
            But a rule for a member of a family is not undone by a later one for the family (sandbox-runtime), so there
            the answer is unknown, and two are named.
unfiltered  rules for the operation or its family without any filter. nix, bazel and sandbox-runtime put such a deny
            before their filtered allows, Homebrew puts it after them, and all of these work: the order cannot matter.
default     ``(allow default)`` or ``(deny default)``; deny where there is none. Some families it does not cover.

Where a filtered rule speaks of a family and an unfiltered one of a member, no source says which of them wins.
"""

from typing import Literal

import msgspec

from binsafe.errors import UsageError
from binsafe.seatbelt import vocabulary
from binsafe.seatbelt.machine import suggestion
from binsafe.seatbelt.matching import Match, matches, resolved
from binsafe.seatbelt.program import Filter, Program, Rule

_BY_DEFAULT = "no rule speaks of it, so the default decides"


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """``rule`` is the one that decides, ``filter`` the part of it that matched; None where nothing is said or known."""

    verdict: Literal["allowed", "denied", "unknown"]
    reason: str
    rule: Rule | None = None
    filter: Filter | None = None
    notes: tuple[str, ...] = ()


def ask(program: Program, operation: str, subject: str | None = None) -> Answer:
    """What the profile says of an operation on an object.

    Raises:
        UsageError: there is no such operation.
    """
    name = vocabulary.canonical(operation)
    if name not in vocabulary.OPERATIONS:
        raise UsageError(f"there is no operation {operation!r}", hint=_meant(operation))
    if program.problems:
        first = program.problems[0]
        return Answer(verdict="unknown", reason=f"the profile does not compile: {first.place}: {first.message}")
    sent = ((rule, each.name) for rule in program.rules for inner in rule.messages for each in inner.operations)
    filtering = next((rule for rule, about in sent if about == name), None)
    if filtering is not None:
        why = "a message filter decides, for what is sent over what its rule allows"
        return Answer(verdict="unknown", rule=filtering, reason=why)
    answer = _answer(program, name, subject)
    part = _deciding_filter(answer.rule, name, subject) if answer.rule is not None else None
    return msgspec.structs.replace(answer, filter=part, notes=tuple(_notes(name, subject)))


def _meant(operation: str) -> str:
    """The operations that a word may stand for: bind is network-bind's."""
    similar = [name for name in vocabulary.OPERATIONS if operation in name.split("-")]
    return f"did you mean {', '.join(similar)}?" if similar else suggestion(operation)


def _answer(program: Program, operation: str, subject: str | None) -> Answer:
    filtered, unfiltered, default = _tiers(program, operation)
    sure, perhaps = _matching(filtered, operation, subject)
    if sure:
        member = next((rule for rule in unfiltered if _is_of_member(rule, sure, operation)), None)
        if member is not None:
            both = f"{sure[-1].place} has a filter, {member.place} names a member of its family"
            return Answer(verdict="unknown", rule=member, reason=f"no source says which of two rules wins: {both}")
        return _decided(_last(sure, operation), perhaps, program, subject, "this rule decides")
    sure, more = _matching(unfiltered, operation, subject)
    perhaps += more
    if sure:
        last = _last_and_narrowest(sure, operation)
        return _decided(last, perhaps, program, subject, "this rule decides")
    sure, more = _matching(default, operation, subject)
    perhaps += more
    if not sure or sure[-1].action == "deny":
        for families, verdict in ((vocabulary.OPEN_BY_DEFAULT, "allow"), (vocabulary.DOUBTFUL_BY_DEFAULT, None)):
            if any(vocabulary.covers(family, operation) for family in families):
                return _beyond_default(verdict, perhaps, program, subject)
    return _decided(sure, perhaps, program, subject, _BY_DEFAULT)


def _matching(rules: list[Rule], operation: str, subject: str | None) -> tuple[list[Rule], list[Rule]]:
    """The rules that match, and those of which it is not known."""
    sure, perhaps = [], []
    for rule in rules:
        match = matches(rule.filters, operation, subject)
        if match is Match.YES and rule.doubt is None:
            sure.append(rule)
        elif match is not Match.NO:
            perhaps.append(rule)
    return sure, perhaps


def _narrowest(rule: Rule, operation: str) -> str:
    """The name by which a rule speaks of an operation, the longest of them: families are beginnings of names."""
    names = (each.name for each in rule.operations if vocabulary.covers(each.name, operation))
    return max(names, key=lambda name: (name != "default", len(name)))


def _is_narrower(rule: Rule, other: Rule, operation: str) -> bool:
    mine, theirs = _narrowest(rule, operation), _narrowest(other, operation)
    return mine != theirs and vocabulary.covers(theirs, mine)


def _is_of_member(rule: Rule, filtered: list[Rule], operation: str) -> bool:
    """Whether an unfiltered rule says the opposite of a filtered one, and of fewer operations."""
    return any(rule.action != each.action and _is_narrower(rule, each, operation) for each in filtered)


def _last(rules: list[Rule], operation: str) -> list[Rule]:
    """The last one alone, unless one before it says the opposite of fewer operations."""
    *before, last = rules
    return rules if any(_is_of_member(rule, [last], operation) for rule in before) else [last]


def _last_and_narrowest(rules: list[Rule], operation: str) -> list[Rule]:
    """The last one alone, where all that say the opposite speak of a whole family: Chromium's profiles rest on that."""
    *before, last = rules
    against = [rule for rule in before if rule.action != last.action]
    return [last] if all(_is_narrower(last, rule, operation) for rule in against) else rules


def _beyond_default(action: str | None, perhaps: list[Rule], program: Program, subject: str | None) -> Answer:
    """The answer where no rule speaks of an operation that ``(deny default)`` does not cover, or perhaps not."""
    against = next((rule for rule in perhaps if rule.action == "deny"), None)
    if against is not None:
        return Answer(verdict="unknown", rule=against, reason=_why_unknown(against, subject))
    if program.unseen:
        return _decided([], perhaps, program, subject, _BY_DEFAULT)
    if action is None:
        return Answer(verdict="unknown", reason="sources disagree whether (deny default) covers it: deny it by name")
    return Answer(verdict="allowed", reason="(deny default) does not cover it: it is allowed until denied by name")


def _tiers(program: Program, operation: str) -> tuple[list[Rule], list[Rule], list[Rule]]:
    """The rules that speak of an operation: filtered, unfiltered, default."""
    filtered: list[Rule] = []
    unfiltered: list[Rule] = []
    default: list[Rule] = []
    for rule in program.rules:
        names = [each.name for each in rule.operations if vocabulary.covers(each.name, operation)]
        if names and rule.filters:
            filtered.append(rule)
        elif names:
            (default if set(names) == {"default"} else unfiltered).append(rule)
    return filtered, unfiltered, default


def _decided(sure: list[Rule], perhaps: list[Rule], program: Program, subject: str | None, reason: str) -> Answer:
    """The answer of one tier: denied only where nothing that is not here could allow it."""
    if len({rule.action for rule in sure}) > 1:
        first = next(rule for rule in sure if rule.action != sure[-1].action)
        both = f"{first.place} {first} and {sure[-1].place} {sure[-1]}"
        return Answer(verdict="unknown", reason=f"no source says which of two rules wins: {both}")
    action = sure[-1].action if sure else "deny"
    against = next((rule for rule in perhaps if rule.action != action), None)
    if against is not None:
        return Answer(verdict="unknown", rule=against, reason=_why_unknown(against, subject))
    if action == "deny" and program.unseen:
        names = ", ".join(f"{each.what} ({each.place})" for each in program.unseen)
        return Answer(verdict="unknown", reason=f"what is not here decides: {names}")
    return Answer(verdict="allowed" if action == "allow" else "denied", reason=reason, rule=sure[-1] if sure else None)


def _deciding_filter(rule: Rule, operation: str, subject: str | None) -> Filter | None:
    """The filter of a rule that matches best."""
    by_match = [(matches((each,), operation, subject).value, each) for each in rule.filters]
    best = max((value for value, _ in by_match), default=0)
    return next((each for value, each in by_match if value == best), None)


def _why_unknown(rule: Rule, subject: str | None) -> str:
    if rule.doubt is not None:
        how = " (give it with -D NAME=VALUE)" if "(param" in rule.doubt else ""
        return f"depends on {rule.doubt}, which is not known here{how}"
    if subject is None:
        return "depends on the object, and none was named"
    return "whether this rule matches can only be told on the Mac, or with its parameters (-D NAME=VALUE)"


def _notes(operation: str, subject: str | None) -> list[str]:
    notes = []
    if subject is not None and subject.startswith("/") and resolved(subject) != subject:
        notes.append(f"{subject} is {resolved(subject)} to the kernel (/tmp, /var and /etc are links)")
    if operation.startswith("network") and subject is not None and subject.startswith(("127.0.0.1", "localhost")):
        notes.append("'localhost' in a profile also matches every other address of the machine")
    return notes
