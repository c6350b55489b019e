"""What a program asks for is remembered by its supervisor, and takes no memory of the host's that counts."""

import sys
import tracemalloc
from collections.abc import Iterator

import pytest

from binsafe.sandbox.reporting import MAX_OBJECTS, Reporter

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the Linux sandbox needs Linux")
NAMES = 5_000
LENGTH = 4_000
MOST = 10_000_000
"""Bytes; the names are twice as many, and four times in memory where they are no ASCII."""


def names() -> Iterator[str]:
    return (f"/{number:0{LENGTH}}" for number in range(NAMES))


@pytest.fixture
def traced() -> Iterator[None]:
    """Know what is allocated, and still there."""
    tracemalloc.start()
    yield
    tracemalloc.stop()


@pytest.mark.usefixtures("traced")
def test_long_paths_that_are_missed_take_bounded_memory():
    from binsafe.sandbox.linux.given import Given
    from binsafe.sandbox.linux.lookups import Asked, Lookups
    from binsafe.sandbox.linux.notifications import Call
    from binsafe.sandbox.linux.pathcalls import PATH_CALLS

    lookups = Lookups(Given(merged={}, readable=(), writable=(), present=()), walks=False, working_folder="")
    call = Call(0, 0, 0, 0, (0,) * 6)
    for name in names():
        lookups.miss(call, PATH_CALLS["open"], Asked(name, name))
    assert tracemalloc.get_traced_memory()[0] < MOST


@pytest.mark.usefixtures("traced")
def test_long_objects_of_violations_take_bounded_memory():
    assert NAMES < MAX_OBJECTS
    reporter = Reporter(lambda _: None)
    for name in names():
        reporter.admits("openat", name)
    held = tracemalloc.get_traced_memory()[0]
    reporter.close()
    assert held < MOST
