"""A plain command line of ``binsafe run``, read from the same options as click reads it, but without click.

Plain is a line of whole option names whose values can be right at a glance, as a service manager or a second start has
it. A line that asks for help, has a mistake or anything unusual is left to click, which has the words for it.
"""

import gc
import math
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final, NoReturn

from binsafe.cli.entry import conduct
from binsafe.cli.options import RUN, Option

_MANY_OBJECTS: Final = 100_000
"""Objects to be made before the garbage collector looks: modules make tens of thousands, which all stay."""

_UNREADABLE: Final = object()

Line = dict[str, Any]


def start(line: Line, name: str) -> NoReturn:
    """Do what a plain line asks for, and end the process."""
    gc.set_threshold(_MANY_OBJECTS)

    def act() -> int:
        from binsafe.cli.running import run

        return run(**line)

    os._exit(conduct(act, name))  # all is closed and written; to take the interpreter apart as well takes 5 ms


def read(words: Sequence[str]) -> Line | None:
    """The arguments of ``running.run`` as click would give them; None for a line that is not plain."""
    known = {option.flag: option for option in RUN}
    line: Line = {option.name: {"many": (), "switch": False}.get(option.kind) for option in RUN}
    left = iter(words)
    for word in left:
        if word == "--" or not _is_option(word):
            file = next(left, None) if word == "--" else word
            return None if file is None else line | {"file": file, "arguments": tuple(left)}
        flag, equals, text = word.partition("=")
        option = known.get(flag)
        if option is None:
            return None
        value = _value(option, text if equals else None, left)
        if value is _UNREADABLE:
            return None
        line[option.name] = (*line[option.name], value) if option.kind == "many" else value
    return None


def _is_option(word: str) -> bool:
    return word.startswith("-") and word != "-"


def _value(option: Option, given: str | None, left: Iterator[str]) -> object:
    """What an option is given, in its own word or the next."""
    if option.kind == "switch":
        return True if given is None else _UNREADABLE
    text = next(left, None) if given is None else given
    if text is None:
        return _UNREADABLE
    if option.kind == "seconds":
        return _seconds(text)
    if option.kind in ("file", "new file"):
        return _file(text, may_be_new=option.kind == "new file")
    return text


def _seconds(text: str) -> object:
    try:
        number = float(text)
    except ValueError:
        return _UNREADABLE
    return number if 0 < number < math.inf else _UNREADABLE


def _file(path: str, *, may_be_new: bool) -> object:
    if not Path(path).exists():
        return path if may_be_new else _UNREADABLE
    return path if os.access(path, os.R_OK) and not Path(path).is_dir() else _UNREADABLE
