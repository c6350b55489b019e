"""What Go's runtime and standard library do on occasions only, or never, though their code could.

All of it was read in their source; each rule names the place. Functions are known by the names in Go's own table: it is
the program's own word, and one that lies about them is only denied the calls that it hides.

Kernels are taken to be Linux 5.13 or later, as in `binsafe.syscalls.linking.known_libraries`.
"""

from collections.abc import Callable, Iterable, Mapping
from collections.abc import Set as AbstractSet
from types import MappingProxyType
from typing import NamedTuple

from binsafe.formats.structure import find_all
from binsafe.syscalls.controlflow.program import Program
from binsafe.syscalls.dataflow.wrappers import Gap, Number, Resolution, argument
from binsafe.syscalls.machines.edges import LOADED
from binsafe.syscalls.pruning.go_attributes import are_zero
from binsafe.syscalls.pruning.go_dominance import leading_to, only_through
from binsafe.syscalls.tables import numbers

_CHILD = frozenset(
    {"syscall.forkAndExecInChild", "syscall.forkAndExecInChild1", "syscall.forkExec", "syscall.StartProcess"}
)
_STARTING = _CHILD | {"os.startProcess", "os.StartProcess"}
_PROCESSES = (
    "os.(*Process)",
    "os.(*processHandle)",
    "os.newDoneProcess",
    "os.newHandleProcess",
    "os.newPIDProcess",
    "os.newProcess",
    "os.findProcess",
    "os.FindProcess",
    "os.pidfd",
    "os.ensurePidfd",
)
_CHECKING_ACCESS = frozenset({"internal/syscall/unix.Eaccess", "os/exec.findExecutable"})


_UNIX_FACCESSAT = "golang.org/x/sys/unix.Faccessat"
_FIFTH: Mapping[str, str] = MappingProxyType({"x86_64": "rsi", "arm64": "x4"})
"""The register of a fifth parameter that is a number (Go, src/cmd/compile/abi-internal.md): a string takes two."""

_TO_FILE = "os.(*File).spliceToFile"
_PIPING = frozenset({"internal/poll.newPipe", "internal/poll.newPoolPipe"})
_LOCKING = frozenset({"runtime.LockOSThread", "runtime.startTemplateThread"})

_COVERED: Mapping[str, str] = MappingProxyType(
    {
        "runtime.runPerThreadSyscall": (
            "repeats on every thread the call that syscall.runtime_doAllThreadsSyscall left in memory. "
            "That function is the only writer, and makes the same call itself first, with the number that it is given: "
            "the walk from there finds every such number. Where it is not linked the memory stays zero and nothing "
            "ever asks for the repetition (Go, runtime/os_linux.go)"
        ),
    }
)
"""Go function -> why the numbers it uses are all found elsewhere."""

_READING_FCNTL = frozenset(
    {
        "syscall.forkAndExecInChild",
        "syscall.forkAndExecInChild1",
        "syscall.FcntlFlock",
        "internal/poll.fcntl",
        "internal/poll.newTempPipe",
        "internal/syscall/unix.IsNonblock",
        "golang.org/x/sys/unix.fcntl",
        "golang.org/x/sys/unix.FcntlInt",
        "golang.org/x/sys/unix.FcntlFlock",
    }
)
"""Who reads the number of ``fcntl`` from a variable, which is another one on systems of 32 bits (``fcntl64Syscall`` in
syscall/flock_linux.go and golang.org/x/sys/unix/fcntl.go, ``FcntlSyscall`` in internal/syscall/unix/nonblocking.go,
until Go 1.20): there alone it is ever written."""
_INLINED = tuple(f"{name}\0".encode() for name in ("syscall.FcntlFlock", "golang.org/x/sys/unix.FcntlFlock"))
"""Those of them that may be nowhere but in their callers."""


def told(program: Program, gap: Gap) -> Resolution | None:
    """The numbers that are missing here, as Go's source says them: none where all are found elsewhere.

    None where it says nothing.
    """
    if program.go_name(gap.address) in _COVERED:
        return Resolution(frozenset(), frozenset())
    fcntl = numbers(program.machine.arch)["fcntl"]
    place = program.place(gap.address)
    for variable in () if place is None else program.named_at(place):
        if program.slice.read(variable, 8) != fcntl.to_bytes(8, "little"):
            continue
        readers = {program.go_name(source) for source in program.taken.naming(variable, variable + 1)}
        if readers & _READING_FCNTL or (_is_only_read(program, variable) and _mentions(*_INLINED)(program)):
            return Resolution(frozenset({Number(fcntl, gap.address)}), frozenset())
    return None


