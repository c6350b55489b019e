"""The machine that profiles run on: values, scopes, calls, and a budget of steps, depth and rules.

Special forms are functions (`forms`, `rulemaking`) that get the machine, the form and the scope. They return
(True, the value) or (False, the expression and the scope to go on with): a call in tail position goes round, not down.
"""

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from binsafe.seatbelt import procedures, vocabulary
from binsafe.seatbelt.budget import EXPECTED, Budget, Exhausted
from binsafe.seatbelt.nodes import Form, Node, Number, Place, Symbol, Text, Truth
from binsafe.seatbelt.program import Filter, Modifier, Operation, Problem, Rule, Unknown, Unseen, Word, shown

Step = tuple[bool, Any]
"""(True, the value), or (False, (the expression, the scope))."""


class Closure(msgspec.Struct, frozen=True):
    """What ``lambda`` and ``(define (name ...) ...)`` make."""

    name: str
    parameters: tuple[str, ...]
    rest: str | None
    body: tuple[Node, ...]
    scope: "Scope"


class Procedure(msgspec.Struct, frozen=True):
    """A procedure of ours, by name."""

    name: str


class FilterName(msgspec.Struct, frozen=True):
    """A filter that was named and not applied."""

    name: str


class Failed(Exception):
    """Evaluating stopped at a place; what follows it at the top level is still looked at."""

    def __init__(self, place: Place, message: str, expected: str) -> None:
        super().__init__(message)
        self.problem = Problem(place=place, message=message, expected=expected)


class Scope:
    """Names and their values, and the scope around them."""

    def __init__(self, outer: "Scope | None" = None) -> None:
        self.names: dict[str, Any] = {}
        self.outer = outer

    def holder(self, name: str) -> "Scope | None":
        """The innermost scope that has the name."""
        scope: Scope | None = self
        while scope is not None and name not in scope.names:
            scope = scope.outer
        return scope


