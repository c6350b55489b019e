"""The special forms that decide what is evaluated: branches, definitions, functions, bindings.

A branch whose test is not known is followed both ways; what it comes to carries the doubt.
"""

from collections.abc import Iterator
from typing import Any, Final

from binsafe.seatbelt.machine import Closure, Run, Scope, Step, constant, failed
from binsafe.seatbelt.nodes import Form, Node, Symbol, Truth
from binsafe.seatbelt.program import Unknown, Unseen, Word

_MACROS: Final = frozenset({"macro", "define-macro", "define-syntax"})


def if_(run: Run, form: Form, scope: Scope) -> Step:
    """``(if TEST THEN ELSE)``."""
    if len(form.items) not in (3, 4):
        raise failed(form, "if without its branches", "expected (if TEST THEN ELSE)")
    _, test, *branches = form.items
    return _branch(run, run.value(test, scope), [(node,) for node in branches], form, scope)


def when(run: Run, form: Form, scope: Scope) -> Step:
    """``(when TEST BODY ...)`` and ``unless``."""
    if len(form.items) < 3:  # the word, the test, a body
        raise failed(form, f"{form.head} without a body", f"expected ({form.head} TEST EXPRESSION ...)")
    test = run.value(form.items[1], scope)
    if form.head == "unless":
        test = test if isinstance(test, Unknown) else test is False
    return _branch(run, test, [form.items[2:]], form, scope)


def _branch(run: Run, test: Any, bodies: list[tuple[Node, ...]], form: Form, scope: Scope) -> Step:
    if isinstance(test, Unknown):
        return True, _both(run, test, bodies, form, scope)
    chosen = bodies[0] if test is not False else bodies[1] if len(bodies) > 1 else ()
    return (False, run.body(chosen, scope, form)) if chosen else (True, ())


def _both(run: Run, test: Unknown, bodies: list[tuple[Node, ...]], form: Form, scope: Scope) -> Any:
    """Follow each branch from the same beginning; names that come out differently are unknown afterwards."""
    if form.place in run.following:  # a loop that nobody can say the end of: once round shows what it does
        run.unseen.append(Unseen(f"a loop that ends by {test.why}", form.place))
        return test
    before, outcomes, results = dict(scope.names), [], []
    depth = len(run.branches)
    run.doubts.append(test.why)
    run.following.add(form.place)
    try:
        for number, body in enumerate(bodies):
            scope.names = dict(before)
            run.branches[depth:] = [(form.place, number)]
            results.append(run.value(*run.body(body, scope, form)))
            outcomes.append(scope.names)
    finally:
        run.doubts.pop()
        del run.branches[depth:]
        run.following.discard(form.place)
    if len(bodies) == 1:
        outcomes.append(before)
        results.append(())
    missing = object()
    scope.names = {
        name: first if first is second or first == second else test
        for name in dict.fromkeys((*outcomes[0], *outcomes[1]))
        for first, second in [(outcomes[0].get(name, missing), outcomes[1].get(name, missing))]
    }
    return results[0] if results[0] == results[1] else test


def cond(run: Run, form: Form, scope: Scope) -> Step:
    """``(cond (TEST BODY ...) ... (else BODY ...))``."""
    clauses = form.items[1:]
    for index, clause in enumerate(clauses):
        if not isinstance(clause, Form) or not clause.items:
            raise failed(clause, "a clause of cond without a test", "expected (TEST EXPRESSION ...)")
        test = clause.head == "else" or run.value(clause.items[0], scope)
        body = clause.items[1:]
        if isinstance(test, Unknown):
            rest = Form((form.items[0], *clauses[index + 1 :]), clause.place)
            return True, _both(run, test, [body or (clause.items[0],), (rest,)], form, scope)
        if test is not False:
            return (False, run.body(body, scope, clause)) if body else (True, test)
    return True, ()


def case(run: Run, form: Form, scope: Scope) -> Step:
    """``(case KEY ((DATUM ...) BODY ...) ... (else BODY ...))``; two texts are never the same one (``eqv?``)."""
    key = run.value(form.items[1], scope) if len(form.items) > 1 else ()
    if isinstance(key, Unknown):
        return not_followed(run, form, scope)
    for clause in form.items[2:]:
        match clause:
            case Form((Symbol("else") | Form() as data, *body)) if body:
                if not isinstance(data, Form) or any(_is_key(key, _quoted(datum)) for datum in data.items):
                    return False, run.body(tuple(body), scope, form)
            case _:
                raise failed(
                    clause, "a clause of case without data and a body", "expected ((DATUM ...) EXPRESSION ...)"
                )
    return True, ()


def _is_key(key: Any, datum: Any) -> bool:
    return not isinstance(key, str) and type(key) is type(datum) and bool(key == datum)  # 0 is not #f


def both_of(run: Run, form: Form, scope: Scope) -> Step:
    """``and`` and ``or``: what stands behind an unknown part may not be evaluated at all."""
    ends_by_false = form.head == "and"
    result: Any = ends_by_false
    for number, node in enumerate(form.items[1:], 2):
        result = run.value(node, scope)
        if isinstance(result, Unknown) and number < len(form.items):
            rest = Form((form.items[0], *form.items[number:]), node.place)
            ended = Truth(not ends_by_false, node.place)
            return True, _both(run, result, [(ended,), (rest,)], form, scope)
        if not isinstance(result, Unknown) and (result is False) == ends_by_false:
            return True, result
    return True, result


