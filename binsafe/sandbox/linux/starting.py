"""Starting the stage with a plan, and taking its listener over before the program runs."""

import contextlib
import errno
import marshal
import os
import pwd
import select
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Sequence
from typing import IO, TYPE_CHECKING, Any, Final, Self

from binsafe import kernel
from binsafe.errors import BinsafeError
from binsafe.sandbox.linux import messages
from binsafe.sandbox.linux.explain import Failure, explain, failure_in
from binsafe.sandbox.linux.notifications import Listener, readable

if TYPE_CHECKING:
    from binsafe.sandbox.backends import Order
    from binsafe.sandbox.linux.process import Process
    from binsafe.sandbox.linux.watching import Watch

START_SECONDS: Final = 20.0
"""Time that the way from fork to execve may take; it needs about 0.05 s."""

Plan = dict[str, Any]

_PACKAGES = os.path.realpath(os.path.join(os.path.dirname(__file__), "..", "..", ".."))
_START = (
    "import os, sys; sys.path.append(sys.argv[1]); "
    "from binsafe.sandbox.linux.stage import main; os._exit(main(*map(int, sys.argv[2:])))"
)
_CREDENTIALS = struct.Struct("=iII")
_DYNAMIC_USERS: Final = range(61184, 65520)
"""Ids that systemd keeps for users that exist only while a service runs (systemd.io/UIDS-GIDS)."""


class Stage:
    """A fresh interpreter that has been started and waits for its plan, so that it starts while the plan is made.

    A context manager that ends it, unless the program runs in the end.
    """

    def __init__(self) -> None:
        with contextlib.ExitStack() as undo:
            self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            undo.callback(self._control.close)
            self._control.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
            self._status, status = os.pipe2(os.O_CLOEXEC)
            undo.callback(os.close, self._status)
            self._plan = os.memfd_create("binsafe-plan", os.MFD_CLOEXEC)  # of any size, and without a name
            undo.callback(os.close, self._plan)
            try:
                self._middle = _spawn(theirs.fileno(), self._plan, status)
            finally:
                theirs.close()
                os.close(status)
            undo.callback(_kill, self._middle)
            self._undo = undo.pop_all()

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._middle.pid

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End it, unless the program runs. Idempotent."""
        self._undo.close()

    def begin(self, plan: Plan, streams: Sequence[int], passed: Sequence[int]) -> None:
        """Let it carry out a plan, which names descriptors that are ``passed``. ``streams`` are the program's three."""
        plan = plan | {"supervisor": os.getpid(), "uid": _spare_user(), "passed": list(passed)}
        with open(self._plan, "wb", closefd=False) as stream:
            marshal.dump(plan, stream)  # what the interpreter has anyway; the stage trusts us
        with contextlib.suppress(BrokenPipeError):  # it has ended; the status pipe says so to `supervise`
            socket.send_fds(self._control, [messages.GO], [*streams, *passed])

    def supervise(self, watch: "Watch", backend: str, stdout: IO[bytes] | None = None) -> "Process":
        """Return when the program itself runs; nothing is left when that fails.

        Raises:
            NotEnforceable: a part of the sandbox cannot be had here.
            NotExecutable: the kernel refused to execute the program.
        """
        from binsafe.sandbox.linux.process import Process  # these two while the stage works
        from binsafe.sandbox.linux.supervisor import Supervisor

        pidfd, listener = _take_listener(self._control, self._status)
        self._undo.pop_all()  # from here on they are the supervisor's, which lets go of all of them at its end
        os.close(self._plan)
        supervisor = Supervisor(listener=listener, control=self._control, status=self._status, pidfd=pidfd, watch=watch)
        supervisor.start()
        process = Process(self._middle, supervisor, self._control, backend, stdout)
        if not supervisor.started.wait(START_SECONDS) or supervisor.failure is not None:
            process.stop(grace=0)
            raise explain(supervisor.failure or Failure("execute", detail="it took too long"))
        return process


def stage_for(order: "Order") -> Stage:
    """The stage that was prepared for a start, or a new one."""
    return order.prepared if isinstance(order.prepared, Stage) else Stage()


def _spawn(*own: int) -> "subprocess.Popen[bytes]":
    """The interpreter, isolated from the user's environment and from what site-packages would start."""
    return subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", _START, _PACKAGES, *map(str, own)],
        pass_fds=own,
        env={},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,  # a Ctrl-C on the terminal is the supervisor's business
    )


def _kill(middle: "subprocess.Popen[bytes]") -> None:
    middle.kill()
    middle.wait()


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
    try:
        pidfd = os.pidfd_open(pid)
    except OSError as error:
        raise _no_listener(error, status) from error
    try:
        while time.monotonic() < deadline:
            try:
                return pidfd, Listener(kernel.pidfd_getfd(pidfd, number))
            except OSError as error:
                if error.errno != errno.EBADF:  # EBADF: the filter is not installed yet, or its process just ended
                    raise _no_listener(error, status) from error
            time.sleep(0.0002)
        raise explain(Failure("listener", detail="the filter's listener did not appear in time"))
    except BaseException:
        os.close(pidfd)
        raise


def _no_listener(error: OSError, status: int) -> BinsafeError:
    """Why there is no listener to take over: the process has ended, and said why, or we may not reach into it."""
    if error.errno == errno.ESRCH:
        return _failed(os.read(status, messages.MAX_MESSAGE))
    return explain(Failure("listener", error.errno or 0, str(error)))


def _wait_until_armed(control: socket.socket, status: int, deadline: float) -> tuple[int, int]:
    """The host's pid of the stage's last process, as the kernel attests it, and its listener's descriptor-to-be."""
    poll = select.poll()
    poll.register(control, select.POLLIN)
    poll.register(status, select.POLLIN)
    while (left := deadline - time.monotonic()) > 0:
        for descriptor, _ in poll.poll(left * 1000):
            if descriptor == status:
                raise _failed(os.read(status, messages.MAX_MESSAGE))
            space = socket.CMSG_SPACE(_CREDENTIALS.size)
            try:
                message, ancillary, _, _ = control.recvmsg(messages.MAX_MESSAGE, space)
            except ConnectionResetError as error:
                raise _failed(b"") from error
            armed = messages.decode(message, "armed", 1)
            if armed is None:  # init's words, which come last: what the process itself said, if it did, tells more
                raise _failed((readable(status) and os.read(status, messages.MAX_MESSAGE)) or message)
            credentials = next(data for _, kind, data in ancillary if kind == socket.SCM_CREDENTIALS)
            return _CREDENTIALS.unpack(credentials[: _CREDENTIALS.size])[0], int(armed[0])
    raise explain(Failure(detail="it did not get ready in time"))


def _failed(message: bytes) -> BinsafeError:
    return explain(failure_in(message) or Failure())
