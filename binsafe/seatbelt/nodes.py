"""What a profile's text is made of: each node knows the line and column (both from 1) at which it begins."""

import msgspec


class Place(msgspec.Struct, frozen=True, order=True):
    """Where something stands in the text."""

    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.line}:{self.column}"


class Symbol(msgspec.Struct, frozen=True):
    """A name: ``file-read*``."""

    name: str
    place: Place


class Text(msgspec.Struct, frozen=True):
    """A string; ``raw`` ones are written ``#"..."``, in which a backslash stands for itself."""

    value: str
    raw: bool
    place: Place


class Number(msgspec.Struct, frozen=True):
    """A whole number."""

    value: int
    place: Place


class Truth(msgspec.Struct, frozen=True):
    """``#t`` or ``#f``."""

    value: bool
    place: Place


class Form(msgspec.Struct, frozen=True):
    """``( ... )``; ``'x`` is read as ``(quote x)``."""

    items: tuple["Node", ...]
    place: Place

    @property
    def head(self) -> str:
        """The name that the form begins with; empty where it begins with something else."""
        return self.items[0].name if self.items and isinstance(self.items[0], Symbol) else ""


Node = Symbol | Text | Number | Truth | Form
