"""Reports that were saved as JSON, read back: files like any other, so that nothing in them is trusted."""

import codecs
import os

import msgspec

from binsafe.errors import UsageError
from binsafe.intake.answers import has_too_many_values
from binsafe.intake.snapshot import Snapshot
from binsafe.limits import MAX_SAVED_REPORT_BYTES, MAX_SAVED_REPORT_VALUES
from binsafe.model import Report
from binsafe.model.report import REPORT_SCHEMA

_BLANK = b" \t\r\n"
_HEAD = 4096
_HINT = "save the report again: binsafe inspect FILE --json --output PATH"


def is_saved(snapshot: Snapshot) -> bool:
    """Whether the bytes are JSON's: an object begins like no executable does."""
    head = os.pread(snapshot.descriptor, _HEAD, 0)
    return head.removeprefix(codecs.BOM_UTF8).lstrip(_BLANK).startswith(b"{")


def read_saved(snapshot: Snapshot) -> Report:
    """The report in a file; every field must be one that this version knows, and be there.

    A field that is missing is nothing that was looked for and not found, and one that is not known may say what
    matters most: a report of another version is refused.

    Raises:
        UsageError: it is no such report, or too large.
    """
    path = snapshot.artifact.path
    if snapshot.artifact.size > MAX_SAVED_REPORT_BYTES:
        raise UsageError(f"{path} has more than {MAX_SAVED_REPORT_BYTES:,} bytes, too many for a report", hint=_HINT)
    data = os.pread(snapshot.descriptor, snapshot.artifact.size, 0).removeprefix(codecs.BOM_UTF8)
    if has_too_many_values(data):
        raise UsageError(f"{path} has more than {MAX_SAVED_REPORT_VALUES:,} values, too many for a report", hint=_HINT)
    try:
        report = msgspec.json.decode(data, type=Report)
        same = msgspec.json.decode(msgspec.json.encode(report)) == msgspec.json.decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise UsageError(f"{path} is JSON, but no report of binsafe inspect: {error}", hint=_HINT) from error
    if report.schema != REPORT_SCHEMA:
        raise UsageError(f"{path} is {report.schema!r}, not {REPORT_SCHEMA!r}", hint=_HINT)
    if not same:
        raise UsageError(f"{path} does not have the fields that this version of binsafe writes", hint=_HINT)
    return report
