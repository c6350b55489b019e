"""What the analysis asks of the outside world: the libraries that a program is linked with."""

from typing import Protocol

from binsafe.model import ResolvedLibrary


class Libraries(Protocol):
    """The library closure of one program; see `binsafe.intake.libraries`."""

    @property
    def resolved(self) -> tuple[ResolvedLibrary, ...]:
        """What the report says of them: the loader first, then in load order."""
        ...
