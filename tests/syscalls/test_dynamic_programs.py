"""Programs of this system, with the libraries that they really have."""

import json
import shutil
import struct
import subprocess
import sys
from pathlib import Path

import pytest

from binsafe.formats import parse
from binsafe.intake import Found, Snapshot, inspect
from binsafe.model import Syscalls
from binsafe.syscalls.linking.texts import _library_names

PT_DYNAMIC = 2


@pytest.fixture(scope="module")
def ls() -> Path:
    path = Path(shutil.which("ls") or "/bin/ls").resolve()
    if sys.platform != "linux" or parse(memoryview(path.read_bytes())).slices[0].linkage != "dynamic":
        pytest.skip("ls is no dynamic Linux program here")
    return path


@pytest.fixture(scope="module")
def calls(ls: Path) -> Syscalls:
    with Snapshot.take(Found("ls", ls)) as snapshot:
        found = inspect(snapshot, explain="getdents64").slices[0].syscalls
    assert found is not None
    return found


@pytest.mark.each_user
def test_what_ls_needs_is_there_and_what_it_never_does_is_not(calls: Syscalls):
    assert {"openat", "getdents64", "mmap", "read", "write", "close", "exit_group"} <= set(calls.required)
    assert not {"ptrace", "mount", "bpf", "init_module", "reboot", "execve"} & set(calls.required)
    assert not {"inotify_init1", "signalfd4", "sched_setscheduler", "capset"} & set(calls.required)
    assert set(calls.likely) <= set(calls.required)
    assert len(calls.required) < 130


@pytest.mark.each_user
def test_the_chain_leads_from_the_program_to_the_site(calls: Syscalls):
    assert calls.chain[0].startswith(("program: ", "/lib"))  # or the loader, which ends in the C library as well
    assert calls.chain[-1].startswith("libc.")
    assert "makes the call at 0x" in calls.chain[-1]


@pytest.mark.each_user
def test_the_command_prints_one_call_a_line_or_json(ls: Path, calls: Syscalls):
    command = [sys.executable, "-m", "binsafe", "syscalls", str(ls)]
    plain = subprocess.run(command, capture_output=True, text=True, check=True)
    assert tuple(plain.stdout.split()) == calls.required
    told = subprocess.run([*command, "--json"], capture_output=True, text=True, check=True)
    assert json.loads(told.stdout)["required"] == list(calls.required)
    unknown = subprocess.run([*command, "--explain", "reboot"], capture_output=True, text=True, check=False)
    assert unknown.returncode == 2
    assert "never makes" in unknown.stderr


@pytest.mark.each_user
@pytest.mark.parametrize("how", ["empty", "absent"])
def test_a_loader_with_nothing_to_link_is_not_complete(ls: Path, tmp_path: Path, how: str):
    data = bytearray(ls.read_bytes())
    at, entries = struct.unpack_from("<Q", data, 32)[0], struct.unpack_from("<H", data, 56)[0]
    header = next(h for h in range(at, at + 56 * entries, 56) if struct.unpack_from("<I", data, h)[0] == PT_DYNAMIC)
    if how == "absent":
        struct.pack_into("<I", data, header, 0)
    else:
        struct.pack_into("<QQ", data, struct.unpack_from("<Q", data, header + 8)[0], 0, 0)
    path = tmp_path / "odd"
    path.write_bytes(data)
    with Snapshot.take(Found("odd", path)) as snapshot:
        calls = inspect(snapshot).slices[0].syscalls
    assert calls is not None
    assert not calls.complete
    assert "no dynamic section" in calls.unresolved[0].reason


@pytest.mark.each_user
def test_without_its_libraries_nothing_is_left_out_silently(ls: Path, tmp_path: Path):
    with Snapshot.take(Found("ls", ls)) as snapshot:
        part = inspect(snapshot, root=tmp_path).slices[0]
    assert part.syscalls is not None
    assert not part.syscalls.complete
    assert any("libc." in name and "not found" in name for name in part.syscalls.open_set)


def test_library_names_are_found_in_linear_time_in_text_without_an_end():
    assert list(_library_names(memoryview(b"\0liba.so\0" + b"x" * 5_000_000 + b"\0%s.so.2\0"))) == [
        (1, "liba.so"),
        (5_000_010, "%s.so.2"),
    ]
