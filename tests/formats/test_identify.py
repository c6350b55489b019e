import io
import struct
import subprocess
import sys
import tarfile
import zipfile

import pytest

from binsafe.errors import NotAnalysable
from binsafe.formats import FORMATS, identify, parse


def zipped() -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        archive.writestr("program", b"x")
    return target.getvalue()


def tarred() -> bytes:
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("program"))
    return target.getvalue()


@pytest.mark.parametrize(
    ("head", "kind"),
    [
        (b"\x7fELF", "elf"),
        (b"\xcf\xfa\xed\xfe", "mach-o"),
        (b"\xfe\xed\xfa\xce", "mach-o"),
        (struct.pack(">II", 0xCAFEBABE, 2), "mach-o"),
        (struct.pack(">II", 0xCAFEBABF, 1), "mach-o"),
        (struct.pack(">IHH", 0xCAFEBABE, 0, 65), "unknown"),  # a class file of Java 21
        (struct.pack(">IHH", 0xCAFEBABE, 3, 45), "unknown"),  # of Java 1.1, the oldest
        (b"MZ", "pe"),
        (b"#!/bin/sh\n", "script"),
        (zipped(), "archive"),
        (tarred(), "archive"),
        (b"\x1f\x8b\x08", "archive"),
        (b"!<arch>\n", "archive"),
        (b"", "unknown"),
        (b"M", "unknown"),
        (b"hello, world\n", "unknown"),
    ],
)
def test_first_bytes_tell_the_format(head: bytes, kind: str):
    assert identify(head) == kind
    assert identify(memoryview(head + bytes(1000))) == kind


@pytest.mark.parametrize("count", [21, 52, 204])
def test_a_universal_file_with_as_many_slices_as_java_has_versions(count: int):
    """The kernel takes all of them for slices, and runs the last one here."""
    nonsense = struct.pack(">5I", 0x0005_0100, 0, 0x4000, 0, 0) * (count - 1)
    head = struct.pack(">II", 0xCAFEBABE, count) + nonsense + struct.pack(">5I", 0x0100_000C, 0, 0x4000, 0x100, 14)
    assert identify(head) == "mach-o"
    assert identify(head.replace(b"\1\0\0\x0c", b"\1\0\0\x0d")) == "unknown"
    assert identify(head[:-12] + struct.pack(">3I", 0x4010, 0x100, 14)) == "unknown", "a class file had such a row"
    with pytest.raises(NotAnalysable, match="slices"):
        parse(memoryview(head + bytes(0x4000)))


@pytest.mark.parametrize(
    ("data", "finding", "word"),
    [
        (b"", "empty", "empty"),
        (b"#!/usr/bin/env python3\nprint()\n", "script", "python3"),
        (b"#! /bin/sh -e\n", "script", "/bin/sh"),
        (b"#!/usr/bin/env -S A=1 node --flag\n", "script", "node"),
        (b"#!\n", "script", "no interpreter"),
        (b"#!/bin/\x1b[2Jsh\n", "script", "/bin/[2Jsh"),
        (zipped(), "archive", "archive"),
        (struct.pack(">IHH", 0xCAFEBABE, 0, 65), "unknown-format", "a Java class, no ELF"),
        (b"\x01\xf7\0\x06", "unknown-format", "AIX"),
        (b"\0asm\1\0\0\0", "unknown-format", "WebAssembly"),
        (b"plain text\n", "unknown-format", "no ELF"),
    ],
)
def test_what_is_no_executable_is_refused_in_one_line(data: bytes, finding: str, word: str):
    with pytest.raises(NotAnalysable) as caught:
        parse(memoryview(data))
    assert caught.value.finding == finding
    assert word in str(caught.value)
    assert "\n" not in str(caught.value)
    assert str(caught.value).isprintable()
    assert caught.value.hint


def test_every_format_has_a_reader():
    assert set(FORMATS) == {"elf", "mach-o", "pe"}


@pytest.mark.each_user
def test_importing_the_package_does_not_load_lief():
    program = "import sys, binsafe.formats; sys.exit('lief' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
