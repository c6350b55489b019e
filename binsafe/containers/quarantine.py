"""What macOS notes on a file that an application fetched: the attribute ``com.apple.quarantine``."""

from contextlib import suppress
from datetime import UTC, datetime

ATTRIBUTE = "com.apple.quarantine"
_FIELDS = ("flags", "time", "agent", "id")
_MAX = 1024


def parse(value: bytes) -> dict[str, str] | None:
    """``flags;time;agent;id`` as fields, the time (hexadecimal seconds) as ISO 8601 in UTC; None where it is none.

    A time that is no number stays as it is.
    """
    text = value[:_MAX].decode("utf-8", "replace").strip("\0\n")
    if ";" not in text:
        return None
    fields = {name: part for name, part in zip(_FIELDS, text.split(";", 3), strict=False) if part}
    with suppress(KeyError, ValueError, OverflowError, OSError):
        fields["time"] = datetime.fromtimestamp(int(fields["time"], 16), UTC).isoformat()
    return fields
