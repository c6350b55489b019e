"""The stand-in: Go sources in, an executable of thirty flaky servers out.

- main.go: flags, listening, stopping
- arms.go: what is drawn at each start
- limiter.go: token buckets, pure: time is passed in
- handler.go: one server's answers
- truth.go: what was drawn, as JSON
- build.py: compiles all that, once per source, target and compiler
"""

from collections.abc import Callable
from pathlib import Path


def artifact(progress: Callable[[str], None] | None = None) -> Path:
    """Return ``flakyservers`` for this machine, built on first use: the entry point of group ``binsafe.artifacts``.

    Raises what ``build.build`` raises.
    """
    from bandit_runner.flakyservers.build import build  # whoever asks only for the name need not wait

    return build(progress=progress)
