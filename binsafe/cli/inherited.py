"""What a caller may leave behind that would confuse us, put right."""

import io
import os
import signal
import sys


def open_standard_streams() -> None:
    """Stand in for descriptors 0 to 2 that the caller closed, so that no file of ours becomes one of them.

    What we ourselves would print on a closed output cannot be written: it must not look as if it had been.
    """
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= 2:  # the last standard stream
        os.set_inheritable(descriptor, True)
    os.close(descriptor)
    if sys.stdout is None:  # Python found it closed
        sys.stdout = os.fdopen(os.open(os.devnull, os.O_RDONLY), "w", encoding="utf-8")
    for descriptor, (name, mode) in enumerate((("stdin", "r"), ("stdout", "w"), ("stderr", "w"))):
        if getattr(sys, name) is None:  # Python found it closed
            setattr(sys, name, open(descriptor, mode, encoding="utf-8", closefd=False))  # noqa: SIM115 - open to the end


def print_any_name() -> None:
    """Let standard output take characters that its encoding has not, as standard error does: as escapes."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")


def wait_for_children() -> None:
    """Restore SIGCHLD where it is inherited as ignored: no child could be waited for (wait(2))."""
    if signal.getsignal(signal.SIGCHLD) is signal.SIG_IGN:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)


def end_on_interrupt() -> None:
    """Let Ctrl-C end this process at once, where it has no other meaning: as a command that has begun nothing yet.

    An exception of Python's would come up in the middle of extension modules that expect none.
    """
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
