"""A program that keeps its supervisor busy: with more than it looks at, or for longer than anybody waits."""

import os
import select
import signal
import socket
import sys
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest
import test_process

from binsafe.model import Grant

pytestmark = [
    pytest.mark.sandbox,
    pytest.mark.skipif(sys.platform != "linux", reason="the Linux sandbox needs Linux"),
]

EACH = 70


def test_of_a_socket_that_is_watched_at_a_million_places_some_are_looked_at():
    """Its copies times the epolls that watch each: a second of theirs was half a minute of the supervisor's."""
    from binsafe.sandbox.linux.sockets import MAX_DESCRIPTORS, Original

    with ExitStack() as keep:
        own = keep.enter_context(socket.socket())
        copies = [own, *(keep.enter_context(own.dup()) for _ in range(EACH))]
        for _ in range(EACH):
            epoll = keep.enter_context(select.epoll())
            for copy in copies:
                epoll.register(copy)
        numbers, watched = Original(os.getpid(), own.fileno(), -1, own).places()
    assert len(numbers) == len(copies)
    assert len(watched) == MAX_DESCRIPTORS < EACH * len(copies)


def test_a_supervisor_that_is_held_up_holds_nobody_up(sandboxed: Callable, monkeypatch: pytest.MonkeyPatch):
    """As by closing a connection of the program's, which lingers for as long as the program said (SO_LINGER)."""
    monkeypatch.setattr("binsafe.sandbox.linux.process.HELD_UP_SECONDS", 0.05)
    process = sandboxed("uid", "stay").process
    process.stdout.readline()  # it ignores SIGTERM
    with process._process.supervisor._closing:
        assert process.stop(grace=0) == 128 + signal.SIGKILL


@pytest.mark.parametrize("backend", ["namespaces", "landlock"])
def test_links_without_an_end_end_nothing(sandboxed: Callable, folder: Path):
    """Python follows a thousand in a row and no more, and the supervisor ended on that: with it the program."""
    for number in range(sys.getrecursionlimit()):
        (folder / str(number)).symlink_to(str(number + 1))
    grants = (Grant(kind="write", object=str(folder), reason="asked"),)
    run = sandboxed(f"read={folder}/0", "read=/etc/shadow", grants=grants)
    assert run.answers()[f"read={folder}/0"].endswith("too many levels of symbolic links")
    assert "/etc/shadow" in {violation.object for violation in run.violations}


@pytest.mark.parametrize("backend", ["namespaces", "landlock"])
def test_who_attends_to_it_inside_and_is_stopped_holds_nobody_up(sandboxed: Callable, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("binsafe.sandbox.linux.process.HELD_UP_SECONDS", 0.05)
    process = sandboxed("stay").process
    inside = process.pid
    os.kill(int(test_process.status(inside)["PPid"]), signal.SIGSTOP)
    assert process.stop(grace=0) == 128 + signal.SIGKILL
    assert test_process.gone(inside)
