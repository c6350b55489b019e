"""What a command line asks to be granted."""

from typing import NamedTuple


class Asked(NamedTuple):
    """The grants that a command line asks for, as typed."""

    ports: tuple[str, ...]
    baseline: str | None
    read: tuple[str, ...]
    write: tuple[str, ...]
    connect: tuple[str, ...]
    execute: tuple[str, ...]
    pack: tuple[str, ...] = ()
    env: tuple[str, ...] = ()
    scratch: str | None = None
