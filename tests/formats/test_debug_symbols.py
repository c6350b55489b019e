"""What ``objcopy --only-keep-debug`` leaves of a program is a file of its own kind, unless it could be started."""

import shutil
import subprocess
from pathlib import Path

import executable_builders as build
import pytest

from binsafe.errors import NotAnalysable
from binsafe.formats import parse
from binsafe.inspection import inspect
from binsafe.model import Artifact, Slice

PROGRAM_HEADERS, SIZE = 64, 56
CODE, DATA, DYNAMIC, INTERPRETER = range(4)
ENTRY = 24
PT_NULL = 0


def only_debug(**stored: int) -> bytearray:
    """The builder's program without the bytes of its segments, but for ``stored`` ones."""
    out = build.elf()
    sizes = {"code": 0x250, "data": 0, "dynamic": 0, "interpreter": 0} | stored
    for number, size in enumerate(sizes.values()):
        build.put(out, PROGRAM_HEADERS + SIZE * number + 32, "<Q", size)
    for section in (1, 2):
        build.put(out, build.ELF_SECTIONS + 64 * section + 4, "<I", 8)  # SHT_NOBITS
    return out


def without_loader(out: bytearray, *, entry: int, flags: int = 5) -> bytearray:
    build.put(out, PROGRAM_HEADERS + SIZE * INTERPRETER, "<I", PT_NULL)
    build.put(out, PROGRAM_HEADERS + SIZE * CODE + 4, "<I", flags)
    build.put(out, ENTRY, "<Q", entry)
    return out


def read(data: bytearray) -> Slice:
    return parse(memoryview(bytes(data))).slices[0]


def test_it_is_debug_symbols_and_claims_nothing_of_the_program():
    data = only_debug()
    found = read(data)
    assert (found.kind, found.linkage, found.libraries, found.imports) == ("debug-symbols", None, (), ())
    assert found.problems == ()
    report = inspect(Artifact(name="x", path="/x", size=len(data), sha256="0" * 64), memoryview(bytes(data)))
    (facts,) = report.slices
    assert report.analysed
    assert facts.network.verdict == "unknown"
    assert facts.syscalls is None
    assert "absent" not in facts.hardening.values()
    assert facts.build.build_id == "c0ffee01"


@pytest.mark.skipif(shutil.which("objcopy") is None, reason="objcopy is not installed")
def test_objcopy_makes_such_files(tmp_path: Path):
    made = tmp_path / "ls.debug"
    subprocess.run(["objcopy", "--only-keep-debug", Path("/bin/ls").resolve(), made], check=True, timeout=30)
    assert read(bytearray(made.read_bytes())).kind == "debug-symbols"


def test_a_library_begins_nowhere():
    assert read(without_loader(only_debug(), entry=0, flags=4)).kind == "debug-symbols"


@pytest.mark.parametrize(
    ("trick", "data"),
    [
        ("its code is in the page beside the segment", without_loader(only_debug(code=1), entry=0x720)),
        ("its code is the file header", without_loader(only_debug(), entry=0)),
        ("its dynamic section is there", only_debug(data=0x1000)),
        ("it says that its dynamic section is there", only_debug(dynamic=0x200)),
        ("it names a loader", only_debug(interpreter=28)),
    ],
)
def test_what_could_be_started_is_none(trick: str, data: bytearray):
    try:
        kind = read(data).kind
    except NotAnalysable as error:
        kind = error.finding
    assert kind in {"executable", "malformed"}, trick


def test_without_a_data_stack_what_is_readable_may_be_executed():
    data = without_loader(only_debug(), entry=0, flags=4)
    build.put(data, PROGRAM_HEADERS + SIZE * 4, "<I", PT_NULL)
    with pytest.raises(NotAnalysable):
        read(data)


def test_a_windows_programs_debugging_symbols():
    out = build.pe()
    sections = 64 + 24 + 240
    for number in range(2):
        build.put(out, sections + 40 * number + 20, "<I", 0)  # as objcopy does: no bytes of the file
    assert read(out).kind == "debug-symbols"
    build.put(out, sections + 20, "<I", 0x400)
    with pytest.raises(NotAnalysable):
        read(out)
