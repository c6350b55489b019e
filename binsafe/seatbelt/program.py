"""What a profile comes to when it is evaluated: its rules in order, and what is not known of them."""

import msgspec

from binsafe.seatbelt.nodes import Place


class Unknown(msgspec.Struct, frozen=True):
    """A value that only the Mac, or a parameter that was not given, could tell."""

    why: str


class Word(msgspec.Struct, frozen=True):
    """A constant of a filter: ``self``, ``CHARACTER-DEVICE``, ``SYS_open``, ``tcp``."""

    name: str


class Filter(msgspec.Struct, frozen=True):
    """A filter with its arguments, or one of the combining ones with filters for arguments. The name is canonical."""

    name: str
    arguments: tuple["str | int | bool | Unknown | Word | Filter", ...]
    place: Place

    def __str__(self) -> str:
        return f"({' '.join((self.name, *map(shown, self.arguments)))})"


class Modifier(msgspec.Struct, frozen=True):
    """``(with NAME ...)``; the name is canonical."""

    name: str
    place: Place


class Operation(msgspec.Struct, frozen=True):
    """An operation as a rule names it; the name is canonical."""

    name: str
    place: Place


class MessageFilter(msgspec.Struct, frozen=True):
    """``(apply-message-filter RULE ...)``: what may be sent over what the rule around it allows."""

    rules: tuple["Rule", ...]
    place: Place

    def __str__(self) -> str:
        return f"({' '.join(('apply-message-filter', *map(str, self.rules)))})"


class Rule(msgspec.Struct, frozen=True, kw_only=True):
    """One ``(allow ...)`` or ``(deny ...)``; any one of its filters is enough, and none at all matches everything.

    ``messages`` are the rules of its message filter, for what is sent over what this one allows.
    Where it stands in a branch that depends on something unknown, ``doubt`` names that, and ``branches`` are the places
    of the tests around it with the number of the branch that was followed.
    """

    action: str
    operations: tuple[Operation, ...]
    filters: tuple[Filter, ...]
    modifiers: tuple[Modifier, ...]
    place: Place
    messages: tuple["Rule", ...] = ()
    doubt: str | None = None
    branches: tuple[tuple[Place, int], ...] = ()

    def excludes(self, other: "Rule") -> bool:
        """Whether the two stand in different branches of one test, so that a run has one of them at most."""
        mine, theirs = dict(self.branches), dict(other.branches)
        return any(mine[place] != theirs[place] for place in mine.keys() & theirs.keys())

    def __str__(self) -> str:
        names = (operation.name for operation in self.operations)
        sent = (str(MessageFilter(self.messages, self.place)),) if self.messages else ()
        return f"({' '.join((self.action, *names, *map(str, self.filters), *sent))})"


class Unseen(msgspec.Struct, frozen=True):
    """Where rules may come from that are not here: an import without its file, a loop of unknown length."""

    what: str
    place: Place


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """Something that libsandbox would refuse, with what was expected there."""

    place: Place
    message: str
    expected: str


class Program(msgspec.Struct, frozen=True, kw_only=True):
    """An evaluated profile."""

    rules: tuple[Rule, ...]
    unseen: tuple[Unseen, ...] = ()
    problems: tuple[Problem, ...] = ()
    parameters: tuple[str, ...] = ()
    version: int | None = None


def shown(value: object) -> str:
    """A value as a profile would write it."""
    match value:
        case str():
            return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
        case bool():
            return "#t" if value else "#f"
        case Unknown():
            return value.why
        case Word():
            return value.name
        case (_, *_):
            return "a list"
        case _:
            return str(value)
