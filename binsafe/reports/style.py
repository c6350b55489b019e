"""Colours: a style gets a role and the text that plays it, and gives back what is printed."""

from collections.abc import Callable, Mapping
from types import MappingProxyType

Style = Callable[[str, str], str]
"""(role, text) -> text. Roles: ``title label ok caution danger unknown dim``. The text has been escaped before."""

_SGR: Mapping[str, str] = MappingProxyType(
    {"title": "1", "label": "36", "ok": "32", "caution": "33", "danger": "1;31", "unknown": "1;35", "dim": "2"}
)
"""Role -> "select graphic rendition" (ECMA-48, 8.3.117)."""


def plain(role: str, text: str) -> str:
    """No colours: for files, pipes and NO_COLOR."""
    del role
    return text


def ansi(role: str, text: str) -> str:
    """Colours for a terminal."""
    code = _SGR.get(role)
    return text if code is None else f"\x1b[{code}m{text}\x1b[0m"
