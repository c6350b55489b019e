"""What is denied, in the words that its user gets: the call, what it was about, and what would allow it."""

import errno
import posixpath
import time

from binsafe.model import Violation
from binsafe.model.violation import UNGRANTABLE
from binsafe.sandbox.linux import elsewhere
from binsafe.sandbox.linux.describing import error_name
from binsafe.sandbox.linux.layout import PRIVATE_TMP, SCRATCH, SCRATCH_BYTES
from binsafe.sandbox.linux.loading import MADE_INSIDE
from binsafe.sandbox.linux.notifications import Call
from binsafe.sandbox.linux.offering import option
from binsafe.sandbox.linux.root import MOST_FILES
from binsafe.sandbox.linux.watching import Watch
from binsafe.sandbox.reporting import Reporter


class Denials:
    """Reports what one program was denied, and what went with it when it ended."""

    def __init__(self, watch: Watch, reporter: Reporter) -> None:
        self._watch = watch
        self._reporter = reporter

    def report(
        self,
        call: Call,
        name: str,
        object_: str,
        *,
        result: int,
        operation: str | None = None,
        expected: bool = False,
        grant: str,
    ) -> None:
        """A call of that name that ended with the error ``result``; ``operation`` where that is another word.

        ``expected`` says that programs do without; ``grant`` is the option that would allow it, or why none does.
        """
        if grant == f"--exec {object_}":
            found = self._watch.outside.get(object_) or self._watch.sought(object_)
            named = self._watch.named(object_) if found is None else None
            grant, expected = named or f"--exec {found or object_}", expected or (found or named) is None
            if found == object_ and not elsewhere.may_exist(object_):
                grant = MADE_INSIDE
        kind = name if call.number in self._watch.names else "unknown"  # numbers are the program's to invent
        if not self._reporter.admits(kind, object_, expected=expected):
            return
        if grant.startswith("--") and not grant.isprintable():
            grant = f"{UNGRANTABLE}no option takes a name that is not printable"
        self._reporter.report(
            Violation(
                time=time.time(),
                pid=call.pid,
                operation=operation or {"execve": "execute", "execveat": "execute"}.get(name, name),
                object=object_.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace"),
                syscall=name,
                arguments=tuple(f"{argument:#x}" for argument in call.arguments),
                result=error_name(result),
                predicted=name in self._watch.foreseen,
                expected=expected,
                grant=grant,
            )
        )

    def killed(self, pid: int) -> None:
        """The program ended by SIGSYS, with which the kernel ends who makes a call of another architecture.

        From a signal that it sends to itself nobody can tell that.
        """
        what = "a call by another architecture's numbers (int 0x80, x32), unless it sent itself SIGSYS"
        if self._reporter.admits("unknown", what):
            why = "the filter knows this processor's own numbers only"
            self._ended(pid, "syscall", what, syscall="unknown", result="SIGSYS", why=why)

    def went_on(self, pid: int) -> None:
        """The program ended as if all were well, and what it had started runs on: until we end it, which is now."""
        why = "all ends with the program that was started; let a server stay in the foreground"
        self._ended(pid, "process", "in the background", syscall="exit_group", result="SIGKILL", why=why)

    def stood_in(self, pid: int, path: str) -> None:
        """The program comes to another file than the one that its user means, and nothing else would tell them."""
        self._tell(pid, "read", path, syscall="openat", result="EACCES", grant=option(path, writes=False))

    def gone(self, pid: int, path: str) -> None:
        """What the program wrote where it was told to goes with it, because that was in a folder of its own."""
        if self._reporter.admits("gone", path):
            place = path
            while not elsewhere.may_exist(posixpath.dirname(place)):  # the program has made that folder, too
                place = posixpath.dirname(place)
            self._tell(pid, "keep", path, syscall="exit_group", result="ENOENT", grant=option(place, writes=True))

    def full(self, pid: int, path: str) -> None:
        """It leaves no room in a folder of its own, so that it may have found none for what it wanted to write."""
        what = f"{path} (full: {SCRATCH_BYTES >> 20} MiB or {MOST_FILES:,} files)"
        grant = "--scratch DIR" if path in (SCRATCH, PRIVATE_TMP) else option(path, writes=True)
        self._tell(pid, "write", what, syscall="write", result="ENOSPC", grant=grant)

    def crowded(self, call: Call, name: str, most: int) -> None:
        """It has as many processes and threads as it may have, and tries to start one more."""
        what = f"nproc (more than {most} processes and threads at once)"
        grant = f"--baseline FILE, with nproc: {2 * most} among its limits"
        self.report(call, name, what, operation="limit", result=errno.EAGAIN, grant=grant)

    def _ended(self, pid: int, operation: str, what: str, *, syscall: str, result: str, why: str) -> None:
        self._tell(pid, operation, what, syscall=syscall, result=result, grant=f"{UNGRANTABLE}{why}")

    def _tell(self, pid: int, operation: str, what: str, *, syscall: str, result: str, grant: str) -> None:
        self._reporter.report(
            Violation(
                time=time.time(),
                pid=pid,
                operation=operation,
                object=what,
                syscall=syscall,
                result=result,
                grant=grant,
            )
        )
