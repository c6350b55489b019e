"""What every command shares: errors as one line with a hint, exit statuses. Without click, as `run` may start."""

import os
import sys
from collections.abc import Callable
from typing import Protocol

INTERRUPTED = 130


class Explained(Protocol):
    """An error that says what to do next and how the command ends."""

    hint: str
    exit_status: int


def conduct(action: Callable[[], object], name: str) -> int:
    """Do what was asked for; returns the status that the process is to end with.

    It is what the action returns, 0 where that is no number. Every error that carries a hint becomes two lines, never a
    traceback.
    """
    _open_standard_streams()
    try:
        status = action()
        if sys.stdout is not None:  # it is where the caller closed it
            sys.stdout.flush()
    except KeyboardInterrupt:
        status = INTERRUPTED
    except BrokenPipeError:  # the reader of our output has gone, as `| head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        status = 1
    except Exception as error:
        if not hasattr(error, "hint") or not hasattr(error, "exit_status"):
            raise
        complain(name, str(error), error.hint)
        status = error.exit_status
    return status if isinstance(status, int) else 0


def _open_standard_streams() -> None:
    """Stand in for descriptors 0 to 2 that the caller closed, so that no file of ours becomes one of them."""
    while True:
        descriptor = os.open(os.devnull, os.O_RDWR)
        if descriptor > 2:  # noqa: PLR2004 - the last standard stream
            os.close(descriptor)
            return
        os.set_inheritable(descriptor, True)


def complain(name: str, message: str, hint: str) -> None:
    """One line for what is wrong, one for what to do."""
    from binsafe.reports.escape import escape

    note(f"{name}: {escape(message)}")
    note(f"  hint: {escape(hint)}")


def note(message: str) -> None:
    """A line for the person who waits, on standard error."""
    if sys.stderr is not None:  # it is where the caller closed it
        sys.stderr.write(f"{message}\n")
        sys.stderr.flush()
