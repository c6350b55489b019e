"""A profile's or policy's text -> what is wrong with it, whatever its language. Pure.

    ociseccomp   seccomp filters as OCI runtimes read them
    policies     policies against the baselines that they name

SBPL is checked by `binsafe.seatbelt`; policies and baselines by their own strict readers, up to the first fault.
"""

import json
import re
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

from binsafe.checks import ociseccomp, policies
from binsafe.errors import BaselineError, UsageError
from binsafe.policy.baseline import BASELINE_SCHEMA, Baseline
from binsafe.policy.jsonnodes import JsonError, read_json
from binsafe.policy.reading import read_policy
from binsafe.seatbelt import Finding, check
from binsafe.seatbelt.findings import error
from binsafe.seatbelt.nodes import Place

_UNREAD: Final = (
    (re.compile(r"\A#!"), "a script"),
    (re.compile(r"^\[Unit\]$", re.MULTILINE), "a systemd unit"),
    (re.compile(r'\A\s*\{\s*"abi"'), "a Landlock ruleset"),
)
"""What `binsafe profile` writes besides, and nobody reads back here."""
_PLACED = re.compile(r"(?:.*?:)?(\d+):(\d+): (.*)", re.DOTALL)


def kind_of(text: str, name: str) -> str:
    """What a text is, by its beginning and its name: "seatbelt", "seccomp", "policy", "linux" or "baseline".

    Raises:
        UsageError: it is a profile of a kind that is only written.
    """
    for mark, what in _UNREAD:
        if mark.search(text):
            hint = "check the policy behind it (binsafe profile --for policy), or say what it is with --for"
            raise UsageError(f"{name} is {what}, which is not checked", hint=hint)
    if name.endswith((".yaml", ".yml")) or BASELINE_SCHEMA in text[:400]:
        return "baseline"
    if text.lstrip()[:1] in {"{", "["}:
        schema = re.search(r'"schema"\s*:\s*"binsafe\.(policy|profile)/', text[:4000])
        return {None: "seccomp", "policy": "policy", "profile": "linux"}[schema[1] if schema else None]
    return "seatbelt"


def check_text(
    text: str, kind: str, *, release: str | None = None, extended: Callable[[str], Baseline] | None = None
) -> tuple[Finding, ...]:
    """All findings, in the order of their places. ``extended`` finds baselines: those that others extend, a policy's.

    Raises:
        UsageError: no such kind.
    """
    if kind == "seatbelt":
        return check(text, release=release)
    if kind == "baseline":
        return _first_fault(lambda: _read_baseline(text, extended))
    if kind == "policy":
        return _policy(text, extended)
    if kind not in _READERS:
        raise UsageError(
            f"no kind of profile is called {kind!r}", hint="known: seatbelt, baseline, seccomp, policy, linux"
        )
    return _READERS[kind](text)


def _read_baseline(text: str, extended: Callable[[str], Baseline] | None) -> None:
    from binsafe.policy.parsing import no_other, parse  # needs YAML, and only this kind does

    parse(text, "", extended or no_other)


def _policy(text: str, find: Callable[[str], Baseline] | None) -> tuple[Finding, ...]:
    fault = _first_fault(lambda: read_policy(text, ""))
    return fault or tuple(policies.beyond_the_cap(text, read_policy(text, ""), find) if find is not None else ())


def _first_fault(read: Callable[[], object]) -> tuple[Finding, ...]:
    """What a strict reader objects to first; nothing where it reads to the end."""
    try:
        read()
    except BaselineError as problem:
        placed = _PLACED.fullmatch(str(problem))
        line, column, message = placed.groups() if placed else ("1", "1", str(problem))
        return (error(Place(int(line), int(column)), message, problem.hint),)
    return ()


def _linux(text: str) -> tuple[Finding, ...]:
    """``binsafe.profile/1``: the filter in it, and the policy, read where it stands."""
    found = ociseccomp.check(text)
    try:
        entry = read_json(text).fields.get("policy")
    except JsonError:
        return found  # which says where
    if entry is None:
        return found
    start = entry[1].offset
    _, end = json.JSONDecoder().raw_decode(text, start)
    alone = re.sub(r"[^\n]", " ", text[:start]) + text[start:end]
    return tuple(sorted((*found, *_first_fault(lambda: read_policy(alone, ""))), key=lambda each: each.place))


_READERS: Final[Mapping[str, Callable[[str], tuple[Finding, ...]]]] = MappingProxyType(
    {
        "seccomp": ociseccomp.check,
        "linux": _linux,
    }
)

__all__ = ["Finding", "check_text", "kind_of"]
