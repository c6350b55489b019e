"""The way from an ordinary process to the sandboxed program, one irreversible step after the other.

Runs as a fresh, isolated interpreter that the supervisor starts (unsharing a user namespace needs a single thread):

    middle   drops root, leaves all namespaces, and waits        (host's pid namespace)
    └─ init  builds the empty root, then only reaps and watches  (pid 1 inside)
       └─ program: limits, no privileges, Landlock, seccomp, execve

Where there are no namespaces (``fallback``) middle itself reaps and watches, and ends the program; that can start no
other process there.

What to do comes as one JSON plan in a file without a name (``planning.py`` makes it); what happened goes back on the
control socket.
When the supervisor dies, however it dies, init reads the end of that socket and exits, and the kernel then kills
whatever lives in the namespace; a parent-death signal on middle and init is the second belt.
"""

import contextlib
import errno
import itertools
import json
import os
import resource
import select
import signal
import socket
import struct
from collections.abc import Callable, Iterator
from typing import Any

from binsafe.sandbox.linux import kernel
from binsafe.sandbox.linux.idmaps import open_trees
from binsafe.sandbox.linux.root import build_root

NAMESPACES = (
    kernel.CLONE_NEWUSER
    | kernel.CLONE_NEWNET
    | kernel.CLONE_NEWPID
    | kernel.CLONE_NEWNS
    | kernel.CLONE_NEWIPC
    | kernel.CLONE_NEWUTS
    | kernel.CLONE_NEWCGROUP
)

HOSTNAME = "sandbox"

Plan = dict[str, Any]
Tell = Callable[[dict[str, Any]], None]


class Failed(Exception):
    """A step could not be done; ``step`` names it in words that the doctor explains."""

    def __init__(self, step: str, error: OSError) -> None:
        super().__init__(step)
        self.report = {"step": step, "errno": error.errno or 0, "detail": str(error)}


@contextlib.contextmanager
def step(name: str) -> Iterator[None]:
    """Name what is being tried, so that a refusal says which part of the sandbox cannot be had."""
    try:
        yield
    except OSError as error:
        raise Failed(name, error) from error


def main(control_fd: int, plan_fd: int) -> int:
    """Read the plan and follow it."""
    control = socket.socket(fileno=control_fd)
    control.set_inheritable(False)
    with open(plan_fd, encoding="ascii") as stream:
        stream.seek(0)
        plan: Plan = json.load(stream)

    def tell(message: dict[str, Any]) -> None:
        with contextlib.suppress(OSError):  # nobody is left who needs to know
            control.send(json.dumps(message).encode())

    return guarded(lambda: middle(control, plan, tell), tell)


def guarded(body: Callable[[], int], tell: Tell) -> int:
    """Run a body and turn whatever goes wrong into a message to the supervisor."""
    try:
        return body()
    except Failed as failure:
        tell({"failed": failure.report})
    except BaseException as error:  # noqa: BLE001 - nothing may unwind into another process's code
        tell({"failed": {"step": "stage", "errno": 0, "detail": repr(error)}})
    return 1


# --- middle ---------------------------------------------------------------------------------------------------------


def middle(control: socket.socket, plan: Plan, tell: Tell) -> int:
    """Leave the host: another user if we are root, then every namespace. Returns what init returned."""
    die_with_parent(plan["supervisor"])
    os.setsid()  # a Ctrl-C on the terminal is the supervisor's business
    trees: dict[str, int] = {}
    if plan["uid"] is not None:
        with step("granted folders"):
            trees = open_trees(plan, plan["uid"])
        with step("user id"):
            if not plan["namespaces"]:
                kernel.drop_bounding_set()  # with namespaces that is done inside, where one has the right to it
            become(plan["uid"])
            die_with_parent(plan["supervisor"])  # a change of credentials clears it
    if not plan["namespaces"]:
        with step("granted files"):
            check_access(plan["accesses"])
        return attend(control, plan, tell)
    uid, gid = os.getuid(), os.getgid()
    with step("namespaces"):
        kernel.unshare(NAMESPACES)
    with step("user namespace maps"):
        write_file("/proc/self/setgroups", "deny")
        write_file("/proc/self/uid_map", f"{kernel.INSIDE_ID} {uid} 1")
        write_file("/proc/self/gid_map", f"{kernel.INSIDE_ID} {gid} 1")
    pid = os.fork()
    if pid == 0:
        os._exit(guarded(lambda: init(control, plan, trees, tell), tell))
    control.close()
    close_all_but()
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) & 0xFF


