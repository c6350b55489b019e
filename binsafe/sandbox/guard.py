"""Ties a process group to its supervisor where the kernel offers no such thing (macOS): run as a script of its own.

    python guard.py LIFELINE REPORT LIMITS COMMAND...

Starts COMMAND in a new session under LIMITS (``NOFILE=1024,CORE=0``, the names of setrlimit(2)), writes its pid to the
descriptor REPORT, and waits. When the descriptor LIFELINE comes to its end, because the supervisor closed it or died,
the whole group is killed, and so it is when somebody ends the guard. Exits with the command's own status. Of a guard
that is killed outright (SIGKILL) the supervisor learns, and ends the group itself.
"""

import contextlib
import os
import resource
import select
import signal
import sys

_INTERVAL_MS = 100


def main(arguments: list[str]) -> int:
    """Run until the command or the supervisor ends."""
    lifeline, report = int(arguments[0]), int(arguments[1])
    os.setsid()  # a Ctrl-C on the terminal is the supervisor's business
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT, signal.SIGQUIT):
        signal.signal(number, _leave)  # execv(2) gives the command the usual effect back
    pid = os.fork()
    if pid == 0:
        os.setsid()
        os.closerange(3, max(lifeline, report) + 1)
        limit(arguments[2])
        os.execv(arguments[3], arguments[3:])
    with contextlib.suppress(BrokenPipeError):  # the supervisor has died already, as the lifeline will say
        os.write(report, str(pid).encode())
    os.close(report)
    try:
        status = wait(pid, lifeline)
    except BaseException:
        kill(pid)
        raise
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)  # what the command may have left in its group
    return status if status >= 0 else 128 - status


def _leave(number: int, _: object) -> None:
    raise SystemExit(128 + number)


def kill(pid: int) -> None:
    """End the command and its group; before its setsid(2) there is no such group yet, and nobody but it."""
    for how in (os.killpg, os.kill):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            how(pid, signal.SIGKILL)


def limit(limits: str) -> None:
    """Set soft and hard limits alike; one that is higher than what we have ourselves is ours already."""
    for name, _, value in (part.partition("=") for part in limits.split(",") if part):
        which = getattr(resource, f"RLIMIT_{name}")
        hard = resource.getrlimit(which)[1]
        wanted = int(value) if hard == resource.RLIM_INFINITY else min(int(value), hard)
        resource.setrlimit(which, (wanted, wanted))


def wait(pid: int, lifeline: int) -> int:
    """The command's exit code (negative: a signal); kills it when the lifeline ends."""
    poll = select.poll()
    poll.register(lifeline, select.POLLIN)
    while True:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        if poll.poll(_INTERVAL_MS):
            kill(pid)
            return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
