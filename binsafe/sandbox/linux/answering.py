"""What the supervisor answers to a call that waits: carried out here, let through as the kernel decides, or refused.

No *deciding* call continues in the program. Four kinds go on: what the launcher's own code does until its execve; a
call with a path, which comes by only to be named (mounts and Landlock decide); an execve of a granted program: the
only files that can be executed inside are private, read-only copies, so another path would lead to another of those;
and the start of a process or thread, which comes by only to be counted (registers alone say what it is).
"""

import errno
import math
import os
import posixpath
from collections.abc import Callable, Mapping
from typing import Final

from binsafe import kernel
from binsafe.sandbox.linux import elsewhere, inside, loading, owned, refusing
from binsafe.sandbox.linux.alone import ALONE
from binsafe.sandbox.linux.connecting import Connector
from binsafe.sandbox.linux.denials import Denials
from binsafe.sandbox.linux.describing import NAMELESS, NO_NAME, ONLY_INSIDE, by_path, describe, grant_for
from binsafe.sandbox.linux.grafting import graft, listen
from binsafe.sandbox.linux.limiting import is_of_dumps, raised
from binsafe.sandbox.linux.lookups import Lookups, resolve
from binsafe.sandbox.linux.neighbours import count_tasks
from binsafe.sandbox.linux.notifications import Call, Listener
from binsafe.sandbox.linux.pathcalls import PATH_CALLS
from binsafe.sandbox.linux.planning import NO_DUMPS, STARTS
from binsafe.sandbox.linux.reaching import SIGNALS, is_to_itself, target_of
from binsafe.sandbox.linux.sockets import Refused
from binsafe.sandbox.linux.watching import Watch

_UTS_LENGTH: Final = 65
_NODENAME: Final = 1
"""linux/utsname.h: six names of that length, the host's being the second."""

_NO_CAPABILITIES: Final = bytes(24)
"""linux/capability.h: three sets of 64 bits, in halves."""


