"""The doctor's trial: a program of ours that runs inside, under every step of a real sandbox, and binds one port."""

import contextlib
import errno
import os
import socket

ANY_PORT = 0
"""The kernel chooses: one that was found free beforehand may be another's by then."""


def try_out(closed: str | None) -> int:
    """Bind a port through the supervisor and listen on it; ``closed`` must not be opened.

    Returns 0, or the error's number.
    """
    try:
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", ANY_PORT))
            listener.listen()
        if closed is not None:
            with contextlib.suppress(PermissionError):
                os.close(os.open(closed, os.O_RDONLY))
                return errno.ENOTSUP
    except OSError as error:
        return error.errno or errno.EIO
    return 0
