"""The structure of every report for people: sections of labelled rows, independent of the output format."""

import msgspec


class Item(msgspec.Struct, frozen=True):
    """One piece of evidence as a line, and the code around it."""

    text: str
    code: tuple[str, ...] = ()


class Row(msgspec.Struct, frozen=True):
    """A label, what stands behind it, the evidence for it, and rows that belong below. ``role`` is the text's style."""

    label: str
    text: str = ""
    role: str = ""
    items: tuple[Item, ...] = ()
    rows: "tuple[Row, ...]" = ()


class Section(msgspec.Struct, frozen=True):
    """A headline with rows; ``role`` says what kind of section it is: head, slice, strings, members or findings."""

    title: str
    role: str
    rows: tuple[Row, ...]