class Answerer:
    """Answers one program's calls and reports what it refuses."""

    def __init__(self, listener: Listener, watch: Watch, denials: Denials) -> None:
        self._listener = listener
        self._watch = watch
        self._denials = denials
        self._connector = Connector(listener, watch.destinations)
        self._named: Mapping[str, Callable[[Call, str], None]] = {
            **dict.fromkeys(ALONE, self._reach),
            **dict.fromkeys(("prlimit64", "setrlimit"), self._limit),
            **dict.fromkeys(STARTS, self._start),
            "mmap": self._map,
        }
        self._stood_in = set(watch.stood_in)
        """Those of them that it has not come to yet."""
        self._limits: set[str] = set()
        """Those that it was told it cannot raise."""
        self._room = 0.0
        """Processes and threads that can be started before they have to be counted."""
        self.grafts: dict[int, int] = {}
        """Port -> inode of the socket that was handed over for it."""

    def answer(self, call: Call) -> None:
        """Answer a call of the program; raises ``Gone`` where its caller no longer waits."""
        name = self._watch.names.get(call.number, str(call.number))
        may = self._watch.allows(name, call.arguments)
        if may and name in PATH_CALLS and self._watch.lookups is not None:
            self._look(call, name, self._watch.lookups)
        elif name == "ioctl" and self._watch.terminal is not None and self._sets_modes(call):
            return
        elif name == "bind":
            self._carry_out(call, name, self._bind)
        elif may and name == "listen" and self._watch.ports:
            self._carry_out(call, name, self._listen)
        elif name == "connect" and self._watch.destinations.addresses:
            self._carry_out(call, name, self._connector.answer)
        elif may and name == "uname":
            self._carry_out(call, name, self._name)
        elif may and name in self._named:
            self._named[name](call, name)
        elif name == "execve":
            self._carry_out(call, name, self._execute)
        else:
            self._refuse(call, name)

    def executes(self, call: Call) -> bool:
        """Whether a call is one that executes a file."""
        return self._watch.names.get(call.number) in ("execve", "execveat")

    def _carry_out(self, call: Call, name: str, action: Callable[[Call], None]) -> None:
        try:
            action(call)
        except Refused as refused:
            self._listener.finish(call, refused.errno)
            grant = refused.grant or grant_for(name)
            self._denials.report(
                call, name, refused.object, result=refused.errno, expected=refused.expected, grant=grant
            )
        except OSError as error:  # the host's answer: taken port, bad address
            self._listener.finish(call, error.errno or errno.EINVAL)

    def _bind(self, call: Call) -> None:
        made = graft(self._listener, call, self._watch.ports)
        self.grafts[made.port] = made.inode
        self._listener.finish(call)

    def _listen(self, call: Call) -> None:
        listen(self._listener, call, self._watch.ports.union(self.grafts))  # and what was chosen for port 0
        self._listener.finish(call)

    def _execute(self, call: Call) -> None:
        text = self._listener.read_text(call, call.arguments[0])
        if not text:  # what is left of a helper that was not found (nim's compiler), which is what is to be told
            raise Refused(errno.ENOENT, NAMELESS, expected=True, grant=NO_NAME)
        path = resolve(call, text, None) or text
        if path in self._watch.executables or self._watch.follow(path) in self._watch.executables:
            self._listener.proceed(call)
            return
        folder, name = posixpath.split(path)
        if any(posixpath.basename(granted) == name for granted in self._watch.executables):
            raise Refused(errno.ENOENT, path, expected=folder in elsewhere.SEARCHED, grant=by_path("--exec", path))
        number = errno.ENOENT if folder not in elsewhere.SEARCHED and self._is_missing(call, path) else errno.EPERM
        raise Refused(number, path, grant=by_path("--exec", path))

    def _is_missing(self, call: Call, path: str) -> bool:
        """Whether nothing is at that path inside: who searches along the PATH goes on, to what there is to be named.

        npm's PATH begins with folders of the project, which have no shell, and at any other error it would end there.
        """
        if self._watch.alone or not path.startswith("/") or elsewhere.leaves(path, f"/proc/{call.pid}/root"):
            return False
        return not kernel.is_there(call.pid, path)

    def _reach(self, call: Call, name: str) -> None:
        """Report a call whose target is not in the sandbox. The kernel decides, except without a PID namespace."""
        target = target_of(call, name, alone=self._watch.alone)
        signals = name in SIGNALS
        number = errno.EPERM if signals and self._watch.alone else errno.ESRCH
        if self._watch.alone and not target.found:
            self._listener.finish(call, number)
        else:
            self._listener.proceed(call)
        if not target.found:
            operation = "signal" if signals else "process"
            self._denials.report(call, name, target.object, operation=operation, result=number, grant=ONLY_INSIDE)

    def _start(self, call: Call, name: str) -> None:
        """Go on, and say so where the kernel will refuse, because there are as many as there may be.

        They are counted anew only when so many may have come since the last time; and once they are too many, no more.
        """
        if self._room == 0:
            most = self._watch.limits.get("NPROC", math.inf)
            self._room = max(most - count_tasks(call.pid), 0)
            if self._room == 0:
                self._denials.crowded(call, name, int(most))
                self._room = math.inf
        self._room -= 1
        self._listener.proceed(call)

    def _limit(self, call: Call, name: str) -> None:
        """Go on, and say so where the kernel will refuse, because a hard limit stays where the policy put it.

        Where there shall be no core dumps, nobody can lower their limit either: that it is low enough is no lie.
        """
        above = raised(self._listener, call, name, self._watch.limits)
        if is_of_dumps(call, name) and self._watch.limits.get("CORE") == NO_DUMPS:
            self._listener.finish(call, errno.EPERM if above else 0)
        else:
            self._listener.proceed(call)
        if above is not None:  # redis asks for ten thousand files, for sixteen less, and so on: the first says it all
            limit, grant = above
            again = limit in self._limits
            self._limits.add(limit)
            self._denials.report(call, name, limit, operation="limit", result=errno.EPERM, expected=again, grant=grant)

    def _map(self, call: Call, name: str) -> None:
        """Go on, and say so where the kernel will refuse, because nothing in a granted folder is executed."""
        code = loading.refused(call)
        self._listener.proceed(call)
        if code is not None:
            path, grant = code
            self._denials.report(call, name, path, operation="load", result=errno.EPERM, grant=grant)

    def _sets_modes(self, call: Call) -> bool:
        """Carry out what is about the modes of the program's own terminal; False where it is about something else."""
        from binsafe.sandbox.linux import terminals  # services have none

        terminal = self._watch.terminal
        if terminal is None or not terminals.is_about_modes(call):
            return False
        try:
            if terminals.answer(self._listener, call, terminal):
                return True
        except OSError as error:
            self._listener.finish(call, error.errno or errno.EFAULT)
            return True
        if self._watch.allows("ioctl", call.arguments):
            self._listener.proceed(call)
            return True
        return False

    def _look(self, call: Call, name: str, lookups: Lookups) -> None:
        kind = PATH_CALLS[name]
        asked = lookups.asked(self._listener, call, kind)
        if asked is None:
            self._listener.proceed(call)
            return
        if asked.path in self._stood_in:
            self._stood_in.discard(asked.path)
            self._denials.stood_in(call.pid, asked.path)
        give = owned.find(call, kind, asked.path, called=self._watch.called, terminal=self._watch.terminal)
        if give is not None and not lookups.given.holds(asked.path):
            self._carry_out(call, name, lambda call: give(self._listener, call))
            return
        missed = lookups.miss(call, kind, asked)
        if missed is None and kind.source is not None and (moved := lookups.asked(self._listener, call, kind.source)):
            missed = lookups.miss(call, kind.source, moved)
        if missed is not None and lookups.refuses:
            there = missed.writes or lookups.given.leads_on(missed.path)
            self._listener.finish(call, errno.EACCES if there else errno.ENOENT)
        else:
            self._listener.proceed(call)
        if missed is not None and missed.there:
            grant = self._watch.wanted(missed, opened=kind.flags is not None)
            named = missed.path == "/" and self._watch.names_root
            self._denials.report(
                call,
                name,
                missed.path,
                operation="write" if missed.writes else "read",
                result=errno.EACCES,
                expected=not named and lookups.is_usual(missed, kind, starts=grant.startswith("--exec ")),
                grant=grant,
            )

    def _name(self, call: Call) -> None:
        """What uname(2) says, without the name of the host and its domain."""
        names = (*os.uname(), "(none)")
        told = (inside.HOSTNAME if place == _NODENAME else name for place, name in enumerate(names))
        text = b"".join(name.encode()[: _UTS_LENGTH - 1].ljust(_UTS_LENGTH, b"\0") for name in told)
        self._listener.write(call, call.arguments[0], text)
        self._listener.finish(call)

    def _refuse(self, call: Call, name: str) -> None:
        usual = refusing.usual(name, call.arguments, resolves=self._watch.resolves)
        if usual is not None:
            what, number = usual
            self._listener.finish(call, number)
            self._denials.report(call, name, what, result=number, expected=True, grant=grant_for(name))
        elif refusing.changes_nothing(name, call.arguments) or self._gives_up_nothing(call, name):
            self._listener.finish(call)
        elif name == "kill" and is_to_itself(call):
            self._listener.proceed(call)
        elif name == "socketpair" and self._may_pair(call.arguments):
            self._carry_out(call, name, lambda call: owned.give_pair(self._listener, call))
        else:
            number, expected = refusing.denied_with(name, known=name in self._watch.granted)
            refused = describe(self._listener, call, name)
            self._listener.finish(call, number)
            self._denials.report(
                call,
                name,
                refused.object,
                operation=refused.operation,
                result=number,
                grant=refused.grant,
                expected=expected,
            )

    def _gives_up_nothing(self, call: Call, name: str) -> bool:
        """Whether it asks for no capabilities at all, and has none: servers and ip(8) end where that is refused."""
        if name != "capset":
            return False
        try:
            return self._listener.read(call, call.arguments[1], len(_NO_CAPABILITIES)) == _NO_CAPABILITIES
        except OSError:
            return False

    def _may_pair(self, arguments: tuple[int, ...]) -> bool:
        other = owned.as_messages(arguments)
        return other is not None and self._watch.allows("socketpair", other)
