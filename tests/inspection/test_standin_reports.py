"""What issue 2 demands of ``binsafe inspect`` on the stand-in, on all systems it is built for."""

import io
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from elftools.elf.elffile import ELFFile
from inspected import report_on

from binsafe.model import Evidence, Report, Severity
from binsafe.reports import REPORTERS

Standin = Callable[[str], Path]
GOLDEN = Path(__file__).parents[1] / "golden"
TARGETS = ("linux/amd64", "linux/arm64", "darwin/arm64", "darwin/amd64", "windows/amd64")


@pytest.fixture(scope="module")
def report(standin: Standin) -> Callable[[str], Report]:
    made: dict[str, Report] = {}

    def of(target: str) -> Report:
        if target not in made:
            made[target] = report_on(standin(target).read_bytes(), name="flakyservers")
        return made[target]

    return of


def evidence_of(found: Report, operation: str) -> tuple[Evidence, ...]:
    [part] = found.slices
    return next(op.evidence for op in part.network.operations if op.name == operation)


@pytest.mark.parametrize("target", TARGETS)
def test_every_build_is_a_go_program_that_listens_and_connects(target: str, report: Callable[[str], Report]):
    found = report(target)
    [part] = found.slices
    system, _, processor = target.partition("/")
    assert found.analysed
    assert found.format == {"linux": "elf", "darwin": "mach-o", "windows": "pe"}[system]
    assert part.system == {"darwin": "macos"}.get(system, system)
    assert part.arch == {"amd64": "x86_64"}.get(processor, processor)
    assert part.kind == "executable"
    assert part.language == "go"
    assert part.build.go is not None
    assert part.build.go.version.startswith("go1.")
    assert part.build.go.module is not None
    assert part.build.go.module.endswith("flakyservers")
    assert part.build.go.settings["GOARCH"] == processor
    assert part.hardening["canary"] == "not-applicable"
    assert part.network.verdict == "yes"
    assert {"listen", "connect"} <= set(part.network.directions)
    for operation in ("listen", "connect"):
        first = evidence_of(found, operation)[0]
        assert first.address is not None
        assert first.symbol is not None


def test_the_mac_build_for_arm_is_signed_by_the_linker_and_by_nobody(report: Callable[[str], Report]):
    found = report("darwin/arm64")
    [part] = found.slices
    assert (part.signature.kind, part.signature.status) == ("linker", "valid")
    assert part.signature.signers == ()
    assert "/usr/lib/libSystem.B.dylib" in [library.name for library in part.libraries]
    assert part.hardening["pie"] == "present"
    assert part.build.minimum_os is not None
    assert [finding.id for finding in found.findings if finding.severity is not Severity.INFO] == ["linker-signed"]
    assert found.verdict.advice == (
        "Nobody vouches for this program: it is signed by the linker only; "
        "run it only inside a profile (binsafe profile)."
    )


def test_the_mac_build_for_intel_is_unsigned(report: Callable[[str], Report]):
    found = report("darwin/amd64")
    assert (found.slices[0].signature.kind, found.slices[0].signature.status) == ("none", "absent")
    assert found.verdict.level == "caution"
    assert next(finding.severity for finding in found.findings if finding.id == "unsigned") is Severity.MEDIUM


def test_the_windows_build_is_unsigned_and_imports_no_socket(report: Callable[[str], Report]):
    found = report("windows/amd64")
    [part] = found.slices
    assert part.signature.kind == "none"
    assert [library.name.lower() for library in part.libraries] == ["kernel32.dll"]
    assert {evidence.via for evidence in evidence_of(found, "connect")} == {"function"}
    assert found.verdict.level == "caution"
    assert found.verdict.advice.endswith("run it only inside a virtual machine."), "no profile here is for Windows"


@pytest.mark.parametrize("target", ["linux/amd64", "linux/arm64"])
def test_no_signature_says_nothing_on_linux(target: str, report: Callable[[str], Report]):
    found = report(target)
    assert found.slices[0].linkage == "static"
    assert found.slices[0].libraries == ()
    assert next(finding.severity for finding in found.findings if finding.id == "unsigned") is Severity.INFO


@pytest.mark.parametrize("target", ["linux/amd64", "linux/arm64"])
def test_evidence_is_where_another_reader_sees_those_functions(
    target: str, standin: Standin, report: Callable[[str], Report]
):
    [part] = report(target).slices
    elf = ELFFile(io.BytesIO(standin(target).read_bytes()))
    table = elf.get_section_by_name(".symtab")
    named = {(symbol.name, symbol["st_value"]) for symbol in table.iter_symbols()}
    claims = [
        (evidence.symbol, int(evidence.address, 16))
        for operation in part.network.operations
        for evidence in operation.evidence
        if evidence.via == "function" and evidence.address
    ]
    assert len(claims) > 20
    assert [claim for claim in claims if claim not in named] == []


def test_the_system_calls_of_the_linux_build_agree(standin: Standin):
    found = report_on(standin("linux/amd64").read_bytes(), syscalls=True)
    [part] = found.slices
    assert part.syscalls is not None
    assert {"socket", "bind", "listen", "accept4"} <= set(part.syscalls.required)
    via = {evidence.via for operation in part.network.operations for evidence in operation.evidence}
    assert via == {"function", "syscall"}


def test_without_the_analysis_its_fact_is_null(report: Callable[[str], Report]):
    assert report("linux/amd64").slices[0].syscalls is None


@pytest.mark.parametrize("target", TARGETS)
def test_one_screen_says_it_all(target: str, report: Callable[[str], Report]):
    shown = REPORTERS["text"](report(target))
    assert shown.count("\n") <= 45
    for text in ("flakyservers", "Go version 1.", "yes: it can listen", "0x", "hardening", "Verdict:"):
        assert text in shown


@pytest.mark.parametrize("target", TARGETS)
def test_the_same_bytes_give_the_same_json(target: str, standin: Standin, report: Callable[[str], Report]):
    again = report_on(standin(target).read_bytes(), name="flakyservers")
    assert REPORTERS["json"](again) == REPORTERS["json"](report(target))


@pytest.mark.parametrize("target", TARGETS)
def test_the_text_is_the_reviewed_one_but_for_what_a_compiler_changes(target: str, report: Callable[[str], Report]):
    golden = GOLDEN / f"standin-{target.replace('/', '-')}.txt"
    assert _without_volatile_values(REPORTERS["text"](report(target))) == golden.read_text(encoding="utf-8")


def _without_volatile_values(shown: str) -> str:
    """The text without what another version of Go changes: addresses, hashes, sizes, and which function comes first."""
    for pattern, name in (
        (r"\b[0-9a-f]{40,64}\b", "HASH"),
        (r"0x[0-9a-f]+", "ADDRESS"),
        (r"ADDRESS \S+ \(function\)", "ADDRESS FUNCTION (function)"),
        (r"[0-9,]+ bytes$", "N bytes"),
        (r"version [0-9.]+", "version N"),
        (r"[0-9.]+ or later, SDK [0-9.]+", "N or later, SDK N"),
        (r" \(and [0-9]+ more\)", " (and N more)"),
    ):
        shown = re.sub(pattern, name, shown, flags=re.MULTILINE)
    return shown
