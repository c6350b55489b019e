"""What `check` and `ask` share: the text of a profile, where its lines come from, the parameters of its evaluation."""

import re
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from binsafe.errors import BaselineError, UsageError

if TYPE_CHECKING:
    from binsafe.seatbelt.nodes import Place

_MAX_BYTES = 8 * 1024**2


def read_profile(profile: Path, prelude: tuple[Path, ...] = ()) -> tuple[str, "Callable[[Place], str]"]:
    """The text of the files one after the other, and a function from a place in it to FILE:LINE:COLUMN.

    Raises:
        BaselineError: a file is too large, no text, or cannot be read.
    """
    pieces = [*((path, _whole_lines(_text(path))) for path in prelude), (profile, _text(profile))]
    firsts, line = [], 1
    for path, text in pieces:
        firsts.append((line, path))
        line += text.count("\n")

    def locate(place: "Place") -> str:
        first, path = next((first, path) for first, path in reversed(firsts) if first <= place.line)
        return f"{path}:{place.line - first + 1}:{place.column}"

    return "".join(text for _, text in pieces), locate


def _whole_lines(text: str) -> str:
    """The same with a line break at its end, so that a comment there hides nothing of the next file."""
    return text if text.endswith("\n") else f"{text}\n"


def _text(path: Path) -> str:
    try:
        if str(path) == "-":
            content = sys.stdin.buffer.read(_MAX_BYTES + 1)
        else:
            with path.open("rb") as stream:
                content = stream.read(_MAX_BYTES + 1)
        if len(content) > _MAX_BYTES:
            raise BaselineError(f"{path}:1:1: larger than {_MAX_BYTES} bytes", hint="expected a profile")
        return content.decode("utf-8")
    except UnicodeDecodeError as problem:
        line = content.count(b"\n", 0, problem.start) + 1
        raise BaselineError(f"{path}:{line}:1: no UTF-8 text", hint="expected a profile, as text") from None
    except OSError as problem:
        raise BaselineError(f"{path}: {problem.strerror}", hint="name a readable file") from None


def release(text: str | None) -> str | None:
    """A macOS version, checked.

    Raises:
        UsageError: it is none.
    """
    if text is not None and re.fullmatch(r"[0-9]{2}(?:\.[0-9]{1,2}){0,2}", text) is None:
        raise UsageError(f"--macos {text}: no version", hint="write --macos 12 or --macos 10.15")
    return text


def parameters(defined: tuple[str, ...]) -> Mapping[str, str]:
    """``-D NAME=VALUE`` as a mapping.

    Raises:
        UsageError: one has no ``=``.
    """
    pairs = [text.partition("=") for text in defined]
    for name, equals, _ in pairs:
        if not equals or not name:
            raise UsageError(f"-D {name}: no value", hint="write -D NAME=VALUE, as for sandbox-exec")
    return {name: value for name, _, value in pairs}
