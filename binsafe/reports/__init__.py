"""Report -> text for people, JSON for programs. Every output is made from the report alone.

    escape      the one door through which text from a file reaches a terminal
    style       colours, passed in by whoever knows that there is a terminal
    words       the report's short words as a person says them
    outline     what text, Markdown and HTML show: sections of labelled rows (their shape is in rows)
    findings    their rows: what is said of several slices alike is said once
    text        one screen; deeper with ``verbose``
    as_json     ``binsafe.report/1``, and its schema in ``report.schema.json``
    markdown    for a pull request
    html        one page that needs nothing else: ``page``, ``page.css``
    sarif       SARIF 2.1.0 for code-scanning services; ``rules`` is the help it shows
    spoilers    a report without what tells how the program works inside
    fitting     an output of bounded size, whatever the file
    changes     the same three of a difference: text, Markdown, JSON
    schemas     JSON Schemas, made of the structs

A new output is one new file and one line in ``REPORTERS``.
"""

import importlib
from collections.abc import Mapping
from types import MappingProxyType
from typing import Protocol

from binsafe.model import Report
from binsafe.reports.escape import escape
from binsafe.reports.fitting import fitted
from binsafe.reports.spoilers import without_spoilers

__all__ = ["REPORTERS", "Reporter", "escape", "fitted", "without_spoilers"]


class Reporter(Protocol):
    """What makes one output: the whole of it as a string that ends with a newline."""

    def __call__(self, report: Report, *, verbose: int = 0, width: int = 100) -> str:
        """``verbose`` counts how much more to say; ``width`` is in columns."""


def _loaded(module: str) -> Reporter:
    """The reporter of a module here, which is imported when it is first called."""

    def render(report: Report, *, verbose: int = 0, width: int = 100) -> str:
        reporter: Reporter = importlib.import_module(f"{__name__}.{module}").render
        return reporter(report, verbose=verbose, width=width)

    return render


REPORTERS: Mapping[str, Reporter] = MappingProxyType(
    {
        "text": _loaded("text"),
        "json": _loaded("as_json"),
        "markdown": _loaded("markdown"),
        "html": _loaded("html"),
        "sarif": _loaded("sarif"),
    }
)
"""Name on the command line (``--format``) -> what makes that output."""
