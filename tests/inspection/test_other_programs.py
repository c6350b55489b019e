"""Programs that are not the stand-in: without network, stripped, dynamic, universal, tampered with."""

import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest
from inspected import report_on, universal

from binsafe.model import Severity

Standin = Callable[[str], Path]
GoProgram = Callable[..., bytes]


def test_a_go_program_without_network_is_free_of_it_only_when_its_system_calls_prove_it(go_program: GoProgram):
    data = go_program()
    [proved] = report_on(data, syscalls=True).slices
    assert proved.syscalls is not None
    assert proved.syscalls.complete
    assert proved.network.verdict == "no"
    unproved = report_on(data)
    assert unproved.slices[0].network.verdict == "unknown"
    assert "network-unknown" in [finding.id for finding in unproved.findings]


@pytest.mark.parametrize("target", ["windows/amd64", "darwin/arm64"])
def test_a_go_program_without_network_elsewhere_cannot_be_judged(go_program: GoProgram, target: str):
    [part] = report_on(go_program(target=target)).slices
    assert part.network.verdict == "unknown"
    assert part.network.directions == ()


@pytest.mark.parametrize("mode", ["exe", "pie"])
@pytest.mark.parametrize("target", ["linux/amd64", "darwin/arm64", "windows/amd64"])
def test_stripping_does_not_hide_go(go_program: GoProgram, target: str, mode: str):
    data = go_program("-ldflags=-s -w", f"-buildmode={mode}", target=target)
    [part] = report_on(data).slices
    assert part.language == "go"
    assert part.build.go is not None
    assert part.build.go.module == "example.org/hello"


def test_a_removed_build_record_is_unknown_and_still_go(go_program: GoProgram):
    data = go_program("-ldflags=-s -w").replace(b"\xff Go buildinf:", b"\xff No buildinf:")
    found = report_on(data)
    [part] = found.slices
    assert part.language == "go"
    assert part.build.go is not None
    assert part.build.go.version == "unknown"
    assert "go-build-unknown" in [finding.id for finding in found.findings]


def test_this_python_has_libraries_and_imports_or_says_that_it_cannot_tell():
    data = Path(sys.executable).resolve().read_bytes()
    found = report_on(data)
    assert found.analysed
    for part in found.slices:
        assert part.linkage == "dynamic"
        assert part.libraries
        assert part.network.verdict in {"yes", "unknown"}  # it imports them itself, or its libpython does


def test_a_universal_file_is_judged_by_its_weakest_slice(standin: Standin):
    intel, arm = standin("darwin/amd64").read_bytes(), standin("darwin/arm64").read_bytes()
    found = report_on(universal(intel, arm))
    assert [part.arch for part in found.slices] == ["x86_64", "arm64"]
    assert [part.signature.kind for part in found.slices] == ["none", "linker"]
    assert found.verdict.weakest_slice == 0
    assert "it is not signed" in found.verdict.advice
    assert {finding.id: finding.severity for finding in found.findings}["slices-differ"] is Severity.LOW
    swapped = report_on(universal(arm, intel))
    assert swapped.verdict.weakest_slice == 1


