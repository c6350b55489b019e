"""Extended attributes of an open file: what the system notes beside its bytes."""

import ctypes
import os
import sys

_NAME = "com.apple.quarantine"
_MAX = 1024


def quarantine(descriptor: int) -> dict[str, str] | None:
    """What macOS notes on a file that was fetched; None where there is nothing.

    Linux keeps it under ``user.`` where a file was copied there with its attributes (``rsync -X``, Samba).
    """
    try:
        value = _macos(descriptor) if sys.platform == "darwin" else os.getxattr(descriptor, f"user.{_NAME}")
    except (OSError, AttributeError):  # no such attribute, none at all on this file system, or another system
        return None
    from binsafe.containers.quarantine import parse  # few files have it, and archives' readers come along

    return parse(value[:_MAX])


def _macos(descriptor: int) -> bytes:
    """fgetxattr(2), which Python has on Linux only: position and options are 0."""
    library = ctypes.CDLL(None, use_errno=True)
    value = ctypes.create_string_buffer(_MAX)
    size = library.fgetxattr(descriptor, _NAME.encode(), value, ctypes.c_size_t(_MAX), 0, 0)
    if size < 0:
        raise OSError(ctypes.get_errno(), "fgetxattr")
    return value.raw[:size]