def _is_only_read(program: Program, variable: int) -> bool:
    """Whether code names a variable in order to load it into a register, and for nothing else."""
    for source, _, use in program.references.into(variable, variable + 8):
        place = program.place(source) or program.place(source - 1)  # with a prefix before it
        if use != LOADED or place is None or program.machine.takes(place.region.instructions, place.at) is None:
            return False
    return True


class Occasion(NamedTuple):
    """Calls that are made by way of some functions only where something holds."""

    calls: AbstractSet[str]
    through: AbstractSet[str]
    holds: Callable[[Program], bool]


def _never(program: Program) -> bool:
    """Whether what never happens does."""
    del program
    return False


def _has(*prefixes: str) -> Callable[[Program], bool]:
    """Whether the program has a function whose name begins like this."""
    return lambda program: program.go is not None and any(name.startswith(prefixes) for name in program.go.names)


def _mentions(*texts: bytes) -> Callable[[Program], bool]:
    """Whether a text stands anywhere in the file: the name of a function that is only ever inlined does, too."""
    return lambda program: any(next(find_all(program.slice.data, text), None) is not None for text in texts)


def _sets_attributes(program: Program) -> bool:
    """Whether a child can be started in any other way than by ``exec.Cmd``, or with attributes."""
    return not _led_to_by(program, _STARTING, _STARTING | {"os/exec.(*Cmd).Start"}) or not are_zero(program)


def _asks_for_more(program: Program) -> bool:
    """Whether ``access`` is called by others than the search for programs, and for more than the right to execute."""
    return not _led_to_by(program, {"syscall.Faccessat"}, _CHECKING_ACCESS)


def _gives_flags(program: Program) -> bool:
    """Whether anybody may ask golang.org/x/sys/unix for access with flags, which are its fifth parameter.

    Before Go 1.18, whose table holds addresses of functions, parameters lay on the stack or did not always.
    """
    start = None if program.go is None or program.go.entries else _only(program, _UNIX_FACCESSAT)
    place = None if start is None else program.place(start)
    if place is None:
        return True
    given = argument(program, [place], _FIFTH[program.machine.arch], bits=64)
    return bool(given.gaps) or {number.value for number in given.numbers} != {0}


def _has_sockets(program: Program) -> bool:
    """Whether anything can give the descriptor of a connection away.

    ``os`` asks for it by a method that only ``net`` has: its result is a type of ``internal/poll``.
    """
    return program.go is not None and any(name.endswith(".PollFD") for name in program.go.names)


def _splices(program: Program) -> bool:
    """Whether data is moved through a pipe for anything but a file, which does so for connections only."""
    start = _only(program, "internal/poll.Splice")
    return start is None or not only_through(program, start, {_TO_FILE}) or _has_sockets(program)


def _only(program: Program, name: str) -> int | None:
    """Where the function of a name starts; None where there is none, or one for each of two conventions."""
    names = () if program.go is None else program.go.names
    found = [] if program.go is None else [program.go.addresses[at] for at, each in enumerate(names) if each == name]
    return found[0] if len(found) == 1 else None


def _led_to_by(program: Program, functions: AbstractSet[str], callers: AbstractSet[str]) -> bool:
    """Whether nothing leads to some functions but these callers."""
    found = {} if program.go is None else program.go.find(functions)
    leading = {source for function in found.values() for source in leading_to(program, function)}
    return all(source is not None and program.go_name(source) in callers for source in leading)


def _locks_threads(program: Program) -> bool:
    """Whether a goroutine that locks its thread may end: that of os/signal never does (runtime/signal_unix.go).

    What inlines ``LockOSThread`` calls what that calls (runtime/proc.go), as the start of a program with cgo does.
    """
    if not _mentions(b"runtime.LockOSThread\0")(program):
        return False
    linked = {} if program.go is None else program.go.find(_LOCKING)
    return (
        linked.keys() != _LOCKING
        or not _led_to_by(program, {"runtime.LockOSThread"}, {"runtime.ensureSigM.func1"})
        or not _led_to_by(program, {"runtime.startTemplateThread"}, {"runtime.LockOSThread", "runtime.main"})
    )


