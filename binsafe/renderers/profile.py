"""What a renderer returns."""

import msgspec

from binsafe.model import Gap


class Profile(msgspec.Struct, frozen=True, kw_only=True):
    """A policy written for one mechanism, and what that mechanism cannot express of it."""

    mechanism: str
    text: str
    gaps: tuple[Gap, ...] = ()


def comment(text: str, sign: str = "#") -> str:
    """A comment of one line, whatever the text: a line break would let it go on as rules."""
    return f"{sign} " + "".join(character if character.isprintable() else "?" for character in text)
