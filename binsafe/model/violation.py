"""Violations: what a sandboxed program tried and was denied."""

import re
from typing import Any, Final

import msgspec

VIOLATION_SCHEMA = "binsafe.violation/1"
UNGRANTABLE = "none: "
"""Begins the grant of what no option allows; the reason follows."""

_WITH_PATH: Final = re.compile(r"(--(?:read|write|exec) )(/.*)", re.DOTALL)


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
    def option(self) -> str | None:
        """The grant as it is typed in a shell; None where no option allows it.

        A path in it is the program's own choice, and may be a shell's command as well: ``/tmp/$(...)``.
        """
        if self.grant is None or not self.grant.startswith("--"):
            return None
        if match := _WITH_PATH.fullmatch(self.grant):
            import shlex  # few programs are denied anything

            return f"{match[1]}{shlex.quote(match[2])}"
        return self.grant

    @property
    def sentence(self) -> str:
        """In one line, with what would allow it; made of the program's own words, so escape it."""
        what = f"{self.operation} {self.object} denied"
        if self.option is not None:
            return f"{what}: not in the policy; add {self.option}"
        if self.grant is None:
            return f"{what}: not in the policy"
        return f"{what}; no grant allows it: {self.grant.removeprefix(UNGRANTABLE)}"
