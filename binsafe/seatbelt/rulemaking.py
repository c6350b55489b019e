"""The special forms that make rules, and the statements around them: versions, imports, modifiers, ``with-filter``."""

from typing import Any

from binsafe.seatbelt import vocabulary
from binsafe.seatbelt.machine import Failed, Run, Scope, Step, failed, suggestion
from binsafe.seatbelt.nodes import Form, Number, Symbol
from binsafe.seatbelt.program import Filter, MessageFilter, Modifier, Operation, Rule, Unknown, Unseen, shown
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
    messages: list[Rule] = []
    for node in form.items[1:]:
        value = run.value(node, scope)
        match value:
            case Operation() if not filters:
                operations.append(Operation(value.name, node.place))
            case Filter():
                filters.append(value)
            case Modifier():
                modifiers.append(value)
            case MessageFilter() if form.head == "allow":
                messages += value.rules
            case Unknown() if not operations:
                raise failed(node, f"{value.why} is no operation that is known here", suggestion(value.why))
            case Unknown():
                filters.append(Filter("require-all", (value,), node.place))
            case _:
                raise failed(node, f"{shown(value)} is no filter", "expected operations, then filters and (with ...)")
    if not operations:
        raise failed(form, f"{form.head} without an operation", f"expected ({form.head} OPERATION FILTER ...)")
    run.budget.rule(len(run.rules))
    run.rules.append(
        Rule(
            action=form.head,
            operations=tuple(operations),
            filters=_with_those_around(run, tuple(filters), form),
            modifiers=tuple(modifiers),
            place=form.place,
            messages=tuple(messages),
            doubt=run.doubts[-1] if run.doubts else None,
            branches=tuple(run.branches),
        )
    )
    return True, ()


def _with_those_around(run: Run, filters: tuple[Filter, ...], form: Form) -> tuple[Filter, ...]:
    """A rule's filters under each ``(with-filter ...)`` that it stands in."""
    for extra in run.filters:
        both = (Filter("require-any", filters, form.place), extra)
        filters = (Filter("require-all", both, form.place),) if filters else (extra,)
    return filters


def message_filter(run: Run, form: Form, scope: Scope) -> Step:
    """``(apply-message-filter RULE ...)``: its rules count for the rule that it stands in, and for nothing else."""
    before, around_it, run.filters = len(run.rules), run.filters, []
    try:
        for node in form.items[1:]:
            value = run.value(node, scope)
            if value != () and not isinstance(value, Modifier):
                raise failed(node, f"{shown(value)} is no rule", "expected (allow ...), (deny ...) and (with ...)")
        inside = tuple(run.rules[before:])
    finally:
        del run.rules[before:]
        run.filters = around_it
    for operation in (operation for rule in inside for operation in rule.operations):
        if operation.name not in vocabulary.MESSAGES:
            message = f"{operation.name} in a message filter"
            raise Failed(operation.place, message, f"expected one of {', '.join(sorted(vocabulary.MESSAGES))}")
    return True, MessageFilter(inside, form.place)


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
