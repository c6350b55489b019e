"""A build hook: say at once that a Python is too old.

pip knows it from ``requires-python``; but asked for extras (``.[bandit]``), that of Python 3.10 first tries every
version of every dependency, for a quarter of an hour and in silence.
"""

import sys
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

OLDEST = (3, 11)


class OldestPython(BuildHookInterface[Any]):
    """Run before a wheel is built, which is how pip learns what binsafe needs."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:  # noqa: ARG002 -- the interface's
        """End the build, with the reason as its last line."""
        if sys.version_info < OLDEST:
            oldest, this = (".".join(map(str, number)) for number in (OLDEST, sys.version_info[:2]))
            raise SystemExit(f"binsafe needs Python {oldest} or later, and this is Python {this}")
