"""What the readers of this package share: the objection to a broken structure, and names shown to people."""

import functools
from collections.abc import Callable, Sequence
from typing import Final, ParamSpec, TypeVar

import msgspec

from binsafe.limits import MAX_EVIDENCE
from binsafe.model import Problem

NOT_IN_THIS_FILE: Final = "(not in this file)"
"""How everything ends that is sealed and lies beside the file, in its bundle."""

SLACK: Final = "signature-slack"
"""The problem that signers leave themselves: it does not count against a signature."""

TICKET: Final = "notarization-ticket"
"""The problem of a ticket that proves nothing; the signature holds without one."""

_CHUNK = 1024**2
_P = ParamSpec("_P")
_R = TypeVar("_R")


class StructureError(Exception):
    """A structure that cannot be read any further; it never leaves this package: verifiers turn it into a Problem."""

    def __init__(self, detail: str, *, problem: str = "malformed") -> None:
        super().__init__(detail)
        self.problem = Problem(id=problem, detail=detail)


def strictly(what: str, *, problem: str = "malformed") -> Callable[[Callable[_P, _R]], Callable[_P, _R]]:
    """Make a function that reads with another's parser raise one objection, whatever that parser lets through.

    asn1crypto and cryptography parse lazily, and raise TypeError, KeyError and kinds of their own on hostile bytes.
    """

    def made(read: Callable[_P, _R]) -> Callable[_P, _R]:
        @functools.wraps(read)
        def reading(*args: _P.args, **kwargs: _P.kwargs) -> _R:
            try:
                return read(*args, **kwargs)
            except StructureError:
                raise
            except Exception as error:
                raise StructureError(f"{what} cannot be read: {type(error).__name__}", problem=problem) from error

        return reading

    return made


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What a check found: contradictions, and what it could not tell."""

    problems: tuple[Problem, ...] = ()
    unverified: tuple[str, ...] = ()

    def __add__(self, other: "Outcome") -> "Outcome":
        return Outcome(problems=self.problems + other.problems, unverified=self.unverified + other.unverified)


def enumerate_some(items: Sequence[str]) -> str:
    """The first few items as text, and how many more there are: a cut is always said."""
    shown = ", ".join(items[:MAX_EVIDENCE])
    more = len(items) - MAX_EVIDENCE
    return f"{shown} and {more} more" if more > 0 else shown


def is_blank(data: memoryview) -> bool:
    """True where all bytes are zero: the padding that signers leave."""
    return not any(bytes(data[at : at + _CHUNK]).strip(b"\0") for at in range(0, len(data), _CHUNK))
