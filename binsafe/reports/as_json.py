"""The report as JSON, and the schema that describes it."""

import json
from importlib.resources import files
from typing import Any

import msgspec

from binsafe.model import Report
from binsafe.model.report import REPORT_SCHEMA

SCHEMA_FILE = "report.schema.json"


def render(report: Report, *, verbose: int = 0, width: int = 100) -> str:  # noqa: ARG001 - every reporter takes them
    """The same bytes for the same report, whatever ``verbose`` and ``width``: two-space indented, ASCII only.

    Everything beyond printable ASCII is escaped, so that nothing from the file can steer a terminal that shows it.
    """
    return _pretty(msgspec.json.decode(msgspec.json.encode(report)))


def schema() -> dict[str, Any]:
    """The JSON Schema (2020-12) of the report, made from the structs themselves; every field is always there."""
    _, defined = msgspec.json.schema_components([Report], ref_template="#/$defs/{name}")
    for struct in defined.values():
        if "properties" in struct:
            struct["required"] = list(struct["properties"])
    defined["Report"]["properties"]["schema"] = {"const": REPORT_SCHEMA}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": REPORT_SCHEMA,
        "title": "What binsafe inspect says of one artifact",
        "$ref": "#/$defs/Report",
        "$defs": defined,
    }


def schema_text() -> str:
    """The schema as :data:`SCHEMA_FILE` holds it."""
    return _pretty(schema())


def shipped_schema() -> dict[str, Any]:
    """The schema that is shipped with this package."""
    text = files("binsafe.reports").joinpath(SCHEMA_FILE).read_text(encoding="utf-8")
    found: dict[str, Any] = json.loads(text)
    return found


def _pretty(value: object) -> str:
    return json.dumps(value, indent=2, ensure_ascii=True).replace("\x7f", "\\u007f") + "\n"
