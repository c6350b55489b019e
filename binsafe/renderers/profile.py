"""What a renderer returns."""

import msgspec

from binsafe.model import Gap


class Profile(msgspec.Struct, frozen=True, kw_only=True):
    """A policy written for one mechanism, and what that mechanism cannot express of it."""

    mechanism: str
    text: str
    gaps: tuple[Gap, ...] = ()
