"""The way from an ordinary process to the sandboxed program, one irreversible step after the other.

Runs as a fresh, isolated interpreter that the supervisor starts (unsharing a user namespace needs a single thread):

    middle   drops root, leaves all namespaces, and waits        (host's pid namespace)
    └─ init  builds the empty root, then only reaps and watches  (pid 1 inside)
       └─ program: limits, no privileges, Landlock, seccomp, execve (``becoming``)

Where there are no namespaces (``fallback``) middle itself reaps and watches, and ends the program; that can start no
other process there.

What to do comes as one plan in a file without a name (``planning.py`` makes it), which is read when the supervisor says
so: until then the interpreter has started while the plan was made. What happened goes back on the control socket.
When the supervisor dies, however it dies, init reads the end of that socket and exits, and the kernel then kills
whatever lives in the namespace; a parent-death signal on middle and init is the second belt.

Nothing here imports more than it needs: ``typing``, ``json``, ``socket`` and ``contextlib`` would each cost a start
more than the steps below do.
"""

import _socket  # what `socket` adds to it takes milliseconds
import errno
import marshal
import os
import select

from binsafe import kernel
from binsafe.sandbox.linux import inside, messages
from binsafe.sandbox.linux.becoming import become_program, close_all_but
from binsafe.sandbox.linux.failing import guarded, step
from binsafe.sandbox.linux.root import build_root

TYPE_CHECKING = False
if TYPE_CHECKING:
    from binsafe.sandbox.linux.failing import Plan, Tell

MOST_PASSED = 16
"""Descriptors that come with the word to go: three streams, and what the plan names."""
INT_BYTES = 4
MOST_GONE = 100
"""Files that are looked for when the program has ended."""
NEARLY = 100
"""A folder is full where not one part in so many is free: who finds no room for much may still write a little."""
OOM_SCORE_ADJ = 500
"""As if half of all memory were its own (proc(5))."""


def main(control: int, plan_fd: int, status: int) -> int:
    """Wait for the plan and follow it."""
    for descriptor in (control, plan_fd, status):
        os.set_inheritable(descriptor, False)
    kernel.default_signals(kernel.SIGCHLD)  # where it is ignored, nobody can wait for a child
    received = receive(control)
    if received is None:
        return 0  # nothing is to be started after all

    def tell(message: bytes) -> None:
        try:  # noqa: SIM105 - contextlib is dear
            os.write(control, message)
        except OSError:
            pass  # nobody is left who needs to know

    def follow_plan() -> int:
        with open(plan_fd, "rb") as stream:
            stream.seek(0)
            plan = marshal.load(stream)  # noqa: S302 - our own supervisor's, in memory that nobody else has
        take_over(plan, received)
        if plan["execute"] is None:
            import binsafe.sandbox.linux.trial  # noqa: F401 - while its files can still be seen
        return middle(control, status, plan, tell)

    return guarded(follow_plan, tell)


