"""Ties a process group to its supervisor where the kernel offers no such thing (macOS): run as a script of its own.

    python guard.py LIFELINE REPORT COMMAND...

Starts COMMAND in a new session, writes its pid to the descriptor REPORT, and waits. When the descriptor LIFELINE comes
to its end, because the supervisor closed it or died, the whole group is killed. Exits with the command's own status.
"""

import contextlib
import os
import select
import signal
import sys

_INTERVAL_MS = 100


def main(arguments: list[str]) -> int:
    """Run until the command or the supervisor ends."""
    lifeline, report = int(arguments[0]), int(arguments[1])
    os.setsid()  # a Ctrl-C on the terminal is the supervisor's business
    pid = os.fork()
    if pid == 0:
        os.setsid()
        os.closerange(3, max(lifeline, report) + 1)
        os.execv(arguments[2], arguments[2:])
    os.write(report, str(pid).encode())
    os.close(report)
    status = wait(pid, lifeline)
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)  # what the command may have left in its group
    return status if status >= 0 else 128 - status


def wait(pid: int, lifeline: int) -> int:
    """The command's exit code (negative: a signal); kills it when the lifeline ends."""
    poll = select.poll()
    poll.register(lifeline, select.POLLIN)
    while True:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        if poll.poll(_INTERVAL_MS):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(pid, signal.SIGKILL)
            return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
