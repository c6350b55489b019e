"""Property lists out of hostile files: Apple's key-value format, as XML or binary."""

import plistlib
from typing import Any

from binsafe.signatures.structure import StructureError


class _Once(dict[Any, Any]):
    """A dictionary in which a name may stand once."""

    def __setitem__(self, name: Any, value: Any) -> None:
        if name in self:
            raise ValueError(f"{name!r} is there twice")
        super().__setitem__(name, value)


def read(
    data: bytes | memoryview, what: str, *, most: int, xml_only: bool = False, once: bool = False
) -> dict[Any, Any]:
    """The dictionary that a property list of at most ``most`` bytes holds.

    With ``once`` a name may stand in a dictionary once: of two values, parsers take the first or the last.

    Raises:
        StructureError: too large, unreadable, with XML entities of its own, or no dictionary.
    """
    if len(data) > most:
        raise StructureError(f"{what} of {len(data)} bytes is not read")
    content = bytes(data)
    if b"<!ENTITY" in content:
        raise StructureError(f"{what} declares XML entities")
    try:
        values = plistlib.loads(content, fmt=plistlib.FMT_XML if xml_only else None, dict_type=_Once if once else dict)
    except Exception as error:  # plistlib lets KeyError, IndexError, ExpatError, RecursionError and more through
        raise StructureError(f"{what} cannot be read: {type(error).__name__}: {error}") from error
    if not isinstance(values, dict):
        raise StructureError(f"{what} is not a dictionary")
    return values