class Run:
    """One evaluation: the budget, the rules so far, and what surrounds the expression that is looked at."""

    def __init__(
        self,
        parameters: Mapping[str, str],
        source: Callable[[str], str | None],
        special: Mapping[str, "Special"],
    ) -> None:
        self.rules: list[Rule] = []
        self.unseen: list[Unseen] = []
        self.problems: list[Problem] = []
        self.used: list[str] = []
        self.version: int | None = None
        self._parameters = parameters
        self.source = source
        self.special = special
        self.importing: list[str] = []
        self.budget = Budget()
        self.doubts: list[str] = []
        self.branches: list[tuple[Place, int]] = []
        self.following: set[Place] = set()
        self.filters: list[Filter] = []
        self.modifiers: list[Modifier] = []
        self.globals = Scope()

    def all(self, nodes: tuple[Node, ...]) -> None:
        """Evaluate top-level expressions, each whatever became of those before it."""
        for node in nodes:
            try:
                self.value(node, self.globals)
            except Failed as failed:
                self.problems.append(failed.problem)
            except Exhausted:
                message = "the profile computes too long to be followed to its end"
                self.problems.append(Problem(place=node.place, message=message, expected=EXPECTED))
                return

    def value(self, node: Node, scope: Scope) -> Any:
        """The value of an expression."""
        self.budget.enter()
        try:
            while True:  # a tail call goes round instead of down
                self.budget.step()
                if not isinstance(node, Form):
                    return self._atom(node, scope)
                done, result = self._form(node, scope)
                if done:
                    return result
                node, scope = result
        finally:
            self.budget.leave()

    def _atom(self, node: Symbol | Text | Number | Truth, scope: Scope) -> Any:
        if not isinstance(node, Symbol):
            return node.value
        holder = scope.holder(node.name)
        if holder is not None:
            return holder.names[node.name]
        known = constant(node)
        if known is None and node.name in self.special:  # somebody may call it later
            return Unknown(f"the value {node.name}")
        if known is None and not self.unseen:
            raise failed(node, f"unknown name {node.name!r}", suggestion(node.name))
        if known is None:  # an import that is not here may define it
            self.unseen.append(Unseen(f"{node.name}, which an import may define", node.place))
            return Unknown(node.name)
        return known

    def _form(self, form: Form, scope: Scope) -> tuple[bool, Any]:
        """(True, the value), or (False, the expression and scope to go on with)."""
        head = form.head
        if not form.items:
            return True, ()
        if head and scope.holder(head) is None:
            special = self.special.get(head)
            if special is not None:
                return special(self, form, scope)
        return self._call(self.value(form.items[0], scope), form, scope)

    def _call(self, called: Any, form: Form, scope: Scope) -> tuple[bool, Any]:
        match called:
            case FilterName():
                return True, self._filter(called.name, form, scope)
            case Closure():
                return False, self.enter(called, tuple(self.value(n, scope) for n in form.items[1:]), form)
            case Procedure():
                return True, self._procedure(called.name, form, [self.value(n, scope) for n in form.items[1:]])
            case Unknown():  # it may make rules, and so may what it is given
                if not self.unseen or self.unseen[-1].place != form.items[0].place:  # a name that is not here was noted
                    self.unseen.append(Unseen(f"a call of what {called.why} decides", form.place))
                self.in_doubt(called, lambda: [self.value(node, scope) for node in form.items[1:]])
                return True, called
            case Operation():
                raise failed(
                    form, f"{called.name} is an operation, not a filter", "expected (allow OPERATION FILTER ...)"
                )
            case _:
                raise failed(form, f"{shown(called)} cannot be called", "expected a filter or a function")

    def enter(self, closure: Closure, arguments: tuple[Any, ...], form: Form) -> tuple[Node, Scope]:
        """The last expression of a function's body with the scope to evaluate it in; the others are evaluated here."""
        expected = len(closure.parameters)
        if len(arguments) < expected or (len(arguments) > expected and closure.rest is None):
            raise failed(form, f"{closure.name} takes {expected} arguments, not {len(arguments)}", "expected as many")
        inner = Scope(closure.scope)
        inner.names.update(zip(closure.parameters, arguments, strict=False))
        if closure.rest is not None:
            inner.names[closure.rest] = arguments[expected:]
        return self.body(closure.body, inner, form)

    def body(self, body: tuple[Node, ...], scope: Scope, form: Form) -> tuple[Node, Scope]:
        """The last expression of a body, to go on with; the others are evaluated here."""
        if not body:
            raise failed(form, "nothing to evaluate", "expected at least one expression")
        for node in body[:-1]:
            self.value(node, scope)
        return body[-1], scope

    def apply(self, called: Any, arguments: tuple[Any, ...], form: Form) -> Any:
        """Call a function from a procedure of ours (for-each, map, apply)."""
        match called:
            case Closure():
                return self.value(*self.enter(called, arguments, form))
            case Procedure():
                return self._procedure(called.name, form, list(arguments))
            case FilterName():
                return self._make_filter(called.name, arguments, form)
            case Unknown():
                self.unseen.append(Unseen(f"a call of what {called.why} decides", form.place))
                return called
            case _:
                raise failed(form, f"{shown(called)} cannot be called", "expected a function")

    def in_doubt(self, why: Unknown, evaluate: Callable[[], object]) -> None:
        """Evaluate what may or may not be evaluated: its rules carry the doubt."""
        self.doubts.append(why.why)
        try:
            evaluate()
        finally:
            self.doubts.pop()

    def _procedure(self, name: str, form: Form, arguments: list[Any]) -> Any:
        match name, arguments:
            case ("param", [str() as wanted]):
                self.used.append(wanted)
                return self._parameters.get(wanted, Unknown(f'(param "{wanted}")'))
            case ("param", _):
                raise failed(form, "param without a name", 'expected (param "NAME")')
            case ("error", _):
                raise failed(form, f"the profile stops here: {' '.join(map(shown, arguments))}", "expected another way")
            case ("for-each" | "map", [called, *lists]):
                unknown = next((each for each in lists if isinstance(each, Unknown)), None)
                if unknown is not None:  # once round shows what it does
                    self.unseen.append(Unseen(f"a loop over what {unknown.why} decides", form.place))
                    self.in_doubt(unknown, lambda: self.apply(called, (unknown,) * len(lists), form))
                    return unknown
                self.budget.made(tuple(lists))
                rows = zip(*(each if isinstance(each, tuple) else () for each in lists), strict=False)
                results = tuple(self.apply(called, row, form) for row in rows)
                return results if name == "map" else ()
            case ("apply", [called, *rest]) if rest and isinstance(rest[-1], tuple):
                self.budget.made(rest[-1])
                return self.apply(called, (*rest[:-1], *rest[-1]), form)
        if name in procedures.COMPARING:
            self.budget.made(tuple(arguments))
        try:
            result = procedures.call(name, tuple(arguments))
        except (procedures.ProcedureError, KeyError) as problem:
            raise failed(form, f"{name} does not take this", str(problem)) from None
        if name in procedures.MAKING:
            self.budget.made(result)
        return result

    def _filter(self, name: str, form: Form, scope: Scope) -> Filter:
        arguments = tuple(
            Word(node.name)
            if isinstance(node, Symbol)
            and scope.holder(node.name) is None
            and vocabulary.canonical(node.name) not in _NAMED
            else self.value(node, scope)
            for node in form.items[1:]
        )
        return self._make_filter(name, arguments, form)

    def _make_filter(self, name: str, arguments: tuple[Any, ...], form: Form) -> Filter:
        flat = tuple(item for each in arguments for item in (each if isinstance(each, tuple) else (each,)))
        self.budget.made(flat)
        for argument in flat:
            if not isinstance(argument, str | int | bool | Unknown | Word | Filter):
                raise failed(form, f"{shown(argument)} is nothing that {name} takes", "expected what the filter takes")
            if name.endswith("-regex") and isinstance(argument, str):
                self.budget.pattern(argument)
        return Filter(name, flat, form.place)


def failed(node: Node, message: str, expected: str) -> Failed:
    """The exception to raise where an expression means nothing."""
    return Failed(node.place, message, expected)


_NAMED = frozenset((*vocabulary.FILTERS, *vocabulary.COMBINING)) - {"xattr"}
_PROCEDURES = frozenset(
    (*procedures.ON_KNOWN_VALUES, *procedures.ON_ALL_VALUES, "param", "getenv", "error", "for-each", "map", "apply")
)


def constant(node: Symbol) -> Any:
    """What a name means where nobody defined it; None where it means nothing."""
    name = vocabulary.canonical(node.name)
    if name in vocabulary.OPERATIONS:
        return Operation(name, node.place)
    if name in vocabulary.FILTERS or name in vocabulary.COMBINING:
        return FilterName(name)
    if name in _PROCEDURES:
        return Procedure("param" if name == "getenv" else name)
    return None


def suggestion(name: str) -> str:
    """What somebody may have meant by an unknown name."""
    from difflib import get_close_matches  # only where something is wrong

    close = get_close_matches(
        name, [*vocabulary.OPERATIONS, *vocabulary.FILTERS, *vocabulary.ALIASES], n=1, cutoff=0.75
    )
    return f"did you mean {close[0]}?" if close else "expected an operation, a filter or something defined before"


Special = Callable[[Run, Form, Scope], Step]
"""A special form."""
