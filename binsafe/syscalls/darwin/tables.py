"""Calls of the XNU kernel by number, and the calls behind the functions of libSystem: ``calls.json``.

The file says which sources its facts are from. There are two families of calls: BSD's, numbered upward from 0, and
Mach's traps, which arm64 numbers downward. What libSystem's functions call is read off open sources, best knowledge and
no contract: Apple may change it with any release, so a list made with it is for people, not for a filter.
"""

import json
from functools import cache
from pathlib import Path
from typing import NamedTuple

_NO_CALLS: frozenset[str] = frozenset()
_SIXTY_FOUR_BIT_INODES = frozenset({"stat", "lstat", "fstat", "fstatat", "statfs", "fstatfs", "getfsstat"})
"""Functions with an older call for x86-64's plain symbol and a newer one for ``$INODE64``; arm64 has the newer only."""


class Table(NamedTuple):
    """Numbers to names, and functions to the calls that they make."""

    bsd: dict[int, str]
    mach: dict[int, str]
    """By the trap's number without its sign."""
    names: frozenset[str]
    functions: dict[str, frozenset[str]]
    """Without the underscore that Mach-O puts before C's names."""

    def behind(self, symbol: str, arch: str) -> frozenset[str] | None:
        """The calls that an imported function can make; None if that is not known."""
        function, _, variant = symbol.removeprefix("_").partition("$")
        if "NOCANCEL" in variant and f"{function}_nocancel" in self.names:
            return frozenset({f"{function}_nocancel"})
        if function in _SIXTY_FOUR_BIT_INODES and (arch != "x86_64" or "INODE64" in variant):
            return frozenset({f"{function}64"})
        for spelling in (function, f"{function}_trap", function.removeprefix("__")):  # the last: libSystem's raw stubs
            if spelling in self.functions:
                return self.functions[spelling]
            if spelling in self.names:
                return frozenset({spelling})
        return None


@cache
def table() -> Table:
    """The data, read once."""
    data = json.loads(Path(__file__).with_name("calls.json").read_bytes())
    functions = {name: frozenset(calls.split()) for names, calls in data["functions"].items() for name in names.split()}
    return Table(
        bsd={number: name for name, number in data["bsd"].items()},
        mach={number: name for name, number in data["mach"].items()},
        names=frozenset(data["bsd"]) | frozenset(data["mach"]),
        functions=dict.fromkeys(data["without"].split(), _NO_CALLS) | functions,
    )