def begin(run: Run, form: Form, scope: Scope) -> Step:
    """``(begin EXPRESSION ...)``."""
    return (False, run.body(form.items[1:], scope, form)) if len(form.items) > 1 else (True, ())


def _quoted(node: Node) -> Any:
    """The value of ``(quote NODE)``; a name becomes a word."""
    match node:
        case Form(items):
            return tuple(_quoted(item) for item in items)
        case Symbol(name):
            return Word(name)
        case _:
            return node.value


def quote(run: Run, form: Form, scope: Scope) -> Step:
    """``(quote EXPRESSION)``."""
    del run, scope
    if len(form.items) != 2:  # the word and what it quotes
        raise failed(form, "quote of not exactly one expression", "expected (quote EXPRESSION)")
    return True, _quoted(form.items[1])


def define(run: Run, form: Form, scope: Scope) -> Step:
    """``(define NAME VALUE)`` and ``(define (NAME PARAMETER ...) BODY ...)``; ``define-once`` does not define again."""
    match form.items[1:]:
        case (Symbol(name) | Form((Symbol(name), *_)), *_) if form.head == "define-once" and scope.holder(name):
            return True, ()
        case (Symbol(name), value):
            scope.names[name] = run.value(value, scope)
        case (Form((Symbol(name), *parameters)), *body) if body:
            scope.names[name] = _closure(name, tuple(parameters), tuple(body), scope, form)
        case _:
            raise failed(form, "define without a name and a value", "expected (define NAME VALUE)")
    return True, ()


def lambda_(run: Run, form: Form, scope: Scope) -> Step:
    """``(lambda (PARAMETER ...) BODY ...)``."""
    del run
    match form.items[1:]:
        case (Form(parameters), *body) if body:
            return True, _closure("this function", parameters, tuple(body), scope, form)
        case (Symbol(rest), *body) if body:
            return True, Closure("this function", (), rest, tuple(body), scope)
        case _:
            raise failed(form, "lambda without parameters and a body", "expected (lambda (NAME ...) EXPRESSION ...)")


def _closure(name: str, parameters: tuple[Node, ...], body: tuple[Node, ...], scope: Scope, form: Form) -> Closure:
    names = [parameter.name for parameter in parameters if isinstance(parameter, Symbol)]
    if len(names) != len(parameters):
        raise failed(form, "a parameter that is no name", "expected names")
    rest = None
    if "." in names:
        names, rest = names[: names.index(".")], names[-1]
    return Closure(name, tuple(names), rest, body, scope)


def let(run: Run, form: Form, scope: Scope) -> Step:
    """``let``, ``let*``, ``letrec``, and the named one that loops are made of."""
    match form.items[1:]:
        case (Symbol(name), Form(bindings), *body) if body:
            loop = Scope(scope)
            names = tuple(_bindings(bindings, form))
            symbols = tuple(Symbol(each, form.place) for each, _ in names)
            loop.names[name] = _closure(name, symbols, tuple(body), loop, form)
            values = tuple(run.value(node, scope) for _, node in names)
            return False, run.enter(loop.names[name], values, form)
        case (Form(bindings), *body) if body:
            inner = Scope(scope)
            for name, node in _bindings(bindings, form):
                inner.names[name] = run.value(node, scope if form.head == "let" else inner)
            return False, run.body(tuple(body), inner, form)
        case _:
            raise failed(form, f"{form.head} without bindings and a body", f"expected ({form.head} ((NAME VALUE)) ...)")


def _bindings(bindings: tuple[Node, ...], form: Form) -> Iterator[tuple[str, Node]]:
    for binding in bindings:
        match binding:
            case Form((Symbol(name), value)):
                yield name, value
            case _:
                raise failed(form, "a binding that is none", "expected (NAME VALUE)")


def set_(run: Run, form: Form, scope: Scope) -> Step:
    """``(set! NAME VALUE)``; under doubt the name is unknown afterwards."""
    match form.items[1:]:
        case (Symbol(name), value):
            holder = scope.holder(name)
            if holder is None:
                raise failed(form, f"{name} is set before it is defined", f"expected (define {name} ...) before")
            new = run.value(value, scope)
            holder.names[name] = Unknown(run.doubts[-1]) if run.doubts else new
            return True, ()
        case _:
            raise failed(form, "set! without a name and a value", "expected (set! NAME VALUE)")


def defined(run: Run, form: Form, scope: Scope) -> Step:
    """``(defined? 'NAME)``: whether this release's language has it; we know the newest one's."""
    if len(form.items) != 2:  # the word and the name
        raise failed(form, "defined? of not exactly one name", "expected (defined? 'NAME)")
    node = form.items[1]
    name = node.items[1] if isinstance(node, Form) and node.head == "quote" and len(node.items) > 1 else node
    if not isinstance(name, Symbol):
        return True, Unknown("a name that is put together")
    return True, scope.holder(name.name) is not None or constant(name) is not None or name.name in run.special


def not_followed(run: Run, form: Form, scope: Scope) -> Step:
    """Macros rewrite the program itself: what they make is not known here, whatever their names mean without them."""
    match form.items[1:]:
        case (Symbol(name) | Form((Symbol(name), *_)), *_) if form.head in _MACROS:
            scope.names[name] = Unknown(name)
    run.unseen.append(Unseen(f"{form.head}, which is not followed", form.place))
    return True, Unknown(form.head)
