"""Rules of an SBPL profile before they are written, and how those that say the same twice are put right.

Sources disagree on the order of rules, and a reviewer should find each permission once: so what one rule allows, no
other says again. Only rules on files can overlap; ports, names and targets of different rules are different.
"""

import re
from collections.abc import Iterable, Iterator

import msgspec

from binsafe.paths import is_inside

_FILE_FILTER = re.compile(r'\((literal|subpath) "([^"]*)"\)')


class Rule(msgspec.Struct, frozen=True, kw_only=True):
    """One ``(allow OPERATIONS FILTERS)`` with the reason that stands above it; ``only_if`` names a parameter."""

    reason: str
    operations: tuple[str, ...]
    filters: tuple[str, ...]
    only_if: str | None = None


class _Piece(msgspec.Struct, frozen=True):
    """One operation on one path."""

    operation: str
    path: str
    whole_folder: bool

    def includes(self, other: "_Piece") -> bool:
        """Whether everything that the other allows is allowed by this one."""
        operation = self.operation == other.operation or (
            self.operation.endswith("*") and other.operation.startswith(self.operation[:-1])
        )
        inside = is_inside(other.path, self.path) if self.whole_folder else other.path == self.path
        return operation and inside and (self.whole_folder or not other.whole_folder)


def without_overlaps(rules: Iterable[Rule]) -> Iterator[Rule]:
    """The same permissions, each said by one rule alone; a rule that has nothing left is gone."""
    listed = tuple(rules)
    pieces = [_piece(o, f) for rule in listed if not rule.only_if for f in rule.filters for o in rule.operations]
    wanted = [piece for piece in dict.fromkeys(pieces) if piece is not None]
    said: set[_Piece] = set()
    for rule in listed:
        by_operations: dict[tuple[str, ...], list[str]] = {}
        for each in rule.filters:
            left = tuple(o for o in rule.operations if rule.only_if or _is_new(_piece(o, each), wanted, said))
            if left:
                by_operations.setdefault(left, []).append(each)
        if not rule.filters:
            yield rule
        for operations, filters in by_operations.items():
            yield msgspec.structs.replace(rule, operations=operations, filters=tuple(filters))


def _piece(operation: str, each: str) -> _Piece | None:
    match = _FILE_FILTER.fullmatch(each)
    if match is None or not operation.startswith(("file", "process-exec")):
        return None
    return _Piece(operation, match[2], match[1] == "subpath")


def _is_new(piece: _Piece | None, wanted: list[_Piece], said: set[_Piece]) -> bool:
    """Whether no other piece includes this one and it has not been said; notes it as said."""
    if piece is None:
        return True
    if piece in said or any(other != piece and other.includes(piece) for other in wanted):
        return False
    said.add(piece)
    return True
