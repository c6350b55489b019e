"""The options of `binsafe run`, read without click where they are plain: to load that takes a quarter of a start.

What is wrong, asks for help or is spelt in another way is not plain, and is click's to read. What is plain it would
read just so (``tests/cli/test_plain.py`` compares them).
"""

import os
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

Options = dict[str, Any]

_MANY: Final = {f"--{name}": name for name in ("ports", "read", "write", "connect", "exec", "pack", "env")}
_ONE: Final = {
    **{f"--{name}": name for name in ("baseline", "backend", "scratch", "report", "timeout")},
    "--policy": "policy_file",
}
_FLAGS: Final = {"--allow-partial": "allow_partial", "--dry-run": "dry_run", "--yes": "yes"}


def read(words: Sequence[str]) -> Options | None:
    """The options in the words after "run", as the command gets them from click; None where they are not plain."""
    options: Options = {
        **dict.fromkeys(_MANY.values(), ()),
        **dict.fromkeys(_ONE.values()),
        **dict.fromkeys(_FLAGS.values(), False),
    }
    waiting = list(words)
    while waiting and waiting[0].startswith("-") and waiting[0] != "-":
        word = waiting.pop(0)
        if word == "--":
            break
        if not _takes(word, waiting, options):
            return None
    if not waiting or not _are_right(options):
        return None
    return options | {"file": waiting[0], "arguments": tuple(waiting[1:])}


def _takes(word: str, waiting: list[str], options: Options) -> bool:
    """Whether it is an option with its value, which may be the next word; it is put to the options then."""
    if word in _FLAGS:
        options[_FLAGS[word]] = True
        return True
    name, attached, value = word.partition("=")
    if not attached:
        if not waiting:
            return False
        value = waiting.pop(0)
    if name in _MANY:
        options[_MANY[name]] += (value,)
    elif name in _ONE:
        options[_ONE[name]] = value
    return name in _MANY or name in _ONE


def _are_right(options: Options) -> bool:
    """Whether values are what they have to be; a time is a number then."""
    policy, scratch, report = (options[name] for name in ("policy_file", "scratch", "report"))
    if options["timeout"] is not None:
        try:
            options["timeout"] = seconds = float(options["timeout"])
        except ValueError:
            return False
        if not 0 < seconds <= threading.TIMEOUT_MAX:
            return False
    return (
        (policy is None or (Path(policy).is_file() and os.access(policy, os.R_OK)))
        and (scratch is None or (Path(scratch).is_dir() and os.access(scratch, os.R_OK)))
        and (report is None or not os.path.lexists(report) or (Path(report).is_file() and os.access(report, os.R_OK)))
    )
