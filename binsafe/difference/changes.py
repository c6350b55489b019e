"""Changes as they are found, and what could not be compared."""

from collections.abc import Iterable
from typing import Literal

from binsafe.model import Evidence, Severity
from binsafe.model.difference import Change

_KINDS: dict[str, Literal["gained", "lost"]] = {"gained": "gained", "lost": "lost"}


class Changes:
    """What comparisons tell; each names the place it is about."""

    def __init__(self) -> None:
        self.changes: list[Change] = []
        self.not_compared: list[str] = []
        self.undecided: set[str] = set()

    def include(self, others: "Changes") -> None:
        """Take over what was told to others."""
        self.changes += others.changes
        self.not_compared += others.not_compared
        self.undecided |= others.undecided

    def unknown(self, what: str, *about: str) -> None:
        """Note what could not be compared, and the subjects (``--fail-on``) that it might have been about."""
        self.not_compared.append(what)
        self.undecided |= {*about}

    def names(
        self, identifier: str, severity: Severity, subject: str, old: Iterable[str], new: Iterable[str], where: str
    ) -> None:
        """What was added is severe; what was removed is information."""
        for name in sorted({*new} - {*old}):
            self.add(identifier, severity, subject, name, where)
        for name in sorted({*old} - {*new}):
            self.add(identifier.replace("gained", "lost"), Severity.INFO, subject, name, where)

    def add(
        self,
        identifier: str,
        severity: Severity,
        subject: str,
        item: str,
        where: str,
        *,
        detail: str = "",
        evidence: tuple[Evidence, ...] = (),
    ) -> None:
        """One change; see :class:`binsafe.model.difference.Change`. Its kind is how the identifier begins."""
        self.changes.append(
            Change(
                id=identifier,
                kind=_KINDS.get(identifier.partition("-")[0], "changed"),
                severity=severity,
                subject=subject,
                item=item,
                where=where,
                detail=detail,
                evidence=evidence,
            )
        )
