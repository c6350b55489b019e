"""Nodes -> the rules that they come to: the part of Scheme that profiles are written in, on a budget.

A profile is a program: it may emit its rules from a loop, a helper or a branch, so whoever reads only the text misses
them. What depends on something that is not known here (a parameter that was not given) is followed both ways, and the
rules found there carry the doubt. Nothing is read, written or started; imports come through a function.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

from binsafe.seatbelt import forms, machine, rulemaking, vocabulary
from binsafe.seatbelt.nodes import Node
from binsafe.seatbelt.program import Program


def nothing_here(name: str) -> str | None:
    """The source of imports where there is none."""
    del name
    return None


def evaluate(
    nodes: tuple[Node, ...],
    parameters: Mapping[str, str] | None = None,
    source: Callable[[str], str | None] = nothing_here,
) -> Program:
    """The program that a profile's expressions come to. Never raises: what fails is one of the program's problems.

    ``parameters`` are those of ``sandbox-exec -D``; ``source`` gives the text of an import, or None.
    """
    run = machine.Run(parameters or {}, source, SPECIAL)
    run.all(nodes)
    return Program(
        rules=tuple(run.rules),
        unseen=tuple(dict.fromkeys(run.unseen)),
        problems=tuple(dict.fromkeys(run.problems)),
        parameters=tuple(dict.fromkeys(run.used)),
        version=run.version,
    )


SPECIAL: Final[Mapping[str, machine.Special]] = MappingProxyType(
    {
        "allow": rulemaking.rule,
        "deny": rulemaking.rule,
        "apply-message-filter": rulemaking.message_filter,
        "with": rulemaking.with_,
        "with-filter": rulemaking.around,
        "with-modifier": rulemaking.around,
        "import": rulemaking.import_,
        "load": rulemaking.import_,
        "if": forms.if_,
        "when": forms.when,
        "unless": forms.when,
        "cond": forms.cond,
        "case": forms.case,
        "and": forms.both_of,
        "or": forms.both_of,
        "begin": forms.begin,
        "quote": forms.quote,
        "define": forms.define,
        "define-once": forms.define,
        "lambda": forms.lambda_,
        "let": forms.let,
        "let*": forms.let,
        "letrec": forms.let,
        "set!": forms.set_,
        "defined?": forms.defined,
        "macro": forms.not_followed,
        "define-macro": forms.not_followed,
        "define-syntax": forms.not_followed,
        "quasiquote": forms.not_followed,
        "do": forms.not_followed,
        **dict.fromkeys(vocabulary.DIRECTIVES, rulemaking.directive),
    }
)
"""Name -> the special form."""
