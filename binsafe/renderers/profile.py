"""What a renderer returns."""

import msgspec


class Gap(msgspec.Struct, frozen=True, kw_only=True):
    """Something that the policy says and the mechanism does not enforce."""

    id: str
    reason: str

    def __str__(self) -> str:
        return self.reason


class Profile(msgspec.Struct, frozen=True, kw_only=True):
    """A policy written for one mechanism, and what that mechanism cannot express of it."""

    mechanism: str
    text: str
    gaps: tuple[Gap, ...] = ()
