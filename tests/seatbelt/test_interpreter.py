"""Evaluating: the rules that loops, helpers and branches come to; what is not known stays in doubt."""

import time

import pytest
from sample_profiles import ALL

from binsafe.seatbelt import evaluate, read


def rules(text: str, **parameters: str):
    program = evaluate(read(text), parameters)
    assert program.problems == ()
    return [str(rule) for rule in program.rules]


@pytest.mark.parametrize("name", ALL)
def test_profiles_in_the_manner_of_shipped_ones_evaluate_without_a_problem(name: str):
    program = evaluate(read(ALL[name]))
    assert program.problems == ()
    assert program.version == 1
    assert program.rules


def test_a_loop_emits_its_rules():
    loop = (
        "(let loop ((port 4000)) (when (< port 4100)"
        ' (allow network-bind (local tcp (string-append "localhost:" (number->string port)))) (loop (+ port 1))))'
    )
    found = rules(loop)
    assert len(found) == 100
    assert found[-1] == '(allow network-bind (local tcp "localhost:4099"))'


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("(for-each (lambda (p) (allow signal (target p))) '(self))", "(allow signal (target self))"),
        ('(define (f . all) (apply literal all)) (allow lsopen (f "/a" "/b"))', '(allow lsopen (path "/a" "/b"))'),
        ("""(allow lsopen (apply literal "/a" '("/b")))""", '(allow lsopen (path "/a" "/b"))'),
        (
            """(allow lsopen (apply literal (map string-append '("/a" "/c") '("/b" "/d"))))""",
            '(allow lsopen (path "/a/b" "/c/d"))',
        ),
        ('(define x "/a") (set! x "/b") (allow file-read* (literal x))', '(allow file-read* (path "/b"))'),
        ("(cond (#f (allow signal)) ((= 1 2) (allow default)) (else (deny default)))", "(deny default)"),
        ("(case 'b ((a) (allow signal)) ((c b) (deny default)) (else (allow default)))", "(deny default)"),
        ("(case (+ 1 1) ((1 3) (allow signal)) (else (deny default)))", "(deny default)"),
        ('(case "b" (("b") (allow signal)) (else (deny default)))', "(deny default)"),  # two texts are two things
        ("(case 0 ((#f) (allow signal)) ((0) (deny default)) (else (allow default)))", "(deny default)"),
        ("(case #t ((1) (allow signal)) (else (deny default)))", "(deny default)"),
        ("(case 'x ((a) (allow signal))) (deny default)", "(deny default)"),
        ("(if (and #t (or #f (not #f))) (deny default) (allow default))", "(deny default)"),
        ('(let* ((a "/a") (b (string-append a "/b"))) (allow lsopen (subpath b)))', '(allow lsopen (subpath "/a/b"))'),
        ('(with-filter (extension "e") (allow signal))', '(allow signal (extension "e"))'),
        (
            '(with-filter (extension "e") (allow file-read* (literal "/a")))',
            '(allow file-read* (require-all (require-any (path "/a")) (extension "e")))',
        ),
        ('(allow file-read* (literal (param "P")))', '(allow file-read* (path "/given"))'),
        ('(define-once x "/a") (define-once x "/b") (allow lsopen (literal x))', '(allow lsopen (path "/a"))'),
        (
            '(define-once (f a) (subpath a)) (define-once (f a) (literal a)) (allow lsopen (f "/a"))',
            '(allow lsopen (subpath "/a"))',
        ),
        ('(allow system-fsctl (fsctl-command (_IO "h" 47)))', "(allow system-fsctl (fsctl-command 536897583))"),
    ],
)  # fmt: skip
def test_scheme_is_evaluated_to_the_rules_that_it_makes(text: str, expected: str):
    assert rules(text, P="/given") == [expected]


def test_a_parameter_that_is_not_given_is_followed_both_ways():
    text = '(if (param "OPEN") (allow network-outbound) (deny network-outbound))'
    program = evaluate(read(text))
    assert [(rule.action, rule.doubt) for rule in program.rules] == [
        ("allow", '(param "OPEN")'),
        ("deny", '(param "OPEN")'),
    ]
    assert program.parameters == ("OPEN",)
    assert [rule.doubt for rule in evaluate(read(text), {"OPEN": "1"}).rules] == [None]


def test_a_name_that_two_branches_define_differently_is_unknown_afterwards():
    text = '(define a "/x") (if (param "P") (define a "/y")) (allow file-read* (subpath a))'
    assert rules(text) == ['(allow file-read* (subpath (param "P")))']


def test_a_loop_of_unknown_length_is_followed_once_and_noted():
    program = evaluate(read('(define (f i) (if (< i (param "N")) (begin (allow signal) (f (+ i 1))))) (f 0)'))
    assert len(program.rules) == 1
    assert "a loop" in program.unseen[0].what


