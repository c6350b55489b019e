"""Two policies for the same bytes -> one: what either grants, or only what both do.

`merge` joins the policies of several runs of one program; `tighten` holds a derived policy to one that was written by
hand. Neither grants anything that neither side granted.
"""

from collections.abc import Iterable, Iterator

import msgspec

from binsafe.errors import UsageError
from binsafe.model import Condition, Denial, Grant, Policy
from binsafe.policy.conditions import MAX_TEXT, MAX_VALUES, as_text, multiply_out

_HELD_BY = {"read": ("read", "write"), "write": ("write",), "execute": ("execute",)}
"""Kind of a grant on files -> the kinds that hold it: writing includes reading."""


def merge(first: Policy, second: Policy) -> Policy:
    """A policy with the grants of both. Where both set a limit or a variable, the first one's value is kept.

    What both list as denied stays denied.

    Raises:
        UsageError: the policies are for different bytes.
    """
    _same_program(first, second)
    grants: dict[tuple[object, ...], Grant] = {}
    for grant in (*first.grants, *second.grants):
        if not any(_includes(other, grant) for other in grants.values()):
            valued = grant.kind in {"limit", "environment"}
            key = (grant.kind, grant.object, () if valued else grant.when)
            mapped = grant.kind == "read" and grant.access  # as code, besides: it is read in any case
            if key not in grants or (mapped and not grants[key].access):
                grants[key] = grant
    kept = tuple(g for g in grants.values() if not any(o is not g and _includes(o, g) for o in grants.values()))
    refused = {denial.capability for denial in second.denied}
    return _made(first, second, kept, (denial for denial in first.denied if denial.capability in refused))


def tighten(first: Policy, second: Policy) -> Policy:
    """What both grant: of limits the lower one, of conditions their conjunction, of folders the inner one.

    Raises:
        UsageError: the policies are for different bytes.
    """
    _same_program(first, second)
    kept: dict[tuple[object, ...], Grant] = {}
    for one in first.grants:
        for other in second.grants:
            for grant in _both(one, other):
                kept.setdefault((grant.kind, grant.object, grant.access), grant)
    alone = (
        grant
        for policy, others in ((first, second), (second, first))
        for grant in policy.of("limit")
        if all(grant.object != other.object for other in others.of("limit"))
    )
    return _made(first, second, (*kept.values(), *alone), (*first.denied, *second.denied))


def _same_program(first: Policy, second: Policy) -> None:
    if first.artifact.sha256 != second.artifact.sha256:
        raise UsageError(
            f"the policies are for different bytes: {first.artifact.sha256[:12]} and {second.artifact.sha256[:12]}",
            hint="inspect the program again and derive both from the same file",
        )


def _made(first: Policy, second: Policy, grants: Iterable[Grant], denied: Iterable[Denial]) -> Policy:
    by_capability: dict[str, Denial] = {}
    for denial in denied:
        by_capability.setdefault(denial.capability, denial)
    names = dict.fromkeys((first.baseline, second.baseline))
    return msgspec.structs.replace(
        first, baseline="+".join(names), grants=tuple(grants), denied=tuple(by_capability.values())
    )


def _includes(wide: Grant, narrow: Grant) -> bool:
    """Whether everything that one grant permits is permitted by another."""
    if narrow.kind in _HELD_BY:
        return not narrow.access and wide.kind in _HELD_BY[narrow.kind] and _inside(narrow.object, wide.object)
    if narrow.kind == "syscall":
        return wide.kind == "syscall" and wide.object == narrow.object and wide.when in ((), narrow.when)
    return (wide.kind, wide.object, wide.access) == (narrow.kind, narrow.object, narrow.access)


def _inside(path: str, folder: str) -> bool:
    return path == folder or (folder.startswith("/") and path.startswith(folder.rstrip("/") + "/"))


def _both(one: Grant, other: Grant) -> Iterator[Grant]:
    """What two grants permit together; nothing where they speak of different things."""
    if one.kind == other.kind == "limit" and one.object == other.object:
        yield min(one, other, key=lambda grant: int(grant.access))
    elif one.kind == other.kind == "syscall" and one.object == other.object:
        yield from _call(one, other)
    elif {one.kind, other.kind} == {"read", "write"} and not one.access and not other.access:
        reading = one if one.kind == "read" else other
        for inner, outer in ((one, other), (other, one)):
            if _inside(inner.object, outer.object):
                yield msgspec.structs.replace(reading, object=inner.object)
                break
    elif _includes(other, one) or one == other:
        yield one
    elif _includes(one, other):
        yield other


def _call(one: Grant, other: Grant) -> Iterator[Grant]:
    """One call under both conditions: one grant, or one for each alternative where the conjunction is too long."""
    if not one.when or not other.when or one.when == other.when:
        yield one if one.when else other
        return
    when: tuple[Condition, ...] = (*one.when, *other.when)
    alternatives = multiply_out(when)
    if not alternatives:
        return
    if len(alternatives) <= MAX_VALUES and len(as_text(when, one.object)) <= MAX_TEXT:
        yield msgspec.structs.replace(one, when=when, access=as_text(when, one.object))
        return
    for alternative in alternatives:
        yield msgspec.structs.replace(one, when=alternative, access=as_text(alternative, one.object))
