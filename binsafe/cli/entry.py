"""The frame of a command line: exit statuses, errors with hints, notes. Without click: see ``starting``."""

import contextlib
import errno
import os
import sys
from collections.abc import Callable

from binsafe.cli.inherited import open_standard_streams, print_any_name, wait_for_children

USAGE = 2
INTERRUPTED = 130
_LIMITS = {
    errno.EMFILE: ("too few open files are allowed", "allow more: ulimit -n 256"),
    errno.EAGAIN: (
        "no further process can be started, or the output has no room",
        "allow more: ulimit -u unlimited",
    ),
    errno.ETOOMANYREFS: (
        "too many descriptors of this user are in flight between processes",
        "end the program that sends them, or allow more: ulimit -n 4096",
    ),
    errno.EFBIG: ("a file would be larger than is allowed", "allow larger ones: ulimit -f unlimited"),
}
"""What a low limit of the user's leads to, and what to do."""
_OF_FILTERS = frozenset({errno.EPERM, errno.ENOSYS})
"""What is said of a call, and not of a place, by a filter that knows none better."""
_NOT_THERE = "name a file in a folder that exists and that you may write to"
_HINTS = dict.fromkeys((errno.ENOENT, errno.ENOTDIR, errno.EACCES, errno.EPERM, errno.EROFS, errno.EISDIR), _NOT_THERE)
"""What to do about a place."""
_SAID_BY_PYTHON = {
    "start new thread": _LIMITS[errno.EAGAIN],
    "home directory": ("there is no home folder, and the system knows of none", "name one: HOME=/path/to/a/folder"),
}
"""What RuntimeErrors have no class of their own for."""


def complain(name: str, message: str, hint: str) -> None:
    """Print an error, one line with what is wrong and one with a hint, where there is somewhere to print it."""
    with contextlib.suppress(OSError):  # the status says it as well
        note(f"{name}: {message}")
        note(f"  hint: {hint}")


def note(message: str) -> None:
    """Print a line for the user on standard error; what it quotes from a file has no power over the terminal."""
    from binsafe.reports.escape import escape

    sys.stderr.write(f"{escape(message)}\n")  # the object, not what is below it: a progress bar may stand in for it
    sys.stderr.flush()


def progress() -> Callable[[str], None] | None:
    """What tells a person at a terminal what is waited for; None where there is none."""
    return note if sys.stderr.isatty() else None


def conduct(action: Callable[[], object], name: str, *, failed: int = USAGE) -> int:
    """Do what a command line says and write all output; returns the status that the process is to end with.

    Every error that carries a hint becomes two lines, never a traceback. ``failed`` is the status where the system has
    not what it takes: of a command that ends with a program's status, one that is no program's.
    """
    try:
        open_standard_streams()
        print_any_name()
        wait_for_children()
        try:
            status = action()
        finally:
            sys.stdout.flush()
    except KeyboardInterrupt:
        status = INTERRUPTED
    except BrokenPipeError:  # the reader of our output has gone, as `| head` does
        _forget_output()
        status = 1
    except OSError as error:  # a disk that is full or cannot be written, which no command can help
        complain(name, *_explained(error))
        _forget_output()
        status = failed
    except RuntimeError as error:
        known = [words for words in _SAID_BY_PYTHON if words in str(error)]
        if not known:
            raise
        complain(name, *_SAID_BY_PYTHON[known[0]])
        status = failed
    except MemoryError:
        complain(name, "there is not enough memory", "free some, or allow more: ulimit -v unlimited")
        status = failed
    except Exception as error:
        if not hasattr(error, "hint") or not hasattr(error, "exit_status"):
            raise
        complain(name, str(error), error.hint)
        status = error.exit_status
    return status if isinstance(status, int) else 0


def _explained(error: OSError) -> tuple[str, str]:
    """The message and the hint for an error."""
    if error.errno == errno.ENOENT and error.filename is None:  # getcwd(2)
        return "the current folder is not there any more", "go to another one"
    if error.errno == errno.ENOENT and str(error.filename).startswith(("/proc/", "/dev/")):
        return f"there is no {error.filename} here", "mount what is missing: /proc (mount -t proc proc /proc), /dev"
    if error.errno in _LIMITS:
        return _LIMITS[error.errno]
    reason = error.strerror or str(error)
    if error.errno in _OF_FILTERS and error.filename is None:
        return (
            f"this system refuses a call that is needed: {reason}",
            "if a container's profile filters system calls, widen it",
        )
    hint = _HINTS.get(error.errno or 0, "make room, or name another place")
    return f"cannot write or read {error.filename or 'the output'}: {reason}", hint


def _forget_output() -> None:
    """Let what is still to be written go nowhere, so that ending does not fail on it again."""
    with contextlib.suppress(FileNotFoundError):  # a system without /dev
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
