"""Entitlements: what a program asks macOS for. The DER form is what macOS 12 and later go by; the XML form is older.

Both shapes of DER are met in real files: ``[APPLICATION 16]`` with a version number in front, its dictionaries being
``[CONTEXT 16]``, and a bare SET whose dictionaries are SETs.
"""

import base64
import datetime as dt
import math
from collections.abc import Callable
from typing import Any, Final, Literal

import msgspec

from binsafe.model import Problem
from binsafe.signatures import der, plist
from binsafe.signatures.structure import StructureError, enumerate_some

MAX_BYTES: Final = 1024**2
"""Largest list of entitlements; Apple's longest have some 100 KB."""

MAX_DEPTH: Final = 16
"""Deepest nesting; real lists have 3 levels."""

_LARGEST: Final = 2**63 - 1
"""Largest number: more than 64 bits is nothing that the DER form could say."""


class Entitlements(msgspec.Struct, frozen=True, kw_only=True):
    """What could be read: ``values`` is None where there are none, or none that can be read: then a problem says so.

    ``broken`` are problems with the form that macOS goes by; ``notes`` are about the other one.
    """

    values: dict[str, Any] | None = None
    source: Literal["der", "xml"] | None = None
    broken: tuple[Problem, ...] = ()
    notes: tuple[Problem, ...] = ()


def read(der_form: memoryview | None, xml_form: memoryview | None) -> Entitlements:
    """Read both forms; DER is shown where it can be read, and a difference between the two is a problem."""
    from_der, broken = dictionary(der_form, "the DER entitlements")
    from_xml, notes = _attempt("the XML entitlements", _from_xml, xml_form)
    if from_der is None:
        return Entitlements(values=from_xml, source=None if from_xml is None else "xml", broken=broken, notes=notes)
    differing = _differing(from_der, from_xml) if from_xml is not None else []
    if differing:
        detail = (
            f"the DER and XML entitlements differ in {enumerate_some(differing)}; macOS 12 and later use the DER ones"
        )
        notes = (*notes, Problem(id="entitlements-differ", detail=detail))
    elif notes:
        # Vendors ship such lists, notarized: Node.js with blanks before the XML declaration, azmcp with a stray tag.
        notes = tuple(
            Problem(id="entitlements-xml", detail=f"{note.detail}; macOS 12 and later do not use them")
            for note in notes
        )
    return Entitlements(values=from_der, source="der", broken=broken, notes=notes)


def dictionary(data: memoryview | None, what: str) -> tuple[dict[str, Any] | None, tuple[Problem, ...]]:
    """What stands in the DER form, which launch constraints have, too; None and a problem where it cannot be read."""
    return _attempt(what, _from_der, data)


def _attempt(
    what: str, parse: Callable[[memoryview], dict[str, Any]], data: memoryview | None
) -> tuple[dict[str, Any] | None, tuple[Problem, ...]]:
    if data is None:
        return None, ()
    if len(data) > MAX_BYTES:
        return None, (Problem(id="malformed", detail=f"{what} of {len(data)} bytes are not read"),)
    try:
        return parse(data), ()
    except StructureError as error:
        return None, (Problem(id="malformed", detail=f"{what} cannot be read: {error}"),)


def _differing(one: dict[str, Any], other: dict[str, Any]) -> list[str]:
    """Names whose values are not the same; compared as JSON, for which true and 1 are two things."""
    as_json = msgspec.json.Encoder(order="deterministic").encode
    return [
        name
        for name in sorted({*one, *other})
        if (name in one) != (name in other) or as_json(one.get(name)) != as_json(other.get(name))
    ]


def _from_der(data: memoryview) -> dict[str, Any]:
    outer = der.expect(data, der.APPLICATION_16, der.SET)
    if outer.tag == der.SET:
        return _dictionary(outer.content, 1)
    match list(der.elements(outer.content)):
        case [der.Element(tag=der.INTEGER), der.Element(tag=der.CONTEXT_16, content=content)]:
            return _dictionary(content, 1)
    raise StructureError("the wrapper holds something else than a version and a dictionary")


def _dictionary(content: memoryview, depth: int) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for entry in der.elements(content):
        match list(der.elements(entry.content)) if entry.tag == der.SEQUENCE else []:
            case [der.Element(tag=der.UTF8_STRING, content=key), value]:
                name = _text(key)
                if name in values:
                    raise StructureError(f"{name!r} is there twice")
                values[name] = _value(value, depth)
            case _:
                raise StructureError("an entry is not a pair of name and value")
    return values


def _value(element: der.Element, depth: int) -> Any:
    if depth > MAX_DEPTH:
        raise StructureError(f"nested deeper than {MAX_DEPTH} levels")
    content = element.content
    match element.tag:
        case der.BOOLEAN if len(content) == 1:  # DER says FF for true; signers of macOS 11 wrote 01
            return content[0] != 0
        case der.INTEGER if 1 <= len(content) <= 8:  # 64 bits
            return int.from_bytes(content, "big", signed=True)
        case der.UTF8_STRING:
            return _text(content)
        case der.OCTET_STRING:
            return base64.b64encode(content).decode()
        case der.SEQUENCE:
            return [_value(item, depth + 1) for item in der.elements(content)]
        case der.CONTEXT_16 | der.SET:
            return _dictionary(content, depth + 1)
    raise StructureError(f"a value with tag {element.tag:#04x} and {len(content)} bytes")


def _text(content: memoryview) -> str:
    try:
        return bytes(content).decode()
    except UnicodeDecodeError as error:
        raise StructureError("text that is not UTF-8") from error


def _from_xml(data: memoryview) -> dict[str, Any]:
    values = plist.read(data, "the list", most=MAX_BYTES, xml_only=True, once=True)
    return {_key(name): _plain(value, 1) for name, value in values.items()}


def _plain(value: Any, depth: int) -> Any:
    """A property list's value as one of JSON's, the same that the DER form would give."""
    if depth > MAX_DEPTH:
        raise StructureError(f"nested deeper than {MAX_DEPTH} levels")
    match value:
        case bool() | str():
            return value
        case int() | float() if math.isfinite(value) and abs(value) <= _LARGEST:
            return value
        case bytes():
            return base64.b64encode(value).decode()
        case dt.datetime():
            return value.isoformat()
        case list():
            return [_plain(item, depth + 1) for item in value]
        case dict():
            return {_key(name): _plain(item, depth + 1) for name, item in value.items()}
    raise StructureError(f"a value of type {type(value).__name__} that a report cannot hold")


def _key(name: Any) -> str:
    if not isinstance(name, str):
        raise StructureError("a name that is no text")
    return name
