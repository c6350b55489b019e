"""The answers of a parser, decoded by its parent: no more trustworthy than the file that was parsed.

A parser that was taken over can say anything about its own file. It cannot say it about another one, make us take
memory without a bound, or end us.
"""

import signal
from typing import TypeVar

import msgspec

from binsafe.intake.messages import Calls, Frame, Kind
from binsafe.limits import MAX_SAVED_REPORT_VALUES
from binsafe.model import Artifact, Finding, Gap, Report, ResolvedLibrary, Severity
from binsafe.model.report import REPORT_SCHEMA

Answer = TypeVar("Answer", Report, Calls)

_FOLDER = "unknown"
"""Stands for the SHA-256 of a folder, whose content is known only after it was read."""


class OnTheWay:
    """Messages that come before the answer."""

    def __init__(self) -> None:
        self.member = -1
        """The member of an archive that is being parsed."""
        self.keep = b""
        """What is worth keeping of the program."""
        self.gaps: tuple[Gap, ...] = ()
        """What the parser was not confined by."""

    def takes(self, frame: Frame) -> bool:
        """Whether a frame is of this kind; then it is remembered, and the last of each kind counts.

        Raises:
            ValueError, msgspec.MsgspecError: it is, and makes no sense.
        """
        match frame.kind:
            case Kind.MEMBER:
                self.member = int(frame.payload)
            case Kind.KEEP:
                self.keep = frame.payload
            case Kind.OPEN:
                self.gaps = msgspec.msgpack.decode(frame.payload, type=tuple[Gap, ...])
            case _:
                return False
        return True


def read(payload: bytes, kind: type[Answer], artifact: Artifact, gaps: tuple[Gap, ...] = ()) -> Answer:
    """The answer in some JSON; a report has to be one on ``artifact``, and gets a finding for ``gaps``.

    Raises:
        ValueError, msgspec.MsgspecError: it is none.
    """
    if has_too_many_values(payload):
        raise ValueError("too many values")
    try:
        answer: Answer = msgspec.json.decode(payload, type=kind)
    except RecursionError as error:
        raise ValueError("too deep") from error
    if isinstance(answer, Report):
        if answer.schema != REPORT_SCHEMA or not _is_on(answer.artifact, artifact):
            raise ValueError("a report on something else")
        if gaps:
            return msgspec.structs.replace(answer, findings=(*answer.findings, _unconfined(gaps)))
    return answer


def has_too_many_values(payload: bytes) -> bool:
    """Whether JSON may hold more values than are decoded: each takes memory, whatever its length."""
    return sum(payload.count(sign) for sign in (b",", b"[", b"{")) > MAX_SAVED_REPORT_VALUES


class _Claimed(msgspec.Struct):
    """What one slice of a report says of the files that belong to its program."""

    resolved: tuple[ResolvedLibrary, ...] = ()


class _Claims(msgspec.Struct):
    slices: tuple[_Claimed, ...] = ()


def claimed(payload: bytes) -> tuple[ResolvedLibrary, ...]:
    """The libraries that an answer names: who runs the program will let it read them.

    Raises:
        ValueError, msgspec.MsgspecError: it is no answer.
    """
    try:
        claims = msgspec.json.decode(payload, type=_Claims)
    except RecursionError as error:
        raise ValueError("too deep") from error
    return tuple(library for each in claims.slices for library in each.resolved)


def _is_on(said: Artifact, meant: Artifact) -> bool:
    if meant.sha256 == _FOLDER:
        meant = msgspec.structs.replace(meant, size=said.size, sha256=said.sha256)
    return said == meant


def _unconfined(gaps: tuple[Gap, ...]) -> Finding:
    return Finding(
        id="parser-not-confined",
        severity=Severity.INFO,
        title="Parsed by a process that was not fully confined",
        detail="; ".join(gap.reason for gap in gaps),
    )


def ended_by(number: int) -> str:
    """The words for a parser that a signal ended."""
    said = f"the parser was ended by signal {number}"
    if number == signal.SIGSYS:
        said += ": it made a system call that no parser makes, so the file has probably taken it over"
    return said