def die_with_parent(parent: int) -> None:
    """Ask for SIGKILL when the parent's thread ends, and check that it has not ended already."""
    kernel.prctl(kernel.PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


def become(uid: int) -> None:
    """Turn root into an ordinary user that owns nothing."""
    os.setgroups([])
    os.setresgid(uid, uid, uid)
    os.setresuid(uid, uid, uid)
    kernel.prctl(kernel.PR_SET_DUMPABLE, 1)  # else /proc/self belongs to root and the maps cannot be written


def check_access(accesses: list[tuple[str, int]]) -> None:
    """See that whom we have become may read and write what is granted: nothing lends it the right here."""
    for path, mode in accesses:
        if not os.access(path, mode):
            raise OSError(errno.EACCES, f"user {os.getuid()} may not {'write' if mode & os.W_OK else 'read'} it", path)


def write_file(path: str, text: str) -> None:
    """Write in a single write(2), as the files of /proc want it."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(descriptor, text.encode())
    finally:
        os.close(descriptor)


def close_all_but(*keep: int) -> None:
    """Close all descriptors except ``keep``; standard input, output and error become /dev/null unless kept."""
    if replaced := {0, 1, 2}.difference(keep):  # else nothing is opened: Landlock may be in force already
        null = os.open("/dev/null", os.O_RDWR)
        for standard in replaced:
            os.dup2(null, standard)
    low = 3
    for descriptor in sorted(set(keep).difference({0, 1, 2})):
        os.closerange(low, descriptor)
        low = descriptor + 1
    os.closerange(low, resource.getrlimit(resource.RLIMIT_NOFILE)[1])


# --- init -----------------------------------------------------------------------------------------------------------


def init(control: socket.socket, plan: Plan, trees: dict[str, int], tell: Tell) -> int:
    """Be pid 1 inside: build the root, and attend to the program."""
    kernel.prctl(kernel.PR_SET_PDEATHSIG, signal.SIGKILL)
    with step("mounts"):
        socket.sethostname(HOSTNAME)
        build_root(plan, trees)
    return attend(control, plan, tell)


def attend(control: socket.socket, plan: Plan, tell: Tell) -> int:
    """Start the program, then reap and watch until one of the two sides ends."""
    parent = os.getpid()
    wake_r, wake_w = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(wake_w)
    pid = os.fork()
    if pid == 0:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        if not plan["namespaces"]:
            die_with_parent(parent)  # a pid namespace does the same for all that is in it
        os._exit(start_program(control, plan))
    close_all_but(control.fileno(), wake_r, wake_w)
    kernel.drop_capabilities()
    watch(control.fileno(), wake_r, pid, tell)
    if not plan["namespaces"]:
        end(pid)
    return 0


def end(pid: int) -> None:
    """Kill our child and wait for it, if it has not been waited for."""
    with contextlib.suppress(ChildProcessError):
        if os.waitpid(pid, os.WNOHANG)[0] == 0:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)


def watch(control: int, wake: int, program_pid: int, tell: Tell) -> None:
    """Wait for the program's end (which is told) or the supervisor's (then everything here ends with us)."""
    poll = select.poll()
    poll.register(control, select.POLLIN)
    poll.register(wake, select.POLLIN)
    while True:
        ready = {descriptor for descriptor, _ in poll.poll()}
        if control in ready:
            return
        os.read(wake, 64)
        with contextlib.suppress(ChildProcessError):
            while (reaped := os.waitpid(-1, os.WNOHANG))[0]:
                if reaped[0] == program_pid:
                    tell({"exit": os.waitstatus_to_exitcode(reaped[1])})
                    return


# --- program --------------------------------------------------------------------------------------------------------


def start_program(control: socket.socket, plan: Plan) -> int:
    """Become the program; what prevents it is written to the status pipe, which a successful execve closes."""
    status = plan["status"]

    def tell(message: dict[str, Any]) -> None:
        os.write(status, json.dumps(message).encode())

    return guarded(lambda: become_program(control, status, plan), tell)


def become_program(control: socket.socket, status: int, plan: Plan) -> int:
    """Give everything up, last of all the right to make calls that are not granted, and execute the program."""
    os.setsid()
    for number in (signal.SIGPIPE, signal.SIGXFSZ):
        signal.signal(number, signal.SIG_DFL)  # Python ignores them, and what is ignored stays so across execve
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    with step("limits"):
        for name, value in plan["limits"]:
            lower_limit(getattr(resource, f"RLIMIT_{name}"), value)
    with step("privileges"):
        kernel.drop_capabilities()
        kernel.prctl(kernel.PR_SET_NO_NEW_PRIVS, 1)
    if plan["landlock"]["handled"]:
        with step("landlock"):
            rules = [(path, rights) for path, rights in plan["landlock"]["rules"]]
            kernel.landlock_restrict(tuple(plan["landlock"]["handled"]), rules)
    with step("working folder"):
        os.chdir(plan["cwd"])
    kept = {status}
    if isinstance(plan["execute"], int):
        kept.add(plan["execute"])
    close_all_but(0, 1, 2, control.fileno(), *kept)
    for descriptor in kept:
        os.set_inheritable(descriptor, False)
    # From the filter on this process may say nothing that the program may not say. So the supervisor is told beforehand
    # which descriptor the listener will get (the lowest free one), and takes it from there; until it answers, our next
    # call that needs an answer waits.
    free = next(number for number in itertools.count(3) if number not in kept)
    control.send(json.dumps({"armed": free}).encode())
    control.close()
    with step("seccomp"):
        kernel.seccomp_install(with_own_process(bytes.fromhex(plan["filter"]), plan))
    if plan["execute"] is None:
        os.close(status)  # as execve would: from here on the supervisor decides
        return try_out(plan["probe_port"], plan.get("closed"))
    try:
        os.execve(plan["execute"], plan["argv"], plan["environment"])
    except OSError as error:
        raise Failed("execute", error) from error


def lower_limit(number: int, value: int) -> None:
    """Set a limit, soft and hard, to ``value`` or to what is left of it."""
    hard = resource.getrlimit(number)[1]
    ceiling = value if hard == resource.RLIM_INFINITY else min(value, hard)
    resource.setrlimit(number, (ceiling, ceiling))


def with_own_process(program: bytes, plan: Plan) -> bytes:
    """The filter with our own process id for the number that stands for it, where there is one."""
    if plan["namespaces"]:
        return program
    instructions = struct.iter_unpack("=HBBI", program)
    return b"".join(
        struct.pack("=HBBI", *jumps, os.getpid() if constant == plan["own_process"] else constant)
        for *jumps, constant in instructions
    )


def try_out(port: int, closed: str | None) -> int:
    """The doctor's program: bind a port through the supervisor and listen on it; ``closed`` must not be opened.

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
