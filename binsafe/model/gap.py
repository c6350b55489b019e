"""Gaps: what a policy says and a mechanism, or this machine, does not hold."""

import msgspec


class Gap(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that is not enforced, why, and what would change that where something can."""

    id: str
    reason: str
    fix: str | None = None
