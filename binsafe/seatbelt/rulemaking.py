"""The special forms that make rules, and the statements around them: versions, imports, modifiers, ``with-filter``."""

from typing import Any

from binsafe.seatbelt import vocabulary
from binsafe.seatbelt.machine import MAX_RULES, Exhausted, Failed, Run, Scope, Step, failed, suggestion
from binsafe.seatbelt.nodes import Form, Number, Symbol
from binsafe.seatbelt.program import Filter, Modifier, Operation, Rule, Unknown, Unseen, shown
from binsafe.seatbelt.reader import SyntaxProblem, read


def directive(run: Run, form: Form, scope: Scope) -> Step:
    """A statement that makes no rule; ``(version N)`` is remembered."""
    del scope
    if form.head == "version":
        match form.items[1:]:
            case (Number(1 | 2 | 3 as number),):
                run.version = run.version or number
            case _:
                raise failed(form, "a version that no release has", "expected (version 1)")
    return True, ()


def import_(run: Run, form: Form, scope: Scope) -> Step:
    """``(import NAME)``: evaluated where its text is here, noted where not."""
    names = [run.value(node, scope) for node in form.items[1:]]
    if len(names) != 1 or not isinstance(names[0], str | Unknown):
        raise failed(form, "import of not exactly one file", 'expected (import "NAME.sb")')
    name = names[0] if isinstance(names[0], str) else names[0].why
    text = run.source(name) if isinstance(names[0], str) and name not in run.importing else None
    if text is None:
        run.unseen.append(Unseen(f"import {name}", form.place))
        return True, ()
    run.importing.append(name)
    try:
        for node in read(text, name):
            run.value(node, run.globals)
    except SyntaxProblem as problem:
        raise failed(form, f"{name} cannot be read: {problem}", problem.hint) from None
    except Failed as stopped:
        raise failed(
            form, f"{name}:{stopped.problem.place}: {stopped.problem.message}", stopped.problem.expected
        ) from None
    finally:
        run.importing.pop()
    return True, ()


def rule(run: Run, form: Form, scope: Scope) -> Step:
    """``(allow OPERATION ... FILTER ...)`` and ``deny``."""
    operations: list[Operation] = []
    filters: list[Filter] = []
    modifiers = list(run.modifiers)
    for node in form.items[1:]:
        value = run.value(node, scope)
        match value:
            case Operation() if not filters:
                operations.append(Operation(value.name, node.place))
            case Filter():
                filters.append(value)
            case Modifier():
                modifiers.append(value)
            case Unknown() if not operations:
                raise failed(node, f"{value.why} is no operation that is known here", suggestion(value.why))
            case Unknown():
                filters.append(Filter("require-all", (value,), node.place))
            case _:
                raise failed(node, f"{shown(value)} is no filter", "expected operations, then filters and (with ...)")
    if not operations:
        raise failed(form, f"{form.head} without an operation", f"expected ({form.head} OPERATION FILTER ...)")
    for extra in run.filters:
        filters = (
            [Filter("require-all", (Filter("require-any", tuple(filters), form.place), extra), form.place)]
            if filters
            else [extra]
        )
    if len(run.rules) >= MAX_RULES:
        raise Exhausted
    run.rules.append(
        Rule(
            action=form.head,
            operations=tuple(operations),
            filters=tuple(filters),
            modifiers=tuple(modifiers),
            place=form.place,
            doubt=run.doubts[-1] if run.doubts else None,
            branches=tuple(run.branches),
        )
    )
    return True, ()


def with_(run: Run, form: Form, scope: Scope) -> Step:
    """``(with MODIFIER ...)``."""
    match form.items[1:]:
        case (Symbol(name), *rest):
            known = vocabulary.canonical(name)
            if known not in vocabulary.MODIFIERS:
                raise failed(form, f"unknown modifier {name!r}", f"expected one of {', '.join(vocabulary.MODIFIERS)}")
            for node in rest:
                if not isinstance(node, Symbol):
                    run.value(node, scope)
            return True, Modifier(known, form.place)
        case _:
            raise failed(form, "with without a modifier", "expected (with NAME ...)")


def around(run: Run, form: Form, scope: Scope) -> Step:
    """``(with-filter FILTER RULE ...)`` and ``(with-modifier MODIFIER RULE ...)``."""
    if len(form.items) < 2:  # the word and the filter
        raise failed(form, f"{form.head} of nothing", f"expected ({form.head} FILTER RULE ...)")
    value = run.value(form.items[1], scope)
    stack: list[Any] = run.filters if form.head == "with-filter" else run.modifiers
    if not isinstance(value, Filter if form.head == "with-filter" else Modifier):
        raise failed(form, f"{shown(value)} is not what {form.head} takes", "expected a filter or (with ...)")
    stack.append(value)
    try:
        for node in form.items[2:]:
            run.value(node, scope)
    finally:
        stack.pop()
    return True, ()
