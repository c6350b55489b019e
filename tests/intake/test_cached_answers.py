"""When an answer that was given before still holds, in a tree that a test made."""

from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from shared_objects import install, shared_object

from binsafe.formats.elf_needs import needs
from binsafe.intake.cached_answers import CachedAnswer, RecordingLibraries
from binsafe.intake.libraries import Libraries
from binsafe.intake.summaries import Summaries
from binsafe.intake.tree import Tree

LOADER = "/lib64/ld-linux-x86-64.so.2"
PROGRAM = shared_object("liba.so", "libgone.so", interpreter=LOADER)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    install(tmp_path, LOADER, shared_object(soname="ld-linux-x86-64.so.2"))
    install(tmp_path, "/lib/liba.so", shared_object("libb.so"))
    install(tmp_path, "/lib/libb.so", shared_object())
    install(tmp_path, "/lib/libplugin.so", shared_object())
    install(tmp_path, "/etc/nsswitch.conf", b"passwd: files\n")
    install(tmp_path, "/usr/bin/program", PROGRAM)
    return tmp_path


def libraries(root: Path) -> Libraries:
    return Libraries(needs(memoryview(PROGRAM)), root / "usr/bin/program", Tree(root), Summaries(None))


def answer(root: Path) -> CachedAnswer:
    """Of an analysis that asks for each kind of thing."""
    recording = RecordingLibraries(libraries(root))
    recording.members()
    recording.add("libplugin.so", "dlopen")
    recording.add("liblater.so", "dlopen")
    assert recording.name_services() == ("files",)
    assert not recording.exists("/run/helper")
    assert not recording.modules(["/usr/lib/other"])
    found = recording.answer(b"what was said")
    assert found is not None
    return found


def test_an_answer_holds_while_nothing_changes(root: Path):
    kept = msgspec.msgpack.decode(msgspec.msgpack.encode(answer(root)), type=CachedAnswer)
    assert kept.payload == b"what was said"
    assert kept.holds(libraries(root))


def the_linked_library(root: Path) -> None:
    install(root, "/lib/libb.so", shared_object() + b"\0")


def the_loaded_library(root: Path) -> None:
    install(root, "/lib/libplugin.so", shared_object("libb.so"))


def the_loader(root: Path) -> None:
    install(root, LOADER, shared_object(soname="ld-linux-x86-64.so.2") + b"\0")


def where_a_library_is(root: Path) -> None:
    install(root, "/etc/ld.so.preload", b"/lib/libplugin.so\n")


def what_was_missing_and_linked(root: Path) -> None:
    install(root, "/lib/libgone.so", shared_object())


def what_was_missing_and_loaded(root: Path) -> None:
    install(root, "/lib/liblater.so", shared_object())


def the_name_services(root: Path) -> None:
    install(root, "/etc/nsswitch.conf", b"passwd: files systemd\n")


def what_was_not_there(root: Path) -> None:
    install(root, "/run/helper", b"")


def where_there_were_no_modules(root: Path) -> None:
    install(root, "/usr/lib/other/one.so", shared_object())


@pytest.mark.parametrize(
    "change",
    [
        the_linked_library,
        the_loaded_library,
        the_loader,
        where_a_library_is,
        what_was_missing_and_linked,
        what_was_missing_and_loaded,
        the_name_services,
        what_was_not_there,
        where_there_were_no_modules,
    ],
)
def test_an_answer_does_not_hold_once_something_changes(root: Path, change: Callable[[Path], None]):
    before = answer(root)
    change(root)
    assert not before.holds(libraries(root))


def test_no_end_of_questions_is_asked_again(root: Path):
    before = answer(root)
    many = {f"/{number}": False for number in range(10_000)}
    assert not msgspec.structs.replace(before, there=many).holds(libraries(root))


def test_no_answer_is_kept_where_a_library_could_not_be_taken_apart(root: Path):
    """The next time its parser may have the memory that it lacked."""
    broken = Summaries(None, lambda *_: b"")
    recording = RecordingLibraries(Libraries(needs(memoryview(PROGRAM)), root / "usr/bin/program", Tree(root), broken))
    recording.members()
    assert recording.answer(b"what was said") is None