def receive(control: int) -> list[int] | None:
    """The descriptors that come with the word to go; None if it never comes."""
    channel = _socket.socket(fileno=control)
    room = _socket.CMSG_SPACE(MOST_PASSED * INT_BYTES)
    word, ancillary, _, _ = channel.recvmsg(len(messages.GO), room, _socket.MSG_CMSG_CLOEXEC)
    channel.detach()
    if word != messages.GO:
        return None
    (_, _, packed), *_ = ancillary
    return list(memoryview(packed[: len(packed) // INT_BYTES * INT_BYTES]).cast("i"))


def take_over(plan: "Plan", received: list[int]) -> None:
    """Let the first three be the standard streams, and put the others into the plan, which has the sender's numbers."""
    streams, passed = received[:3], dict(zip(plan["passed"], received[3:], strict=True))
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    plan["execute"] = passed.get(plan["execute"], plan["execute"])
    plan["pieces"] = [(path, passed[descriptor], *rest) for path, descriptor, *rest in plan["pieces"]]


# --- middle ---------------------------------------------------------------------------------------------------------


def middle(control: int, status: int, plan: "Plan", tell: "Tell") -> int:
    """Leave the host: another user if we are root, then every namespace. Returns what init returned."""
    die_with_parent(plan["supervisor"])
    go_first()
    leave_memory_out()
    trees: dict[str, int] = {}
    if plan["uid"] is not None:
        with step("granted folders"):
            trees = open_granted(plan, plan["uid"])
        with step("user id"):
            if not plan["namespaces"]:
                kernel.drop_bounding_set()  # with namespaces that is done inside, where one has the right to it
            become(plan["uid"])
            die_with_parent(plan["supervisor"])  # a change of credentials clears it
    if not plan["namespaces"]:
        with step("granted files"):
            check_access(plan["accesses"])
        return attend(control, status, plan, tell)
    uid, gid = os.getuid(), os.getgid()
    with step("namespaces"):
        kernel.unshare(kernel.NAMESPACES)
    with step("user namespace maps"):
        write_file("/proc/self/setgroups", "deny")
        write_file("/proc/self/uid_map", f"{inside.INSIDE_ID} {uid} 1")
        write_file("/proc/self/gid_map", f"{inside.INSIDE_ID} {gid} 1")
    share_limits()
    with step("processes"):
        pid = os.fork()
    if pid == 0:
        os._exit(guarded(lambda: init(control, status, plan, trees, tell), tell))
    close_all_but()
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) & 0xFF


def open_granted(plan: "Plan", uid: int) -> dict[str, int]:
    """The granted folders as mounts in which they are the program's own; only root can and need do that."""
    if all(path.startswith("/dev/") for path, _ in plan["mounts"]):
        return {}
    from binsafe.sandbox.linux.idmaps import open_trees  # few policies grant any

    return open_trees(plan, uid)


def die_with_parent(parent: int) -> None:
    """Ask for SIGKILL when the parent's thread ends, and check that it has not ended already."""
    kernel.prctl(kernel.PR_SET_PDEATHSIG, kernel.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


def go_first() -> None:
    """Let the kernel end the program, and not one of its user's, where memory runs out: it may take all there is."""
    path = "/proc/self/oom_score_adj"
    try:
        with open(path, "rb") as stream:
            if int(stream.read()) < OOM_SCORE_ADJ:
                write_file(path, str(OOM_SCORE_ADJ))
    except OSError:
        pass  # no such file: a kernel that ends nobody


def leave_memory_out() -> None:
    """Let core dumps hold no memory: where they are piped and the hard limit is 0 already, no limit stops them."""
    try:  # noqa: SIM105 - contextlib is dear
        write_file("/proc/self/coredump_filter", "0")
    except OSError:
        pass  # no such file: a kernel that makes none


def become(uid: int) -> None:
    """Turn root into an ordinary user that owns nothing."""
    os.setgroups([])
    os.setresgid(uid, uid, uid)
    os.setresuid(uid, uid, uid)
    kernel.prctl(kernel.PR_SET_DUMPABLE, 1)  # else /proc/self belongs to root and the maps cannot be written


def check_access(accesses: list[tuple[str, int]]) -> None:
    """Check that the user we became may read and write what is granted: without namespaces no right can be lent."""
    for path, mode in accesses:
        if not os.access(path, mode):
            raise OSError(errno.EACCES, f"user {os.getuid()} may not {'write' if mode & os.W_OK else 'read'} it", path)


def share_limits() -> None:
    """Leave the user half of what may be watched: it is counted for them as well, and their editor needs some.

    And let nobody inside make a user namespace, without which they could make no other either. Both are limits of the
    user namespace itself (``user.*`` of sysctl); where /proc/sys cannot be written, the filter alone holds the second.
    """
    try:
        for kind in ("instances", "watches"):
            with open(f"/proc/sys/fs/inotify/max_user_{kind}", "rb") as stream:
                write_file(f"/proc/sys/user/max_inotify_{kind}", str(int(stream.read()) // 2))
        write_file("/proc/sys/user/max_user_namespaces", "0")
    except OSError:
        pass


def write_file(path: str, text: str) -> None:
    """Write in a single write(2), as the files of /proc want it."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(descriptor, text.encode())
    finally:
        os.close(descriptor)


# --- init -----------------------------------------------------------------------------------------------------------


def init(control: int, status: int, plan: "Plan", trees: dict[str, int], tell: "Tell") -> int:
    """Be pid 1 inside: build the root, and attend to the program."""
    kernel.prctl(kernel.PR_SET_PDEATHSIG, kernel.SIGKILL)
    with step("mounts"):
        kernel.sethostname(inside.HOSTNAME)
        users = os.umask(0o022)  # which is the program's, and may keep its owner out of folders
        build_root(plan, trees)
        os.umask(users)
    return attend(control, status, plan, tell)


def attend(control: int, status: int, plan: "Plan", tell: "Tell") -> int:
    """Start the program, then reap and watch until one of the two sides ends."""
    parent = os.getpid()
    children = kernel.child_signals()
    with step("processes"):
        pid = os.fork()
    if pid == 0:
        if not plan["namespaces"]:
            die_with_parent(parent)  # a pid namespace does the same for all that is in it
        os._exit(start_program(control, status, plan))
    close_all_but(control, children)
    kernel.drop_capabilities()
    watch(control, children, pid, plan, tell)
    if not plan["namespaces"]:
        end(pid)
    return 0


def start_program(control: int, status: int, plan: "Plan") -> int:
    """Become the program; what prevents it is written to the status pipe, which a successful execve closes."""
    return guarded(lambda: become_program(control, status, plan), lambda message: os.write(status, message))


def end(pid: int) -> None:
    """Kill our child and wait for it, if it has not been waited for."""
    try:
        if os.waitpid(pid, os.WNOHANG)[0] == 0:
            os.kill(pid, kernel.SIGKILL)
            os.waitpid(pid, 0)
    except ChildProcessError:
        pass


def watch(control: int, children: int, program_pid: int, plan: "Plan", tell: "Tell") -> None:
    """Wait for the program's end (which is told) or the supervisor's (then everything here ends with us)."""
    poll = select.poll()
    poll.register(control, select.POLLIN)
    poll.register(children, select.POLLIN)
    while True:
        ready = {descriptor for descriptor, _ in poll.poll()}
        if control in ready:
            return
        os.read(children, 4096)
        while (reaped := reap())[0]:
            if reaped[0] == program_pid:
                for path in going(plan):
                    tell(messages.encode("gone", path))
                for path in filled(plan):
                    tell(messages.encode("full", path))
                tell(messages.encode("exit", os.waitstatus_to_exitcode(reaped[1]), int(left_behind())))
                return


def going(plan: "Plan") -> list[str]:
    """What its arguments name (-o/tmp/x, --to=/tmp/x) in folders of its own: its user will look for that."""
    named = {word[word.find("/") :].rstrip("/") for word in plan["argv"][1:] if "/" in word}
    granted = [path for path, _ in (*plan["mounts"], *plan["links"])] + [*plan["covered"]]
    return [
        path
        for path in sorted(named)[:MOST_GONE]
        if any(path.startswith(f"{folder}/") for folder, _ in plan["scratch"])
        and not any(f"{path}/".startswith(f"{other}/") or other.startswith(f"{path}/") for other in granted)
        and ".." not in path.split("/")
        and os.path.lexists(path)
    ]


def filled(plan: "Plan") -> list[str]:
    """Folders of its own that it leaves full; the kernel told it alone when a write found no room there."""
    rooms = [(path, os.statvfs(path)) for path, _ in plan["scratch"]]
    return [path for path, room in rooms if room.f_bfree < room.f_blocks // NEARLY or not room.f_ffree]


def left_behind() -> bool:
    """Whether processes that it has started still run: the kernel has made them ours when the program ended."""
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        return False
    return True


def reap() -> tuple[int, int]:
    """Process id and wait status of a child that has ended; (0, 0) where there is none."""
    try:
        return os.waitpid(-1, os.WNOHANG)
    except ChildProcessError:
        return 0, 0
