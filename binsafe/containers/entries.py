"""What comes out of an archive, and what can go wrong while it does."""

from typing import Literal, NamedTuple, Protocol


class Unreadable(Exception):
    """Some or all bytes cannot be had; ``finding`` is the id of the finding that says so."""

    def __init__(self, message: str, finding: str = "archive-damaged") -> None:
        super().__init__(message)
        self.finding = finding


class Exhausted(Unreadable):
    """The whole archive's budget is used up: nothing more of it is read."""

    def __init__(self, message: str) -> None:
        super().__init__(message, "archive-bomb")


class Stream(Protocol):
    """Bytes that can be read once."""

    def read(self, size: int) -> bytes:
        """The next ``size`` bytes, fewer only at the end.

        Raises:
            Unreadable: the archive contradicts itself here, or unpacks to too much.
        """


class Entry(NamedTuple):
    """One entry; only links have a target. ``stream`` has the bytes that some who unpack make a file of."""

    name: str
    kind: Literal["file", "folder", "link", "other"]
    stream: Stream | None = None
    target: str = ""
    set_id: str | None = None


class Trouble(NamedTuple):
    """Something that is wrong with an archive or with one entry: a finding's id and its detail.

    ``lost`` says that bytes could not be looked at because of it.
    """

    finding: str
    detail: str
    lost: bool = True
