"""YAML with positions, strictly: every value knows its line and column, and what is not asked for is an error.

Anchors, aliases, tags, several documents, duplicate keys and deep nesting are refused: a baseline needs none of them,
and each is a way to show a reviewer one thing and a parser another (or to make a small file expand into a large one).
"""

from collections.abc import Iterable, Mapping
from typing import NoReturn

import yaml

from binsafe.errors import BaselineError

MAX_CHARACTERS = 256 * 1024
"""Longest text that is read; the longest baseline that we ship has 10 KB."""

_MAX_DEPTH = 12
_NO_VALUE = "tag:yaml.org,2002:null"


class Element:
    """One value of the document, with where it stands."""

    def __init__(self, node: yaml.Node, origin: str) -> None:
        self._node = node
        self._origin = origin

    def fail(self, message: str, *, expected: str) -> NoReturn:
        """Refuse this value.

        Raises:
            BaselineError: always, with file, line and column.
        """
        where = _position(self._node.start_mark)
        raise BaselineError(f"{self._origin}:{where}: {message}", hint=expected)

    def mapping(self) -> dict[str, "Element"]:
        """Its entries in order."""
        if not isinstance(self._node, yaml.MappingNode):
            self.fail("no mapping", expected="expected a mapping of keys to values")
        entries: dict[str, Element] = {}
        for key_node, value_node in self._node.value:
            key = Element(key_node, self._origin)
            name = key.text("expected a key")
            if name in entries:
                key.fail(f"the key {name!r} stands twice", expected="expected each key once")
            entries[name] = Element(value_node, self._origin)
        return entries

    def fields(self, required: Iterable[str], optional: Iterable[str] = ()) -> Mapping[str, "Element"]:
        """Its entries when they have the required keys, perhaps optional ones, and no others."""
        entries = self.mapping()
        known = (*required, *optional)
        for name, element in entries.items():
            if name not in known:
                element.fail(f"unknown key {name!r}", expected=f"expected one of: {', '.join(known)}")
        for name in required:
            if name not in entries:
                self.fail(f"the key {name!r} is missing", expected=f"expected {', '.join(required)}")
        return entries

    def items(self, expected: str = "expected a list") -> tuple["Element", ...]:
        """Its items."""
        if not isinstance(self._node, yaml.SequenceNode):
            self.fail("no list", expected=expected)
        return tuple(Element(node, self._origin) for node in self._node.value)

    def one_or_more(self, expected: str) -> tuple["Element", ...]:
        """Its items, or itself where it is a single value."""
        return self.items(expected) if isinstance(self._node, yaml.SequenceNode) else (self,)

    def text(self, expected: str = "expected text") -> str:
        """Its text, without the white space around it; never empty."""
        if not isinstance(self._node, yaml.ScalarNode) or self._node.tag == _NO_VALUE:
            self.fail("no text", expected=expected)
        text = str(self._node.value).strip()
        if not text:
            self.fail("empty", expected=expected)
        return text

    def truth(self) -> bool:
        """``true`` or ``false``; YAML's other words for them are too easily meant as text."""
        text = self.text()
        if text not in {"true", "false"}:
            self.fail(f"{text!r} is neither", expected="expected true or false")
        return text == "true"


def read(text: str, origin: str) -> Element:
    """The document's root.

    Raises:
        BaselineError: the text is no YAML, or uses a part of YAML that is refused.
    """
    if len(text) > MAX_CHARACTERS:
        raise BaselineError(f"{origin}:1:1: longer than {MAX_CHARACTERS} characters", hint="expected a baseline")
    try:
        node = _Plain(text, origin).get_single_node()
    except yaml.MarkedYAMLError as problem:
        where = _position(problem.problem_mark or problem.context_mark)
        raise BaselineError(f"{origin}:{where}: no YAML: {problem.problem}", hint=_HINT) from None
    except yaml.YAMLError as problem:
        raise BaselineError(f"{origin}:1:1: no YAML: {str(problem).splitlines()[0]}", hint=_HINT) from None
    if node is None:
        raise BaselineError(f"{origin}:1:1: empty", hint=_HINT)
    return Element(node, origin)


_HINT = "expected a baseline in plain YAML, as those in profiles/baselines/"


class _Plain(yaml.SafeLoader):
    """Composes a document, and refuses each event as it comes: before what is inside of it is looked at."""

    def __init__(self, text: str, origin: str) -> None:
        super().__init__(text)
        self._origin = origin
        self._depth = 0

    def get_event(self) -> yaml.Event:
        event: yaml.Event = super().get_event()  # type: ignore[no-untyped-call]
        self._depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if self._depth > _MAX_DEPTH:
            what = "nested too deeply"
        elif getattr(event, "anchor", None) is not None or getattr(event, "tag", None) is not None:
            what = "anchors, aliases and tags are refused"
        else:
            return event
        raise BaselineError(f"{self._origin}:{_position(event.start_mark)}: {what}", hint=_HINT)


def _position(mark: "yaml.Mark | yaml._yaml.Mark | None") -> str:
    """LINE:COLUMN, both from 1."""
    return f"{mark.line + 1}:{mark.column + 1}" if mark else "1:1"
