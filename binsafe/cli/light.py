"""Libraries that commands need, loaded without what these import for purposes that no command has."""

import os
import typing
from types import SimpleNamespace
from typing import TYPE_CHECKING

from binsafe.lazy import instead, stand_in

if TYPE_CHECKING:
    from types import ModuleType


def load_paths() -> None:
    """Load pathlib without what makes URLs of paths."""
    with instead(stand_in("urllib.parse", later=["quote_from_bytes"])):
        import pathlib  # noqa: F401 - loaded for later


def load_processes() -> None:
    """Load subprocess without the locale's names, which it has for text."""
    with instead(stand_in("locale", later=["getencoding"])):
        import subprocess  # noqa: F401 - loaded for later


def load_structs() -> None:
    """Load msgspec without what describes types, types that no report has, and what `typing` has: most of its time."""
    described = stand_in("msgspec.inspect"), stand_in("msgspec._json_schema", later=["schema", "schema_components"])
    wanted = {name: getattr(typing, name) for name in ("get_type_hints", "NotRequired", "Required")}
    unused = (
        stand_in("decimal", Decimal=type("Decimal", (), {})),
        stand_in("uuid", UUID=type("UUID", (), {}), SafeUUID=SimpleNamespace(unknown=None)),
    )
    with instead(*described, *unused, stand_in("typing_extensions", **wanted)):
        import msgspec  # noqa: F401 - loaded for later


def load_click() -> None:
    """Load click without what looks into code, which it has for texts with indented lines: a third of its time."""
    with instead(_platform(), stand_in("inspect", cleandoc=_unindented)):
        import click  # noqa: F401 - loaded for later


def _platform() -> "ModuleType":
    """What `uuid` takes of it when it is loaded (Python 3.11)."""
    return stand_in("platform", system=lambda: os.uname().sysname)


def _unindented(text: str) -> str:
    """The same as ``inspect.cleandoc``."""
    if text.isprintable():  # one line, as those of options are
        return text.lstrip()
    import inspect

    return inspect.cleandoc(text)
