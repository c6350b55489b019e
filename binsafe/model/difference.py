"""What changed from one artifact to another: ``binsafe.difference/1``."""

from typing import Literal

import msgspec

from binsafe.model.facts import Evidence
from binsafe.model.report import Artifact, Severity

DIFFERENCE_SCHEMA = "binsafe.difference/1"


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that the new one has and the old one had not, or the other way round.

    ``id`` is what ``--fail-on`` takes (``gained-network``); ``where`` names the slice, and the member of an archive.
    """

    id: str
    kind: Literal["gained", "lost", "changed"]
    severity: Severity
    subject: str
    item: str
    where: str
    detail: str = ""
    evidence: tuple[Evidence, ...] = ()


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """All changes, the most severe first; ``not_compared`` says what could not be told."""

    schema: str = DIFFERENCE_SCHEMA
    old: Artifact
    new: Artifact
    same_bytes: bool
    analysed: bool
    summary: str
    """The one sentence that matters most."""
    changes: tuple[Change, ...] = ()
    changes_omitted: int = 0
    """The least severe, left out of an output of bounded size."""
    not_compared: tuple[str, ...] = ()
    undecided: tuple[str, ...] = ()
    """Subjects of which something could not be compared; "anything" for all of them."""
