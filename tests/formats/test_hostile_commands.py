"""Hostile files through the whole command: a verdict in little time and memory; exit 3 where nothing was analysed."""

import json
import os
import socket
import struct
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import executable_builders as build
import pytest
from commands import binsafe
from executable_builders import put

from binsafe.intake import Found, Snapshot, Worker

SECONDS, BYTES = 10, 512 * 1024**2
NOT_ANALYSED = 3

pytestmark = [
    pytest.mark.each_user,
    pytest.mark.skipif(sys.platform != "linux", reason="memory is counted in other units elsewhere"),
]


class Case(NamedTuple):
    status: int
    make: Callable[[Path], object]


def patched(base: Callable[[], bytearray], offset: int, layout: str, *values: int) -> Callable[[Path], object]:
    """A file whose header says something else."""

    def write(path: Path) -> object:
        data = base()
        put(data, offset, layout, *values)
        return path.write_bytes(data)

    return write


def content(data: Callable[[], bytes]) -> Callable[[Path], object]:
    return lambda path: path.write_bytes(data())


def overlapping() -> bytes:
    whole = bytearray(build.universal(bytes(build.macho()), bytes(build.macho(file_type=6))))
    (first,) = struct.unpack_from(">I", whole, 16)
    put(whole, 8 + 20 + 8, ">I", first + 0x4000)
    return bytes(whole)


def sparse(path: Path) -> None:
    with path.open("wb") as file:
        file.write(bytes(build.elf()))
        file.truncate(8 * 1024**3)


def in_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))


def in_a_circle(path: Path) -> None:
    path.symlink_to("other")
    path.with_name("other").symlink_to(path.name)


CASES = {
    "elf-65535-program-headers": Case(3, patched(build.elf, 56, "<H", 0xFFFF)),
    "elf-program-headers-behind-the-end": Case(3, patched(build.elf, 32, "<Q", 1 << 63)),
    "elf-segment-larger-than-the-file": Case(3, patched(build.elf, 64 + 32, "<QQ", 1 << 62, 1 << 62)),
    "elf-dynamic-section-anywhere": Case(3, patched(build.elf, 64 + 2 * 56 + 16, "<Q", 0xDEAD_0000)),
    "elf-65535-sections": Case(0, patched(build.elf, 60, "<H", 0xFFFF)),
    "elf-zeroed-section-table": Case(0, patched(build.elf, build.ELF_SECTIONS, "<320x")),
    "elf-header-alone": Case(3, content(lambda: bytes(build.elf()[:64]))),
    "mach-o-2**32-commands": Case(3, patched(build.macho, 16, "<I", 0xFFFF_FFFF)),
    "mach-o-commands-of-size-0": Case(3, patched(build.macho, 36, "<I", 0)),
    "mach-o-2**32-symbols": Case(3, patched(build.macho, 32 + 72 + 232 + 152 + 72 + 16 + 12, "<I", 0xFFFF_FFFF)),
    "mach-o-2**32-sections": Case(3, patched(build.macho, 32 + 72 + 64, "<I", 0xFFFF_FFFF)),
    "mach-o-header-alone": Case(3, content(lambda: bytes(build.macho()[:32]))),
    "universal-25-slices": Case(3, content(lambda: struct.pack(">II", 0xCAFEBABE, 25) + bytes(25 * 20 + 4096))),
    "universal-2**32-slices": Case(3, content(lambda: struct.pack(">II", 0xCAFEBABE, 0xFFFF_FFFF) + bytes(4096))),
    "universal-overlapping-slices": Case(3, content(overlapping)),
    "pe-65535-sections": Case(3, patched(build.pe, 64 + 4 + 2, "<H", 0xFFFF)),
    "pe-zeroed-section-table": Case(3, patched(build.pe, 64 + 24 + 240, "<80x")),
    "pe-header-behind-the-end": Case(3, patched(build.pe, 60, "<I", 0x7FFF_FFFF)),
    "pe-2**32-directories": Case(0, patched(build.pe, 64 + 24 + 108, "<I", 0xFFFF_FFFF)),
    "pe-2**32-symbols": Case(0, patched(build.pe, 64 + 4 + 8, "<II", 0x400, 0xFFFF_FFFF)),
    "sparse-8-gib": Case(3, sparse),
    "fifo": Case(3, os.mkfifo),
    "socket": Case(3, in_socket),
    "directory": Case(3, Path.mkdir),
    "device": Case(3, lambda path: path.symlink_to("/dev/zero")),
    "empty-device": Case(3, lambda path: path.symlink_to("/dev/null")),
    "link-to-itself": Case(3, lambda path: path.symlink_to(path.name)),
    "links-to-each-other": Case(3, in_a_circle),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_the_command_ends_soon_with_a_verdict(tmp_path: Path, name: str):
    case, path = CASES[name], tmp_path / "file"
    case.make(path)
    done = binsafe("inspect", path, "--json")
    assert done.returncode == case.status, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    report = json.loads(done.stdout)
    assert report["analysed"] == (case.status == 0)
    assert report["analysed"] or report["verdict"]["level"] == "unknown"
    assert done.seconds < SECONDS
    assert 2 * done.kibibytes * 1024 < BYTES  # the larger of two processes, twice


def boundaries(name: str) -> Iterator[tuple[str, bytes]]:
    """Each file cut where one of its headers begins or ends."""
    elf, macho, pe = bytes(build.elf()), bytes(build.macho()), bytes(build.pe())
    if name == "elf":
        places = [4, 16, 64, *(64 + 56 * number for number in range(1, 8)), 0x200, 0x400, 0x1000, 0x1200]
        yield from ((f"elf-{place}", elf[:place]) for place in places)
    elif name == "mach-o":
        at, places = 32, [4, 32]
        for _ in range(struct.unpack_from("<I", macho, 16)[0]):
            at += struct.unpack_from("<I", macho, at + 4)[0]
            places.append(at)
        yield from ((f"mach-o-{place}", macho[:place]) for place in [*places, 0x800, 0x4000, 0x8000])
    elif name == "universal":
        whole = build.universal(macho, macho)
        places = [4, 8, 28, 48, 0x4000, 0x4000 + 32, 0x4000 + len(macho), len(whole) - len(macho)]
        yield from ((f"universal-{place}", whole[:place]) for place in places)
    else:
        places = [2, 60, 64, 68, 88, 88 + 112, 88 + 240, 88 + 280, 88 + 320, 0x400, 0x600]
        yield from ((f"pe-{place}", pe[:place]) for place in places)


@pytest.mark.parametrize("name", ["elf", "mach-o", "universal", "pe"])
def test_files_cut_at_a_header_are_not_analysed(tmp_path: Path, name: str):
    path = tmp_path / "file"
    with Worker() as worker:
        for cut, data in boundaries(name):
            path.write_bytes(data)
            began = time.process_time()
            with Snapshot.take(Found(cut, path)) as snapshot:
                report = worker.inspect(snapshot)
            assert not report.analysed, cut
            assert (report.verdict.level, len(report.findings)) == ("unknown", 1), cut
            assert time.process_time() - began < SECONDS