def test_a_changed_byte_of_code_is_danger(standin: Standin):
    data = bytearray(standin("darwin/arm64").read_bytes())
    assert report_on(bytes(data)).verdict.level == "ok"
    data[len(data) // 2] ^= 1
    found = report_on(bytes(data))
    assert found.verdict.level == "danger"
    assert found.findings[0].id == "page-hash"
    assert found.findings[0].slice == 0
    assert found.verdict.advice.startswith("Do not run it: ")


def test_findings_are_sorted_by_what_matters_first(standin: Standin):
    for target in ("darwin/arm64", "windows/amd64"):
        ranks = [finding.severity.rank for finding in report_on(standin(target).read_bytes()).findings]
        assert ranks == sorted(ranks, reverse=True)


@pytest.mark.parametrize(
    ("data", "format_"),
    [
        (b"#!/bin/sh\necho hello\n", "script"),
        (b"\x7fELF", "elf"),
        (b"hello, world\n", "unknown"),
        (b"PK\x03\x04" + b"\0" * 60, "archive"),
        (b"hsqs" + b"\0" * 60, "archive"),
        (b"\xed\xab\xee\xdb" + b"\0" * 60, "archive"),
        (b"MZ", "pe"),
        (b"\xcf\xfa\xed\xfe" + b"\0" * 28, "mach-o"),
        (b"\xca\xfe\xba\xbe\x00\x00\x00\x34" + b"\0" * 100, "unknown"),
        (b"\0", "unknown"),
    ],
)
def test_what_cannot_be_analysed_is_unknown_with_one_high_finding_and_advice(data: bytes, format_: str):
    found = report_on(data)
    assert (found.analysed, found.format, found.slices) == (False, format_, ())
    assert found.verdict.level == "unknown"
    assert found.verdict.advice.startswith("Do not run it: ")
    [finding] = found.findings
    assert finding.severity is Severity.HIGH
    assert finding.detail


@pytest.mark.skipif(sys.platform != "linux", reason="an object for Linux is compiled")
def test_a_kernel_module_is_one_and_no_profile_is_advised(tmp_path: Path):
    source, module = tmp_path / "a.c", tmp_path / "a.ko"
    source.write_text('int module __attribute__((section(".gnu.linkonce.this_module"))) = 1;')
    subprocess.run(["cc", "-c", source, "-o", module], check=True)
    found = report_on(module.read_bytes())
    signed = report_on(module.read_bytes() + b"~Module signature appended~\n")
    assert found.slices[0].kind == signed.slices[0].kind == "kernel-module"
    assert (found.slices[0].signature.kind, signed.slices[0].signature.status) == ("none", "unknown")
    for report in (found, signed):
        assert report.verdict.level == "caution"
        assert report.verdict.advice.endswith("load it only if you trust who made it.")


@pytest.mark.skipif(sys.platform != "linux", reason="a library for Linux is linked")
@pytest.mark.parametrize(
    ("system", "keeper"), [(0, "a profile (binsafe profile)"), (9, "a virtual machine"), (255, "a sandbox")]
)
def test_what_is_no_program_is_not_to_be_run_itself(tmp_path: Path, system: int, keeper: str):
    """255 is what Guile writes into its byte code (ELFOSABI_STANDALONE), which its runtime loads."""
    source, library = tmp_path / "a.c", tmp_path / "a.so"
    source.write_text("int a(void) { return 1; }")
    subprocess.run(["cc", "-shared", "-nostdlib", source, "-o", library], check=True)
    data = bytearray(library.read_bytes())
    data[7] = system
    wanted = f"Nobody vouches for this library: it is not signed; run what uses it only inside {keeper}."
    assert report_on(bytes(data)).verdict.advice == wanted


@pytest.mark.parametrize(("library", "kind"), [(b"ntoskrnl.exe", "driver"), (b"NTDLL.dll", "executable")])
def test_a_driver_for_windows_runs_in_its_kernel_and_a_native_program_does_not(
    standin: Standin, library: bytes, kind: str
):
    data = bytearray(standin("windows/amd64").read_bytes())
    subsystem = struct.unpack_from("<I", data, 0x3C)[0] + 24 + 68
    assert struct.unpack_from("<H", data, subsystem) == (3,)
    struct.pack_into("<H", data, subsystem, 1)
    assert data.count(b"kernel32.dll\0") >= 1
    found = report_on(bytes(data.replace(b"kernel32.dll\0", library.ljust(13, b"\0"))))
    assert found.slices[0].kind == kind
    assert ("privileged-code" in {finding.id for finding in found.findings}) == (kind == "driver")
    assert found.verdict.advice.endswith("load it only if you trust who made it.") == (kind == "driver")


@pytest.mark.parametrize("target", ["linux/amd64", "darwin/arm64", "windows/amd64"])
def test_half_a_program_is_never_ok(standin: Standin, target: str):
    data = standin(target).read_bytes()
    found = report_on(data[: len(data) // 2])
    assert not found.analysed
    assert found.verdict.level == "unknown"
    assert [finding.id for finding in found.findings] == ["truncated"]


@pytest.mark.parametrize("target", ["linux/amd64", "darwin/arm64", "windows/amd64"])
def test_no_changed_byte_makes_the_inspection_raise(go_program: GoProgram, target: str):
    original = go_program("-ldflags=-s -w", target=target)
    random = Random(target)
    for _ in range(60):
        data = bytearray(original)
        for _ in range(random.choice((1, 3, 10))):
            place = random.randrange(4096 if random.random() < 0.7 else len(data))
            data[place] = random.choice((0, 1, 0x7F, 0x80, 0xFF, random.randrange(256)))
        found = report_on(bytes(data))
        assert found.analysed or found.verdict.level == "unknown"