OCCASIONS = (
    # runtime/proc.go, gdestroy and mexit: a thread ends where a goroutine does that has locked it;
    # runtime/sys_linux_amd64.s, clone: ends the thread behind what never returns
    Occasion({"exit"}, {"runtime.clone", "runtime.exitThread"}, _locks_threads),
    # golang.org/x/sys/unix, mremap.go: a field of the variable that Mmap uses, called by these functions
    Occasion(
        {"mremap"},
        {"golang.org/x/sys/unix.mremap"},
        _mentions(b"golang.org/x/sys/unix.Mremap", b"golang.org/x/sys/unix.(*mremapMmapper).Mremap"),
    ),
    # runtime/os_linux.go, sysargs: finds the size of a page where the kernel gave no auxiliary vector, as on Android
    Occasion({"mincore"}, {"runtime.sysargs"}, _never),
    # runtime/nbpipe_pipe2.go, os/pipe_linux.go, syscall/exec_linux.go until Go 1.17: where there is no pipe2
    Occasion({"pipe"}, {"runtime.nonblockingPipe", "os.Pipe", "syscall.forkExecPipe"}, _never),
    # runtime/mem_linux.go, sysFaultOS: for GODEBUG=efence=1, and ignores whether it failed; else for user arenas
    Occasion({"mprotect"}, {"runtime.sysFault", "runtime.sysFaultOS"}, _has("runtime.newUserArena", "arena.")),
    # runtime/os_linux.go, setThreadCPUProfiler: does nothing until SetCPUProfileRate was called (runtime/cpuprof.go)
    Occasion(
        {"timer_create", "timer_settime", "timer_delete"},
        {"runtime.setThreadCPUProfiler"},
        _has("runtime.SetCPUProfileRate", "runtime.setcpuprofilerate"),
    ),
    # os/pidfd_linux.go, checkPidfd: run once, by what starts or finds a process
    Occasion(
        {"pidfd_open", "pidfd_send_signal", "waitid", "wait4"},
        {"os.checkPidfd", "os.checkClonePidfd"},
        _has(*_PROCESSES, *_STARTING),
    ),
    # syscall/exec_linux.go, forkAndExecInChild1: what SysProcAttr asks for
    Occasion(
        frozenset(
            (
                "capget capset chroot clone3 getpid getppid ioctl kill mount prctl ptrace setgid setgroups setpgid "
                "setsid setuid unshare"
            ).split()
        ),
        _CHILD,
        _sets_attributes,
    ),
    # syscall/syscall_linux.go, Faccessat: where faccessat2 fails with ENOSYS, or with EPERM, which it does for
    # immutable files that somebody wants to write; with no flags, which os/exec/lp_unix.go sets
    Occasion(
        {"capget", "faccessat", "getegid", "geteuid", "getgid", "getgroups", "getuid"},
        {"syscall.Faccessat"},
        _asks_for_more,
    ),
    # golang.org/x/sys/unix, syscall_linux.go, Faccessat: with no flags it makes faccessat and nothing else
    Occasion(
        {"capget", "faccessat2", "getegid", "geteuid", "getgid", "getgroups", "getuid", "newfstatat"},
        {_UNIX_FACCESSAT},
        _gives_flags,
    ),
    # os/zero_copy_linux.go (readfrom_linux.go until Go 1.21), spliceToFile and writeTo: from and to connections only
    Occasion({"sendfile", "splice"}, {_TO_FILE, "os.(*File).writeTo", "os.(*File).writeTo.func1"}, _has_sockets),
    # internal/poll/splice_linux.go: the pipes that Splice takes from its pool
    Occasion({"pipe2"}, _PIPING, _splices),
)


def needed(program: Program, found: Iterable[Number]) -> set[Number]:
    """The numbers without those that are passed on occasions only of which none holds.

    Raises:
        OutOfInstructions: the budget was used up.
    """
    kept = set(found)
    known = numbers(program.machine.arch)
    for occasion in OCCASIONS if program.go is not None else ():
        values = {known[name] for name in occasion.calls if name in known}
        some = {number for number in kept if number.value in values}
        waiting = {number for number in some if only_through(program, number.address, occasion.through)}
        if waiting and not occasion.holds(program):
            kept -= waiting
    return kept
