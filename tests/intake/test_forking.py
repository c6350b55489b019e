"""A child that begins where we are: with nothing of ours but what it is told to keep."""

import resource
import signal
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable

import pytest

from binsafe.intake.bounds import _peak_of
from binsafe.intake.forking import can_fork, roomily

_CALLS = 300

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only there are such children made")


def run(body: str) -> str:
    """What a process of one thread prints; pytest has more than one."""
    text = "import os, sys\nfrom binsafe.intake.forking import Forked, can_fork\n" + textwrap.dedent(body)
    done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, timeout=30, check=True)
    return done.stdout


def test_a_child_has_no_descriptor_but_the_one_it_keeps():
    said = run(
        """
        secret, kept, said = os.memfd_create("secret"), os.memfd_create("kept"), os.memfd_create("said")
        def work():
            os.write(kept, " ".join(sorted(os.listdir("/proc/self/fd"), key=int)).encode())
        child = Forked(work, keep=(kept,), said=said)
        print(child.wait(), kept, os.pread(kept, 1000, 0).decode(), sep="|")
        """
    )
    status, kept, descriptors = said.strip().split("|")
    assert status == "0"
    assert kept != "3"
    assert descriptors.split() == ["0", "1", "2", "3", kept]  # 3 was free for the folder that is listed


def test_a_child_closes_what_lies_above_a_limit_that_was_lowered_since():
    said = run(
        """
        import fcntl, resource
        kept, said = os.memfd_create("kept"), os.memfd_create("said")
        high = fcntl.fcntl(kept, fcntl.F_DUPFD, 500)
        resource.setrlimit(resource.RLIMIT_NOFILE, (100, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
        def work():
            os.write(kept, str(high in map(int, os.listdir("/proc/self/fd"))).encode())
        child = Forked(work, keep=(kept,), said=said)
        print(child.wait(), os.pread(kept, 10, 0).decode())
        """
    )
    assert said == "0 False\n"


def test_what_breaks_a_child_is_told_and_nothing_of_its_parent_happens_twice():
    said = run(
        """
        import atexit
        atexit.register(print, "the end")
        sys.stdout.write("buffered ")
        kept, said = os.memfd_create("kept"), os.memfd_create("said")
        def work():
            raise ValueError("broken")
        child = Forked(work, keep=(kept,), said=said)
        print(child.wait(), os.pread(said, 5000, 0).decode().splitlines()[-1])
        """
    )
    assert said == "buffered 1 ValueError: broken\nthe end\n"


def test_a_child_looks_for_no_cycles_in_what_it_was_born_with():
    """It would write to each object, and so get a copy of all that its parent has loaded."""
    said = run(
        """
        import gc
        kept = os.memfd_create("kept")
        child = Forked(lambda: os.write(kept, str(len(gc.get_objects())).encode()), keep=(kept,), said=kept)
        print(child.wait(), len(gc.get_objects()), os.pread(kept, 10, 0).decode())
        """
    )
    status, ours, its = map(int, said.split())
    assert status == 0
    assert its < 100 < ours


def test_a_child_can_be_ended_and_says_by_what():
    said = run(
        """
        import time
        child = Forked(lambda: time.sleep(60), keep=(os.memfd_create("kept"),), said=os.memfd_create("said"))
        print(child.poll(), child.wait(0.01))
        child.kill()
        child.kill()
        print(child.wait())
        """
    )
    assert said.split() == ["None", "None", str(-signal.SIGKILL)]


def test_a_process_of_two_threads_does_not_fork():
    assert run("print(can_fork())") == "True\n"
    waiting = threading.Event()
    thread = threading.Thread(target=waiting.wait)
    thread.start()
    try:
        assert not can_fork()
    finally:
        waiting.set()
        thread.join()


def test_a_session_of_its_own_keeps_it_from_our_terminals_signals():
    said = run(
        """
        kept = os.memfd_create("kept")
        child = Forked(lambda: os.write(kept, str(os.getsid(0)).encode()), keep=(kept,), said=os.memfd_create("said"))
        child.wait()
        print(int(os.pread(kept, 20, 0)) == child.pid, os.getsid(0) != child.pid)
        """
    )
    assert said == "True True\n"


def test_a_kernel_that_tells_no_peak_of_memory_is_asked_otherwise():
    assert _peak_of("Name:\tx\nVmHWM:\t   1234 kB\nVmRSS:\t 9 kB\n", 5) == 1234
    assert _peak_of("Name:\tx\nVmRSS:\t 9 kB\n", 5) == 5


def test_calls_take_no_new_memory_each_however_deep_their_caller_is():
    def call(deeper: int) -> None:
        if deeper:
            call(deeper - 1)

    def loop() -> None:
        for _ in range(_CALLS):
            call(5)  # their frames are larger than what lies between two depths

    def from_below(depth: int) -> None:
        if depth:
            from_below(depth - 1)
        else:
            roomily(loop)

    assert max(_page_faults(from_below, depth) for depth in range(200)) < _CALLS


def _page_faults(work: Callable[[int], None], depth: int) -> int:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    work(depth)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before


def test_no_core_dump_of_a_parser_leaves_by_a_pipe():
    """A limit of 1 stops them there, and one of 0 does not."""
    said = run(
        """
        import resource
        from binsafe.intake.bounds import limit_memory
        limit_memory()
        print(resource.getrlimit(resource.RLIMIT_CORE)[0])
        """
    )
    assert said == ("0\n" if resource.getrlimit(resource.RLIMIT_CORE)[1] == 0 else "1\n")
