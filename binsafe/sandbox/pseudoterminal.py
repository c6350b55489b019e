"""A terminal of the program's own, where the user sits at one: of the same size, and as simple as a pipe otherwise."""

import contextlib
import os
import termios
import tty


class PseudoTerminal:
    """``slave`` is the program's end, until it has been closed; ``master`` is ours."""

    def __init__(self) -> None:
        self.master, self.slave = os.openpty()
        attributes = termios.tcgetattr(self.slave)
        attributes[tty.OFLAG] &= ~termios.OPOST
        attributes[tty.LFLAG] &= ~(termios.ECHO | termios.ISIG)  # our own terminal does that
        termios.tcsetattr(self.slave, termios.TCSANOW, attributes)
        self.resize()

    def resize(self) -> None:
        """Give it the size of ours."""
        with contextlib.suppress(OSError, termios.error):
            termios.tcsetwinsize(self.master, termios.tcgetwinsize(0))

    def end_of_file(self) -> bytes:
        """The character that ends its input."""
        return bytes(termios.tcgetattr(self.master)[tty.CC][termios.VEOF])
