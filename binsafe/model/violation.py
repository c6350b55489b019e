"""Violations: what a sandboxed program tried and was denied."""

from typing import Any

import msgspec

VIOLATION_SCHEMA = "binsafe.violation/1"
UNGRANTABLE = "none: "
"""Begins the grant of what no option allows; the reason follows."""


class Violation(msgspec.Struct, frozen=True, kw_only=True):
    """One denied action. ``grant`` is the command-line option that would allow it, or ``none: REASON`` where none can.

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

    @property
    def sentence(self) -> str:
        """In one line, with what would allow it; made of the program's own words, so escape it."""
        what = f"{self.operation} {self.object} denied"
        if self.grant is None:
            return f"{what}: not in the policy"
        if self.grant.startswith(UNGRANTABLE):
            return f"{what}; no grant allows it: {self.grant.removeprefix(UNGRANTABLE)}"
        return f"{what}: not in the policy; add {self.grant}"
