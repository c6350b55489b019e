"""Names of functions: tables of them, and how formats decorate them."""

import re

from binsafe.model.image import Format

_VARIANT = re.compile(r"(?<=.)\$.*", re.DOTALL)


def words(text: str) -> frozenset[str]:
    """The names in a text that separates them by blanks."""
    return frozenset(text.split())


def plain_name(name: str, format_: Format) -> str:
    """A symbol as C spells it: without Mach-O's underscore, version (``@GLIBC_2.4``) or variant (``$NOCANCEL``)."""
    name = name.split("@", 1)[0]
    if format_ == "mach-o":
        name = name.removeprefix("_")
    return name if name.startswith("OBJC_CLASS_$") else _VARIANT.sub("", name)
