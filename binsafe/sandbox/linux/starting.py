"""Starting the stage with a plan, and taking its listener over before the program runs."""

import contextlib
import errno
import json
import os
import pwd
import select
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from binsafe.errors import BinsafeError
from binsafe.sandbox.linux import kernel
from binsafe.sandbox.linux.answering import Watch
from binsafe.sandbox.linux.explain import explain
from binsafe.sandbox.linux.notifications import Listener
from binsafe.sandbox.linux.process import Process
from binsafe.sandbox.linux.supervisor import Supervisor, readable

START_SECONDS: Final = 20.0
"""Time that the way from fork to execve may take; it needs about 0.05 s."""

Plan = dict[str, Any]
Stdio = tuple[int | None, int | None, int | None]

_PACKAGES = str(Path(__file__).resolve().parents[3])
_START = (
    "import os, sys; sys.path.append(sys.argv[1]); "
    "from binsafe.sandbox.linux.stage import main; os._exit(main(int(sys.argv[2]), int(sys.argv[3])))"
)
_CREDENTIALS = struct.Struct("=iII")
_MAX_MESSAGE = 65536
_DYNAMIC_USERS: Final = range(61184, 65520)
"""Ids that systemd keeps for users that exist only while a service runs (systemd.io/UIDS-GIDS)."""


def start(plan: Plan, watch: Watch, *, inherited: Sequence[int], stdio: Stdio, backend: str) -> Process:
    """Start the stage and return when the program itself runs; nothing is left when that fails.

    Raises:
        NotEnforceable: a part of the sandbox cannot be had here.
        NotExecutable: the kernel refused to execute the program.
    """
    with contextlib.ExitStack() as undo:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        undo.callback(ours.close)
        status, status_w = os.pipe2(os.O_CLOEXEC)
        undo.callback(os.close, status)
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        written = _write(plan | {"supervisor": os.getpid(), "uid": _spare_user(), "status": status_w})
        try:
            passed = [theirs.fileno(), written, status_w, *inherited]
            middle = _spawn(theirs.fileno(), written, passed, stdio)
        finally:
            theirs.close()
            os.close(written)
            os.close(status_w)
        undo.callback(_kill, middle)
        pidfd, listener = _take_listener(ours, status)
        undo.pop_all()  # from here on they are the supervisor's, which lets go of all of them at its end
    supervisor = Supervisor(listener=listener, control=ours, status=status, pidfd=pidfd, watch=watch)
    supervisor.start()
    process = Process(middle, supervisor, ours, backend)
    if not supervisor.started.wait(START_SECONDS) or supervisor.failure is not None:
        process.stop(grace=0)
        raise explain(supervisor.failure or {"step": "execute", "detail": "it took too long"})
    return process


def _spawn(control: int, plan: int, inherited: list[int], stdio: Stdio) -> "subprocess.Popen[bytes]":
    """A fresh interpreter, isolated from the user's environment and from what site-packages would start."""
    stdin, stdout, stderr = stdio
    return subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", _START, _PACKAGES, str(control), str(plan)],
        pass_fds=inherited,
        env={},
        stdin=stdin,
        stdout=stdout,
        stderr=stderr,
    )


def _kill(middle: "subprocess.Popen[bytes]") -> None:
    middle.kill()
    middle.wait()


def _write(plan: Plan) -> int:
    """The plan in memory without a name, however large it is; ASCII, with names of any bytes escaped."""
    descriptor = os.memfd_create("binsafe-plan", os.MFD_CLOEXEC)
    with open(descriptor, "w", encoding="ascii", closefd=False) as stream:
        json.dump(plan, stream)
    return descriptor


def _spare_user() -> int | None:
    """A user id that owns nothing, for a sandbox started by root; None for an ordinary user, who stays who they are.

    None also for the root of a container that has no such id: outside, that is an ordinary user.
    """
    if os.geteuid() != 0:
        return None
    taken = {entry.pw_uid for entry in pwd.getpwall()}
    first = os.getpid() % len(_DYNAMIC_USERS)
    candidates: list[int] = [*_DYNAMIC_USERS[first:], *_DYNAMIC_USERS[:first]]
    mapped = [_mapped(f"/proc/self/{kind}_map") for kind in ("uid", "gid")]
    fitting = (uid for uid in candidates if uid not in taken)
    return next((uid for uid in fitting if all(any(uid in ids for ids in each) for each in mapped)), None)


def _mapped(path: str) -> list[range]:
    """The ids that exist in our user namespace (user_namespaces(7))."""
    with open(path, encoding="ascii") as stream:
        rows = [[int(word) for word in line.split()] for line in stream]
    return [range(start, start + count) for start, _, count in rows]


def _take_listener(control: socket.socket, status: int) -> tuple[int, Listener]:
    """Wait until the stage is about to install its filter, then duplicate the listener as soon as it is there.

    Returns a pidfd of the program-to-be and its listener.
    """
    deadline = time.monotonic() + START_SECONDS
    pid, number = _wait_until_armed(control, status, deadline)
    pidfd = os.pidfd_open(pid)
    try:
        while time.monotonic() < deadline:
            ended = readable(status)  # before we look: what ends after that may have installed its filter first
            try:
                return pidfd, Listener(kernel.pidfd_getfd(pidfd, number))
            except OSError as error:
                if error.errno != errno.EBADF:  # EBADF: the filter is not installed yet
                    raise explain({"step": "listener", "errno": error.errno, "detail": str(error)}) from error
            if ended:
                raise _failure(os.read(status, _MAX_MESSAGE))
            time.sleep(0.0002)
        raise explain({"step": "listener", "detail": "the filter's listener did not appear in time"})
    except BaseException:
        os.close(pidfd)
        raise


def _wait_until_armed(control: socket.socket, status: int, deadline: float) -> tuple[int, int]:
    """The host's pid of the stage's last process, as the kernel attests it, and its listener's descriptor-to-be."""
    poll = select.poll()
    poll.register(control, select.POLLIN)
    poll.register(status, select.POLLIN)
    while (left := deadline - time.monotonic()) > 0:
        for descriptor, _ in poll.poll(left * 1000):
            if descriptor == status:
                raise _failure(os.read(status, _MAX_MESSAGE))
            try:
                message, ancillary, _, _ = control.recvmsg(_MAX_MESSAGE, socket.CMSG_SPACE(_CREDENTIALS.size))
            except ConnectionResetError as error:
                raise _failure(b"") from error
            told = json.loads(message) if message else {}
            if "armed" not in told:
                raise _failure(message)
            credentials = next(data for _, kind, data in ancillary if kind == socket.SCM_CREDENTIALS)
            return _CREDENTIALS.unpack(credentials[: _CREDENTIALS.size])[0], int(told["armed"])
    raise explain({"step": "stage", "detail": "it did not get ready in time"})


def _failure(message: bytes) -> BinsafeError:
    told = json.loads(message) if message else {}
    return explain(told.get("failed", {"step": "stage", "detail": "it ended without a word"}))
