"""The stand-in as the Go linker makes it, for both processors, with its names and without."""

from collections.abc import Callable
from functools import cache
from pathlib import Path

import msgspec
import pytest
from elf_slices import elf_slice

from binsafe.formats import parse
from binsafe.model import Syscalls
from binsafe.syscalls import analyse

# Seen under strace (x86-64) and qemu-aarch64 -strace with load, or certain from the sources: Go's runtime (memory,
# threads, signals, files); its network poller and net/http; and what the kernel or the vDSO makes.
MUST_HAVE = """
    mmap munmap madvise clone exit_group futex gettid getpid tgkill sched_yield sched_getaffinity
    nanosleep rt_sigaction rt_sigprocmask rt_sigreturn sigaltstack openat read write close pread64
    prlimit64 getrandom
    epoll_create1 epoll_ctl epoll_pwait eventfd2 socket bind listen accept4 setsockopt getsockopt getsockname fcntl
    fstat newfstatat uname
    restart_syscall clock_gettime
"""
# exit, because a thread of Go's ends only with a goroutine that locked it, and the only one that does never returns;
# the next two lines, because what starts or finds processes, or profiles, is not linked; the others, because nothing in
# the program, in the packages it uses or in Go's runtime refers to them.
MUST_NOT_HAVE = """
    exit
    execve execveat fork vfork clone3 pidfd_open pidfd_send_signal waitid wait4
    timer_create timer_settime timer_delete mprotect mincore gettimeofday
    ptrace process_vm_readv process_vm_writev pidfd_getfd perf_event_open bpf userfaultfd io_uring_setup io_uring_enter
    mount umount2 chroot pivot_root setns unshare init_module finit_module delete_module kexec_load reboot swapon
    setuid setgid setresuid setgroups capset seccomp sethostname keyctl add_key memfd_create
    chmod fchmodat fchownat mknodat symlinkat linkat renameat2 mkdirat fanotify_init open_by_handle_at
"""


@pytest.fixture(scope="module")
def analysed(standin: Callable[[str], Path]) -> Callable[[str], Syscalls]:
    """Return a function: target -> what the analysis says of the stand-in that is built for it, found out once."""
    return cache(lambda target: analyse(elf_slice(standin(target))))


@pytest.mark.parametrize(
    ("target", "abi", "own"),
    [("linux/amd64", "linux-x86_64", {"arch_prctl"}), ("linux/arm64", "linux-aarch64", set())],
)
def test_the_standin_needs_what_it_was_seen_to_make_and_nothing_sensitive(
    standin: Callable[[str], Path],
    analysed: Callable[[str], Syscalls],
    target: str,
    abi: str,
    own: set[str],
):
    slice_ = elf_slice(standin(target))
    result = analysed(target)
    assert result.abi == abi
    assert result.unresolved == ()
    assert result.complete
    assert set(MUST_HAVE.split()) | own <= set(result.required)
    assert not {"time", "getcpu"} & set(result.required)  # the vDSO answers them always, and nothing else is asked
    assert not set(MUST_NOT_HAVE.split()) & set(result.required)
    assert len(result.required) <= 60
    assert list(result.required) == sorted(set(result.required))
    assert set(result.likely) <= set(result.required)
    text = slice_.section(".text")
    for addresses in result.sites.values():
        assert 0 < len(addresses) <= 8
        assert all(text.address <= int(address, 16) < text.address + text.size for address in addresses)


@pytest.mark.parametrize("target", ["linux/amd64", "linux/arm64"])
def test_our_own_parsers_slice_gives_the_same_answer(
    standin: Callable[[str], Path], analysed: Callable[[str], Syscalls], target: str
):
    (slice_,) = parse(memoryview(standin(target).read_bytes())).slices
    assert analyse(slice_) == analysed(target)


@pytest.mark.parametrize("target", ["linux/amd64", "linux/arm64"])
def test_names_are_not_needed(standin: Callable[[str], Path], analysed: Callable[[str], Syscalls], target: str):
    slice_ = elf_slice(standin(target))
    stripped = msgspec.structs.replace(slice_, symbols=())
    assert slice_.symbols
    assert analyse(stripped) == analysed(target)


@pytest.mark.parametrize("target", ["linux/amd64", "linux/arm64"])
def test_without_gos_table_direct_calls_tell_where_functions_start(
    standin: Callable[[str], Path], analysed: Callable[[str], Syscalls], target: str
):
    slice_ = elf_slice(standin(target))
    table = slice_.section(".gopclntab")
    blank = bytearray(slice_.data)
    blank[table.offset : table.offset + table.size] = bytes(table.size)
    sections = tuple(s for s in slice_.sections if s.executable)
    bare = analyse(msgspec.structs.replace(slice_, data=memoryview(bytes(blank)), sections=sections, symbols=()))
    assert set(analysed(target).required) <= set(bare.required)
    assert not bare.complete  # the one number that only a Go function's name explains
