"""Fixtures that many tests share: the stand-in's builds, and the right to use its thirty ports."""

import fcntl
import gc
import os
import re
import signal
import socket
import sys
import tempfile
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

import pytest
from each_user import is_alike, is_alike_for_each, is_left_to_the_user, only_tools
from hypothesis import settings

from bandit_runner.flakyservers.build import build

# One file for all users of the machine, so not below anybody's temporary folder.
PORTS_LOCK = Path("/tmp/binsafe-thirty-ports.lock")


WAITING_SECONDS = 600
"""For tests that may have to compile first, or to wait for the ports: the usual limit is for the test itself."""


def pytest_configure(config: pytest.Config) -> None:
    """Let the programs that tests start keep bytecode, if not in the tree: to compile us takes most of their time."""
    gc.set_threshold(100_000)  # collecting makes millions of objects, which all stay
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # in the background of a script: who is started inherits it
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if os.environ.pop("PYTHONDONTWRITEBYTECODE", ""):
        kept = tempfile.TemporaryDirectory(prefix="binsafe-bytecode-")
        config.add_cleanup(kept.cleanup)
        os.environ["PYTHONPYCACHEPREFIX"] = kept.name  # of the workers, too, which start with this environment


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--again", action="store_true", help="leave out what comes out alike for each user of a machine")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    return True if config.getoption("again") and is_alike(collection_path) else None


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup(item: pytest.Item) -> Generator[None]:
    with only_tools() if is_alike_for_each(item) else nullcontext():
        return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None]:
    with only_tools() if is_alike_for_each(item) else nullcontext():
        return (yield)


_ONLY_LINUX = re.compile(r"AttributeError: module '(?:fcntl|os|select|signal|socket)' has no attribute")


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Skip on other systems the modules that cannot be imported there for what only Linux has, and say so."""
    report = yield
    if sys.platform != "linux" and report.failed and _ONLY_LINUX.search(str(report.longrepr)):
        report.outcome = "skipped"
        report.longrepr = (str(collector.path), 0, "Skipped: these tests are about Linux")
    return report


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("again"):
        config.hook.pytest_deselected(items=[item for item in items if is_left_to_the_user(item)])
        items[:] = [item for item in items if not is_left_to_the_user(item)]
    for item in items:
        waits = {"standin", "thirty_ports"} & set(getattr(item, "fixturenames", ()))
        if waits and not item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout(WAITING_SECONDS))


def pytest_collection_finish() -> None:
    """Spare the garbage collector what has been collected."""
    gc.freeze()


# No examples are kept: the checkout may not be writable, and every run starts from the same state.
settings.register_profile("binsafe", database=None, deadline=None)
settings.load_profile("binsafe")


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold a file's lock; the kernel lets go of it when the process ends, however it ends."""
    descriptor = _open_for_all(path)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _open_for_all(path: Path) -> int:
    # Not with O_CREAT: in a sticky folder that is refused for another user's file, even to root (fs.protected_regular).
    try:
        return os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        pass
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666)
    except FileExistsError:
        return os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    os.fchmod(descriptor, 0o666)  # whatever the umask says
    return descriptor


@pytest.fixture(scope="session")
def standin(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Return a function: target ("linux/amd64", ...) -> the stand-in built for it, kept in the user's cache folder."""
    lock = tmp_path_factory.getbasetemp().parent / "standin.lock"  # shared by the workers of one run

    def built(target: str) -> Path:
        with locked(lock):  # workers wait for the first one's build instead of doing it again
            return build(target)

    return built


@pytest.fixture
def thirty_ports() -> Iterator[None]:
    """Keep ports 4000-4009, 5000-5009 and 6000-6009 for one test: other workers and other users' test runs wait."""
    with locked(PORTS_LOCK):
        yield


@pytest.fixture
def free_port() -> Callable[[], int]:
    """Return a function that gives a TCP port on loopback that nobody listens on, another one each time."""
    given: set[int] = set()

    def choose() -> int:
        while True:
            with socket.socket() as trial:
                trial.bind(("127.0.0.1", 0))
                port = trial.getsockname()[1]
            if port not in given:
                given.add(port)
                return port

    return choose
