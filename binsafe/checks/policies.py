"""Checks a policy against the baseline that it names: whoever writes calls into it by hand leaves what was reviewed.

The walls stand in any case (`policy.reading`); beyond the cap, a person may grant what they answer for.
"""

import re
from collections.abc import Callable, Iterator
from typing import Final

from binsafe.errors import BaselineError
from binsafe.model import Condition, Grant, Policy
from binsafe.policy.baseline import Baseline
from binsafe.policy.conditions import multiply_out
from binsafe.policy.jsonnodes import line_and_column, offset_of, read_json
from binsafe.policy.walls import ALWAYS
from binsafe.seatbelt.findings import Finding, warning
from binsafe.seatbelt.nodes import Place

_NAME: Final = re.compile(r"[a-z][a-z0-9_]*(?:\+[a-z][a-z0-9_]*)*")
"""Shipped baselines, joined where policies were. Other names are no business of a file's: they would choose a path."""


def beyond_the_cap(text: str, policy: Policy, find: Callable[[str], Baseline]) -> Iterator[Finding]:
    """A warning at each call that no baseline of the policy's lets be granted so; none where those are not known."""
    if _NAME.fullmatch(policy.baseline) is None:
        return
    try:
        caps = [grant for name in policy.baseline.split("+") for group in find(name).calls for grant in group.grants]
    except BaselineError:
        return
    root = read_json(text)
    for index, grant in enumerate(policy.grants):
        if grant.kind == "syscall" and grant.object not in ALWAYS and not _held(grant, caps):
            place = Place(*line_and_column(text, offset_of(root, f"$.grants[{index}]")))
            what = f"{grant.object} is granted beyond what the baseline {policy.baseline} lets a program have"
            yield warning(place, what, "expected it left out, or a reason why it harms nothing")


def _held(grant: Grant, caps: list[Grant]) -> bool:
    """Whether every form of a call meets the conditions of one of the caps."""
    alternatives = [cap.when for cap in caps if cap.object == grant.object]
    return all(any(_meets(form, wanted) for wanted in alternatives) for form in multiply_out(grant.when))


def _meets(form: tuple[Condition, ...], wanted: tuple[Condition, ...]) -> bool:
    """Whether single values of arguments meet each test; those without a value may be anything."""
    return all(
        any(
            own.argument == test.argument and not test.mask & ~own.mask and own.values[0] & test.mask in test.values
            for own in form
        )
        for test in wanted
    )
