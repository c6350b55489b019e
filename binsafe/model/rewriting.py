"""Trees of structs with some of their parts replaced: structs are frozen, so a change anywhere makes a new tree."""

from collections.abc import Callable
from typing import TypeVar, cast

import msgspec

T = TypeVar("T")
Part = TypeVar("Part")


def rewrite(tree: T, kind: type[Part], change: Callable[[Part], Part]) -> T:
    """``tree`` with ``change`` applied to every part that is a ``kind``, however deep; what is inside comes first.

    Structs, tuples, lists and the values of dicts are gone through; a part without changes is the same object.
    """
    return cast(T, _rewritten(tree, kind, change))


def _rewritten(value: object, kind: type[Part], change: Callable[[Part], Part]) -> object:
    if isinstance(value, msgspec.Struct):
        changed = {}
        for name in value.__struct_fields__:
            before = getattr(value, name)
            after = _rewritten(before, kind, change)
            if after is not before:
                changed[name] = after
        value = msgspec.structs.replace(value, **changed) if changed else value
    elif isinstance(value, tuple | list):
        items = [_rewritten(item, kind, change) for item in value]
        if any(after is not before for after, before in zip(items, value, strict=True)):
            value = type(value)(items)
    elif isinstance(value, dict):
        entries = {name: _rewritten(item, kind, change) for name, item in value.items()}
        if any(entries[name] is not value[name] for name in value):
            value = entries
    return change(value) if isinstance(value, kind) else value
