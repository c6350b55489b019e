"""SBPL read back: a profile for macOS's Seatbelt as rules, what is wrong with it, and what it would allow. Pure.

    nodes        what a text is made of, each with line and column
    reader       text -> nodes
    vocabulary   operations, filters and modifiers, with the release they came in
    procedures   what Scheme offers that profiles use
    interpreter  nodes -> program: the rules that loops, helpers and branches come to (machine, forms, rulemaking)
    budget       what that may cost
    pattern      regular expressions in linear time
    matching     whether a filter matches an object
    checking     program -> findings; holes: those that compile and mislead
    asking       program + operation + object -> allowed, denied or unknown, and by which rule

>>> program = evaluate(read('(version 1)(deny default)(allow network-outbound (local ip))'))
>>> ask(program, "network-outbound", "192.0.2.1:443").verdict
'allowed'
"""

from binsafe.seatbelt.asking import Answer, ask
from binsafe.seatbelt.checking import check
from binsafe.seatbelt.findings import Finding, Level
from binsafe.seatbelt.interpreter import evaluate
from binsafe.seatbelt.program import Program, Rule
from binsafe.seatbelt.reader import SyntaxProblem, read

__all__ = ["Answer", "Finding", "Level", "Program", "Rule", "SyntaxProblem", "ask", "check", "evaluate", "read"]
