"""A policy file (JSON) -> Policy, strictly: what is not understood to the last key is refused as a whole.

The file may have been edited by hand or written by someone else, so nothing in it is believed: the text that a reviewer
reads (``access``) must say what is enforced (``when``), and a key that stands twice is an error, because readers differ
on which of the two counts.
"""

import json
import re
from typing import Any

import msgspec

from binsafe.errors import BaselineError, UsageError
from binsafe.model import Grant, Policy
from binsafe.model.policy import POLICY_SCHEMA, PolicyFile
from binsafe.policy.conditions import ConditionError, parse_condition
from binsafe.policy.objects import ObjectError, absolute_path, check_object, check_value
from binsafe.policy.walls import NEEDS_CONDITION, SUPERVISED, WALLS
from binsafe.syscalls import tables

MAX_POLICY_CHARACTERS = 8 * 1024**2
"""Longest policy text that is read; one with all 30 ports and 150 calls has 60 KB."""

_NAME_MAX = 255
_SHA256 = re.compile(r"[0-9a-f]{64}")


class _PolicyError(ValueError):
    """Something at a path of the document, as ``$.grants[3].object``."""

    def __init__(self, path: str, message: str, expected: str) -> None:
        super().__init__(f"{path}: {message}")
        self.path = path
        self.expected = expected


def read_policy(text: str, origin: str) -> Policy:
    """The policy that a file holds. ``origin`` names the file in messages.

    Raises:
        BaselineError: the text is no policy; the message begins ``FILE:LINE:COLUMN:`` with the path of the element at
            fault, and the hint says what was expected there.
    """
    try:
        document = _document(text)
        policy = msgspec.convert(document, Policy, strict=True)
        _refuse_unknown_keys(document, msgspec.to_builtins(policy), "$")
        _check(policy)
    except _PolicyError as problem:
        where = _place(text, problem.path)
        raise BaselineError(f"{origin}:{where}: {problem}", hint=problem.expected) from None
    except msgspec.ValidationError as problem:
        message, _, path = str(problem).partition(" - at ")
        path = path.strip("`") or "$"
        raise BaselineError(f"{origin}:{_place(text, path)}: {path}: {message}", hint=_HINT) from None
    return policy


def _place(text: str, path: str) -> str:
    """LINE:COLUMN of an element of the document, or of where it stops being JSON."""
    from binsafe.policy.jsonnodes import (  # a start reads what is right
        JsonError,
        line_and_column,
        offset_of,
        read_json,
    )

    try:
        offset = offset_of(read_json(text), path)
    except (JsonError, RecursionError) as problem:
        offset = problem.offset if isinstance(problem, JsonError) else 0
    return "{}:{}".format(*line_and_column(text, offset))


_HINT = f"expected a document of {POLICY_SCHEMA}: `binsafe profile --for policy` writes one"


def _document(text: str) -> Any:
    if len(text) > MAX_POLICY_CHARACTERS:
        raise _PolicyError("$", f"longer than {MAX_POLICY_CHARACTERS} characters", _HINT)
    try:
        return json.loads(text, object_pairs_hook=_object, parse_constant=_no_constant)
    except json.JSONDecodeError as problem:
        raise _PolicyError("$", f"no JSON: {problem.msg}", _HINT) from None
    except (RecursionError, ValueError) as problem:
        if isinstance(problem, _PolicyError):
            raise
        raise _PolicyError("$", "nested too deeply, or a number too long", _HINT) from None


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for key, value in pairs:
        if key in result:
            raise _PolicyError("$", f"the key {key!r} stands twice in one object", "each key once")
        result[key] = value
    return result


def _no_constant(name: str) -> Any:
    raise _PolicyError("$", f"{name} is no JSON", _HINT)


def _refuse_unknown_keys(found: Any, understood: Any, path: str) -> None:
    """Compares with what was understood, so the recursion is as deep as the model and no deeper."""
    if isinstance(found, dict) and isinstance(understood, dict):
        for key, value in found.items():
            if key not in understood:
                raise _PolicyError(f"{path}.{key}", "unknown key", f"known here: {', '.join(understood)}")
            if value and isinstance(value, dict | list):
                _refuse_unknown_keys(value, understood[key], f"{path}.{key}")
    elif isinstance(found, list) and isinstance(understood, list | tuple):
        for index, (value, known) in enumerate(zip(found, understood, strict=True)):
            _refuse_unknown_keys(value, known, f"{path}[{index}]")


