"""Violations: what a sandboxed program tried and was denied."""

from typing import Any

import msgspec

VIOLATION_SCHEMA = "binsafe.violation/1"


class Violation(msgspec.Struct, frozen=True, kw_only=True):
    """One denied action. ``grant`` is the command-line option that would allow it, None where none can.

    ``time`` is seconds since the epoch; ``pid`` the host's; ``predicted`` says whether inspection had found the
    capability; ``expected`` marks probes that normal programs make and take no for an answer.
    """

    schema: str = VIOLATION_SCHEMA
    time: float
    pid: int
    operation: str
    object: str
    syscall: str
    arguments: tuple[Any, ...] = ()
    result: str
    predicted: bool = False
    expected: bool = False
    grant: str | None = None
