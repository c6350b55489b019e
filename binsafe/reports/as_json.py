"""The report as JSON, and the schema that describes it."""

import msgspec

from binsafe.model import Report
from binsafe.model.report import REPORT_SCHEMA
from binsafe.reports import schemas

SCHEMA_FILE = "report.schema.json"


def render(report: Report, *, verbose: int = 0, width: int = 100) -> str:
    """The same bytes for the same report, whatever ``verbose`` and ``width``: two-space indented, ASCII only.

    Everything beyond printable ASCII is escaped, so that nothing from the file can steer a terminal that shows it.
    """
    del verbose, width
    return schemas.pretty(msgspec.json.decode(msgspec.json.encode(report)))


def schema_text() -> str:
    """The schema as :data:`SCHEMA_FILE` holds it."""
    return schemas.pretty(schemas.describe(Report, REPORT_SCHEMA, "What binsafe inspect says of one artifact"))