@pytest.mark.parametrize(
    ("text", "message", "expected"),
    [
        ("(allow file-red*)", "unknown name 'file-red*'", "file-read*?"),
        ("(alow default)", "unknown name 'alow'", "expected"),
        ("(allow)", "without an operation", "OPERATION"),
        ('(allow file-read* "/a")', "is no filter", "filters"),
        ('(allow (literal "/a") file-read*)', "is no filter", "operations, then filters"),
        ("(allow default (with no-loog))", "unknown modifier", "no-report"),
        ("(allow file-read* (file-read-data))", "is an operation, not a filter", "FILTER"),
        ("(version 9)", "version", "(version 1)"),
        ('(string-append "a" 1)', "string-append does not take this", "expected a string"),
        ('(substring "abc" 2 9)', "substring", "inside the string"),
        ("(if)", "branches", "TEST"),
        ("(f)", "unknown name", "expected"),
        ('(error "no")', "stops here", "another way"),
        ('("a")', "cannot be called", "function"),
        ("(import 1)", "import of", "NAME.sb"),
        ("(define)", "without a name", "NAME"),
        ("((lambda (x) x))", "takes 1", "as many"),
    ],
)  # fmt: skip
def test_problems_name_their_place_and_the_rest_is_still_seen(text: str, message: str, expected: str):
    program = evaluate(read(text + "\n(deny default)"))
    (problem,) = program.problems
    assert message in problem.message
    assert expected in problem.expected
    assert problem.place.line == 1
    assert [str(rule) for rule in program.rules][-1] == "(deny default)"


_TWICE = "(define (twice f x n) (if (= n 0) x (twice f (f x x) (- n 1))))"
_MANY = f"{_TWICE} (define many (twice append '(1) 15))"


@pytest.mark.parametrize(
    "text",
    [
        "(define (f) (f)) (f)",
        "(define (f x) (+ 1 (f x))) (f 1)",
        '(define (f s) (f (string-append s s))) (f "ab")',
        "(define (f l) (f (append l l))) (f '(1 2))",
        "(define (f n) (f (* n n))) (f 9)",
        "(let loop () (allow signal) (loop))",
        "(define (f) (for-each (lambda (x) (f)) '(1 2 3 4 5 6 7 8))) (f)",
        f"{_TWICE} (equal? (twice list '(1) 40) (twice list '(1) 40))",
        f"{_TWICE} (error (twice list '(1) 40))",
        f"{_TWICE} (string-append (twice list '(1) 40))",
        f"{_MANY} (let loop () (allow file-read* (literal many)) (loop))",
        f"{_MANY} (let loop () (equal? many (reverse many)) (loop))",
        f"{_MANY} (let loop () (for-each zero? many) (loop))",
        f"{_MANY} (let loop () (apply = many) (loop))",
        f'{_TWICE} (define s (twice string-append "ab" 14)) (let loop ((l \'())) (loop (cons (substring s 1) l)))',
    ],
)
def test_a_profile_that_computes_for_ever_costs_no_more_than_the_budget(text: str):
    before = time.process_time()
    (problem,) = evaluate(read(text)).problems
    assert time.process_time() - before < 20  # the processor's: others may use it as well
    assert "too long" in problem.message or "does not take this" in problem.message


def test_what_a_macro_makes_is_not_known():
    program = evaluate(read("(version 1) (macro (m form) `(allow ,@(cdr form))) (deny default) (m signal)"))
    assert program.problems == ()
    assert [each.what for each in program.unseen] == ["macro, which is not followed", "a call of what m decides"]


def test_what_a_rule_that_is_given_to_a_function_makes_is_not_known():
    program = evaluate(
        read("(version 1) (deny default) (apply allow (list 'signal)) (map deny '(lsopen)) (allow signal)")
    )
    assert program.problems == ()
    assert [each.what.split()[-2] for each in program.unseen] == ["allow", "deny"]
    assert len(program.rules) == 2


def test_a_name_that_only_an_import_could_define_is_unknown_and_not_wrong():
    program = evaluate(read('(import "system.sb") (system-network) (allow file-read* (home-subpath "/x"))'))
    assert program.problems == ()
    assert [each.what.split(",")[0] for each in program.unseen] == [
        "import system.sb",
        "system-network",
        "home-subpath",
    ]
    (problem,) = evaluate(read('(import "system.sb") (allow file-red* (literal "/x"))')).problems
    assert "file-red*" in problem.message


def test_imports_come_through_a_function_and_are_noted_where_it_has_none():
    text = '(import "a.sb") (import "b.sb") (allow signal (f))'
    texts = {"a.sb": '(import "a.sb") (define (f) (target self))'}
    program = evaluate(read(text), source=texts.get)
    assert [str(rule) for rule in program.rules] == ["(allow signal (target self))"]
    assert [each.what for each in program.unseen] == ["import a.sb", "import b.sb"]
    (problem,) = evaluate(read('(import "a.sb")'), source={"a.sb": "(x"}.get).problems
    assert "a.sb:1:1" in problem.message