def _check(policy: Policy) -> None:
    if policy.schema != POLICY_SCHEMA:
        raise _PolicyError("$.schema", f"unknown schema {policy.schema!r}", f"expected {POLICY_SCHEMA!r}")
    if _SHA256.fullmatch(policy.artifact.sha256) is None:
        raise _PolicyError("$.artifact.sha256", "no SHA-256", "expected 64 lower-case hexadecimal digits")
    if not _names_a_file(policy.artifact.name):
        raise _PolicyError("$.artifact.name", "no name of a file", "expected the program's name, or its path")
    for index, file in enumerate(policy.artifact.files):
        _check_file(file, f"$.artifact.files[{index}]")
    if policy.artifact.interpreter is not None:
        _check_path(policy.artifact.interpreter, "$.artifact.interpreter")
    seen: dict[tuple[str, str], Grant] = {}
    for index, grant in enumerate(policy.grants):
        path = f"$.grants[{index}]"
        if grant.kind == "syscall":
            _check_call(policy, grant, path)
        else:
            _check_object(grant, path)
        before = seen.setdefault((grant.kind, grant.object), grant)
        if before is not grant and (not before.when or not grant.when or before.when == grant.when):
            raise _PolicyError(
                path,
                f"{grant.kind} {grant.object} is granted twice",
                "one grant for each permission; system calls may have several, each with conditions",
            )


def _names_a_file(path: str) -> bool:
    """Whether a path ends in what a file of Linux can be called (path_resolution(7), NAME_MAX of linux/limits.h)."""
    try:
        name = path.encode().rpartition(b"/")[2]
    except UnicodeEncodeError:  # lone surrogates
        return False
    return name not in {b"", b".", b".."} and len(name) <= _NAME_MAX and "\0" not in path


def _check_file(file: PolicyFile, path: str) -> None:
    if _SHA256.fullmatch(file.sha256) is None:
        raise _PolicyError(f"{path}.sha256", "no SHA-256", "expected 64 lower-case hexadecimal digits")
    _check_path(file.opened_as, f"{path}.opened_as")
    _check_path(file.path, f"{path}.path")


def _check_path(text: str, path: str) -> None:
    try:
        absolute_path(text)
    except ObjectError as problem:
        raise _PolicyError(path, problem.message, problem.expected) from None


def _check_object(grant: Grant, path: str) -> None:
    if grant.when:
        raise _PolicyError(f"{path}.when", f"a {grant.kind} grant has no conditions", "leave `when` out")
    for field, check, value in (("object", check_object, grant.object), ("access", check_value, grant.access)):
        try:
            canonical = check(grant.kind, value)
        except ObjectError as problem:
            raise _PolicyError(f"{path}.{field}", problem.message, problem.expected) from None
        if canonical != value:
            raise _PolicyError(f"{path}.{field}", f"{value!r} is not in its plain form", f"expected {canonical!r}")


def _check_call(policy: Policy, grant: Grant, path: str) -> None:
    name = grant.object
    try:
        known = policy.artifact.system == "linux" and name in tables.numbers(policy.artifact.arch)
    except UsageError as problem:
        raise _PolicyError("$.artifact.arch", str(problem), problem.hint) from None
    if not known:
        system = f"{policy.artifact.system} on {policy.artifact.arch}"
        raise _PolicyError(
            f"{path}.object", f"no system call {name!r} of {system}", "expected a name as in `man syscalls`"
        )
    if name in WALLS:
        raise _PolicyError(f"{path}.object", f"{name} cannot be granted: {WALLS[name]}", "leave it out")
    try:
        condition = parse_condition(grant.access) if grant.access else ()
    except ConditionError as problem:
        where = f"{path}.access: column {problem.column + 1}"
        raise _PolicyError(where, str(problem), "expected a condition such as 'arg2 & PROT_EXEC == 0'") from None
    if condition != grant.when:
        raise _PolicyError(
            f"{path}.when", f"says something else than its text {grant.access!r}", "make both say the same"
        )
    if name in NEEDS_CONDITION and not condition:
        raise _PolicyError(
            path, f"{name} without conditions would open more than one thing", "grant it by its arguments"
        )
    if name in SUPERVISED and condition:
        raise _PolicyError(f"{path}.when", f"{name} is decided by the supervisor", "leave its conditions out")
