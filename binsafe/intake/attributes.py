"""Extended attributes of an open file: what the system notes beside its bytes."""

import ctypes
import errno
import os
import sys

from binsafe.model.report import QUARANTINE

_MAX_BYTES = 65_536
_NONE = {
    getattr(errno, name) for name in ("ENOATTR", "ENODATA", "ENOTSUP", "EOPNOTSUPP", "ENOSYS") if hasattr(errno, name)
}
"""There is no such attribute, or the file system keeps none at all: any other error says nothing about it."""


_ON_ALL = ("system.", "security.selinux", "security.ima", "security.evm", "com.apple.provenance", "com.apple.lastused")
"""How attributes begin that a system puts on files of its own accord, and that say nothing of one."""
_MAX_SHOWN = 32


def quarantine(descriptor: int) -> dict[str, str] | None:
    """What macOS notes on a file that was fetched; None where there is nothing, ``unknown`` with why it cannot be told.

    Linux keeps it under ``user.`` where a file was copied there with its attributes (``rsync -X``, Samba).
    """
    try:
        value = _value(descriptor, QUARANTINE if sys.platform == "darwin" else f"user.{QUARANTINE}")
    except AttributeError:  # another system
        return None
    except OSError as error:
        return None if error.errno in _NONE else {"unknown": error.strerror or str(error)}
    from binsafe.containers.quarantine import parse  # few files have it, and archives' readers come along

    return parse(value)


def others(descriptor: int) -> dict[str, str] | None:
    """What else is noted: name -> what it says, or how long it is. None where there is nothing.

    ``unknown`` says why that cannot be told.
    """
    try:
        names = [name for name in _names(descriptor) if not name.startswith(_ON_ALL) and not name.endswith(QUARANTINE)]
        values = {name: _value(descriptor, name) for name in sorted(names)[:_MAX_SHOWN]}  # security.* before user.*
    except AttributeError:  # another system
        return None
    except OSError as error:
        return None if error.errno in _NONE else {"unknown": error.strerror or str(error)}
    if not values:
        return None
    from binsafe.containers.attributes import describe

    return {name: describe(name, value) for name, value in values.items()}


def _names(descriptor: int) -> list[str]:
    if sys.platform != "darwin":
        return os.listxattr(descriptor)
    listed = _filled(descriptor)
    return [name.decode("utf-8", "replace") for name in listed.split(b"\0") if name]


def _value(descriptor: int, name: str) -> bytes:
    if sys.platform != "darwin":
        return os.getxattr(descriptor, name)
    return _filled(descriptor, name)


def _filled(descriptor: int, name: str | None = None) -> bytes:
    """fgetxattr(2), flistxattr(2) of macOS, which Python does not have; what is longer is an error (ERANGE)."""
    library = ctypes.CDLL(None, use_errno=True)
    value = ctypes.create_string_buffer(_MAX_BYTES)
    size = ctypes.c_size_t(_MAX_BYTES)
    if name is None:
        found = library.flistxattr(descriptor, value, size, 0)  # no options
    else:
        found = library.fgetxattr(descriptor, name.encode(), value, size, 0, 0)  # from its start, no options
    if found < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return value.raw[:found]
