"""The doctor's trial: a program of ours that runs inside, under every step of a real sandbox, and binds one port."""

import contextlib
import errno
import os
import socket


def try_out(port: int, closed: str | None) -> int:
    """Bind a port through the supervisor and listen on it; ``closed`` must not be opened.

    Returns 0, or the error's number.
    """
    try:
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", port))
            listener.listen()
        if closed is not None:
            with contextlib.suppress(PermissionError):
                os.close(os.open(closed, os.O_RDONLY))
                return errno.ENOTSUP
    except OSError as error:
        return error.errno or errno.EIO
    return 0
