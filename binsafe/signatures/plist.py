"""Property lists out of hostile files: Apple's key-value format, as XML or binary."""

import plistlib
from typing import Any

from binsafe.signatures.structure import StructureError


def read(data: bytes | memoryview, what: str, *, most: int, xml_only: bool = False) -> dict[Any, Any]:
    """The dictionary that a property list of at most ``most`` bytes holds.

    Raises:
        StructureError: too large, unreadable, with XML entities of its own, or no dictionary.
    """
    if len(data) > most:
        raise StructureError(f"{what} of {len(data)} bytes is not read")
    content = bytes(data)
    if b"<!ENTITY" in content:
        raise StructureError(f"{what} declares XML entities")
    try:
        values = plistlib.loads(content, fmt=plistlib.FMT_XML if xml_only else None)
    except Exception as error:  # plistlib lets KeyError, IndexError, ExpatError, RecursionError and more through
        raise StructureError(f"{what} cannot be read: {type(error).__name__}: {error}") from error
    if not isinstance(values, dict):
        raise StructureError(f"{what} is not a dictionary")
    return values
