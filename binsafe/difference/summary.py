"""The one sentence that matters most: "the new version wants the network now" before all else."""

from collections.abc import Callable, Sequence

from binsafe.model import Report, Severity
from binsafe.model.difference import Change

_SIGNATURE = frozenset({"lost-signature", "changed-signer"})


def summary(old: Report, new: Report, changes: Sequence[Change], *, same_bytes: bool, doubts: bool) -> str:
    """A sentence without names from the files, but for a member's path; ``changes`` come in their order."""
    if not new.analysed and not new.slices and not new.members:
        return "The new version could not be analysed: what it can do is not known."
    if not old.analysed and not old.slices and not old.members:
        return "The old version could not be analysed: what the new one gained is not known."
    if same_bytes:
        return _same_bytes(changes)
    said = next((sentence for rule in _RULES if (sentence := rule(changes)) is not None), None)
    if said is None:
        said = _nothing(changes, doubts=doubts)
    partly = not old.analysed or not new.analysed
    return f"{said} Not all of it could be analysed." if partly else said


def _network(changes: Sequence[Change]) -> str | None:
    verdict = next((each for each in changes if each.id == "gained-network"), None)
    if verdict is None:
        return None
    where = _where(verdict)
    ways = _ways([each for each in changes if each.where == verdict.where])
    can = f": it can {ways}" if ways else ""
    if verdict.item == "no -> unknown":
        return f"Whether the new version uses the network cannot be told any more{where}; the old one did not."
    if verdict.item == "unknown -> yes":
        return f"The new version uses the network{where}{can}; whether the old one did could not be told."
    return f"The new version wants the network now{where}{can}."


def _more_network(changes: Sequence[Change]) -> str | None:
    gained = [each for each in changes if each.subject == "network" and each.kind == "gained"]
    if not gained or gained[0].severity.rank < Severity.MEDIUM.rank:
        return None
    return f"The new version has new ways to use the network{_where(gained[0])}: {_ways(gained)}."


def _signature(changes: Sequence[Change]) -> str | None:
    high = [each for each in changes if each.id in _SIGNATURE and each.severity is Severity.HIGH]
    if not high:
        return None
    if any(each.id == "lost-signature" for each in high):
        return f"The new version is not signed any more, or its signature does not hold{_where(high[0])}."
    return f"The new version is signed by somebody else{_where(high[0])}."


def _capability(changes: Sequence[Change]) -> str | None:
    gained = [each for each in changes if each.subject == "capability" and each.id.startswith("gained-")]
    names = list(dict.fromkeys(each.item for each in gained if each.severity.rank >= Severity.MEDIUM.rank))
    return f"The new version has new capabilities{_where(gained[0])}: {', '.join(names)}." if names else None


def _alarming(changes: Sequence[Change]) -> str | None:
    worst = [each for each in changes if each.severity.rank >= Severity.MEDIUM.rank]
    if not worst:
        return None
    subjects = ", ".join(dict.fromkeys(each.subject for each in worst))
    return f"{_counted(len(worst), 'change')} in the new version should be looked at: {subjects}."


_RULES: tuple[Callable[[Sequence[Change]], str | None], ...] = (
    _network,
    _more_network,
    _signature,
    _capability,
    _alarming,
)
"""The most important first."""


def _same_bytes(changes: Sequence[Change]) -> str:
    if changes:
        return "The same bytes; what is said of them differs: other versions of binsafe, or other libraries here."
    return "No difference: the same bytes."


def _nothing(changes: Sequence[Change], *, doubts: bool) -> str:
    far = ", as far as they could be compared" if doubts else ""
    if changes:
        return f"Nothing alarming changed{far}: {_counted(len(changes), 'smaller change')}."
    return f"No difference in what they can do{far}."


def _counted(count: int, what: str) -> str:
    return f"{count:,} {what}{'s' * (count != 1)}"


def _ways(changes: Sequence[Change]) -> str:
    gained = [each for each in changes if each.subject == "network" and each.id != "gained-network"]
    return ", ".join(dict.fromkeys(each.item for each in gained if each.kind == "gained"))


def _where(change: Change) -> str:
    """The member of an archive; the processor alone is for the list below."""
    return f" in {change.where}" if change.where and not change.where.startswith("(") else ""
