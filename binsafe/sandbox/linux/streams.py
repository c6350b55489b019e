"""A program's standard streams as descriptors, from descriptors and the constants of :mod:`subprocess`."""

import contextlib
import os
import stat
import subprocess
from types import TracebackType
from typing import IO, Self

from binsafe.errors import NotEnforceable
from binsafe.sandbox.backends import Order


class Streams:
    """Three descriptors for the program; a context manager that lets go of those that were opened here.

    ``pipe`` is our end of its standard output, where a pipe was asked for; it outlives the context.
    """

    def __init__(self, order: Order) -> None:
        self._opened = contextlib.ExitStack()
        self.pipe: IO[bytes] | None = None
        self.descriptors: list[int] = []
        for own, asked in enumerate((order.stdin, order.stdout, order.stderr)):
            self.descriptors.append(self._descriptor(own, asked))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _: type[BaseException] | None, error: BaseException | None, __: TracebackType | None) -> None:
        self._opened.close()
        if error is not None and self.pipe is not None:
            self.pipe.close()

    def _descriptor(self, own: int, asked: int | None) -> int:
        match asked:
            case None:
                return _no_folder(own)
            case subprocess.DEVNULL:
                return self._keep(os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC))
            case subprocess.STDOUT if own == 2:  # standard error
                return self.descriptors[1]
            case subprocess.PIPE if own == 1:
                read, write = os.pipe2(os.O_CLOEXEC)
                self.pipe = open(read, "rb")  # noqa: SIM115 - the caller closes it
                return self._keep(write)
            case descriptor if descriptor >= 0:
                return _no_folder(descriptor)
        raise ValueError(f"only standard output can be a pipe, and standard error go there: not {own}")

    def _keep(self, descriptor: int) -> int:
        self._opened.callback(os.close, descriptor)
        return descriptor


def _no_folder(descriptor: int) -> int:
    """Refuse a folder of the host's: from there a program would find its way to others, past any mount."""
    if stat.S_ISDIR(os.fstat(descriptor).st_mode):
        raise NotEnforceable("a standard stream is a folder", hint="give a file, a pipe or a terminal")
    return descriptor
