"""What a command line asks to be granted."""

import os
from typing import NamedTuple


class Asked(NamedTuple):
    """The grants that a command line asks for, as typed; each is called what its option is."""

    ports: tuple[str, ...]
    baseline: str | None
    read: tuple[str, ...]
    write: tuple[str, ...]
    connect: tuple[str, ...]
    exec: tuple[str, ...]
    pack: tuple[str, ...] = ()
    env: tuple[str, ...] = ()
    scratch: str | None = None


def options(asked: Asked) -> list[str]:
    """The words of a command line that ask for the same."""
    return [
        word
        for name, values in asked._asdict().items()
        for value in ((values,) if isinstance(values, str) else values or ())
        for word in (f"--{name}", value)
    ]


def found_on_path(asked: Asked) -> Asked:
    """The same, with programs that are named as in a shell by their paths: a file here goes first, as for FILE."""
    if all("/" in name or os.path.lexists(name) for name in asked.exec):
        return asked
    import shutil

    found = (name if "/" in name or os.path.lexists(name) else shutil.which(name) for name in asked.exec)
    return asked._replace(exec=tuple(path or name for path, name in zip(found, asked.exec, strict=True)))
