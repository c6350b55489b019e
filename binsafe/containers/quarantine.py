"""What macOS notes on a file that an application fetched: the attribute ``com.apple.quarantine``."""

from contextlib import suppress
from datetime import UTC, datetime

_FIELDS = ("flags", "time", "agent", "id")
_MAX_TEXT = 1024


def parse(value: bytes) -> dict[str, str]:
    """``flags;time;agent;id`` as fields, the time (hexadecimal seconds) as ISO 8601 in UTC.

    A time that is no number stays as it is. A mark without words is one, too: what it says is unknown.
    """
    text = value[:_MAX_TEXT].decode("utf-8", "replace").strip("\0\n")
    if not text:
        return {"unknown": "the mark is empty"}
    fields = {name: part for name, part in zip(_FIELDS, text.split(";", 3), strict=False) if part}
    with suppress(KeyError, ValueError, OverflowError, OSError):
        fields["time"] = datetime.fromtimestamp(int(fields["time"], 16), UTC).isoformat()
    return fields
