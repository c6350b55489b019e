"""Everything that can go wrong around the balancer, one class per cause, each with the exit status it gives.

    BanditError
    ├── UsageError            2    the command line, an option or a stored state asks for something that cannot be
    │   ├── MissingExtra           an optional dependency is not installed
    │   ├── StateMismatch          a saved state is not one of this strategy
    │   └── StoreUnusable          the store of runs is not there, damaged, or cannot be written
    └── NotReady              1    not all servers answer on their ports
        └── PortTaken              another program holds a port

What binsafe refuses (125, 126, 127) keeps binsafe's own errors. Every error carries a hint: what to do next.
"""

from typing import ClassVar


class BanditError(Exception):
    """The base of all errors that bandit_runner raises on purpose."""

    exit_status: ClassVar[int] = 2

    def __init__(self, message: str, *, hint: str) -> None:
        super().__init__(message)
        self.hint = hint


class UsageError(BanditError):
    """The request itself cannot be met."""


class MissingExtra(UsageError):
    """A part of the program needs packages that were not installed with it."""

    def __init__(self, message: str, *, extra: str) -> None:
        super().__init__(message, hint=f"in the checkout: pip install '.[{extra}]'")
        self.extra = extra


class StateMismatch(UsageError):
    """A saved state belongs to another strategy, to another number of arms, or is damaged; nothing of it is used."""


class StoreUnusable(UsageError):
    """The file that holds the runs cannot be read or written; nothing in it was changed."""


class NotReady(BanditError):
    """Servers that should answer on their ports do not."""

    exit_status = 1


class PortTaken(NotReady):
    """A port that the servers need is held by another program."""

    def __init__(self, message: str, *, hint: str, port: int) -> None:
        super().__init__(message, hint=hint)
        self.port = port
