"""Extended attributes of an open file: what the system notes beside its bytes."""

import ctypes
import errno
import os
import sys

_NAME = "com.apple.quarantine"
_MAX = 65_536
_NONE = {
    getattr(errno, name) for name in ("ENOATTR", "ENODATA", "ENOTSUP", "EOPNOTSUPP", "ENOSYS") if hasattr(errno, name)
}
"""There is no such attribute, or the file system keeps none at all: any other error says nothing about it."""


def quarantine(descriptor: int) -> dict[str, str] | None:
    """What macOS notes on a file that was fetched; None where there is nothing, ``unknown`` with why it cannot be told.

    Linux keeps it under ``user.`` where a file was copied there with its attributes (``rsync -X``, Samba).
    """
    try:
        value = _macos(descriptor) if sys.platform == "darwin" else os.getxattr(descriptor, f"user.{_NAME}")
    except AttributeError:  # another system
        return None
    except OSError as error:
        return None if error.errno in _NONE else {"unknown": error.strerror or str(error)}
    from binsafe.containers.quarantine import parse  # few files have it, and archives' readers come along

    return parse(value)


def _macos(descriptor: int) -> bytes:
    """fgetxattr(2), which Python has on Linux only: position and options are 0. A longer value is an error (ERANGE)."""
    library = ctypes.CDLL(None, use_errno=True)
    value = ctypes.create_string_buffer(_MAX)
    size = library.fgetxattr(descriptor, _NAME.encode(), value, ctypes.c_size_t(_MAX), 0, 0)
    if size < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return value.raw[:size]
