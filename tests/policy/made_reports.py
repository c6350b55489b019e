"""Reports as inspection would make them, with just what a test is about."""

from typing import Any, Literal

from binsafe.model import (
    ArgumentValues,
    Artifact,
    Build,
    Evidence,
    Network,
    Operation,
    Report,
    Signature,
    SliceReport,
    Syscalls,
    Verdict,
)
from binsafe.model.facts import OperationName


def network(*names: OperationName, verdict: Literal["yes", "no", "unknown"] = "yes"):
    operations = (
        Operation(
            name=name,
            evidence=(Evidence(via="function", address=f"0x{0x401000 + i:x}", symbol=name),),
            evidence_total=1,
        )
        for i, name in enumerate(names)
    )
    return Network(verdict=verdict, operations=tuple(operations))


def syscalls(*required: str, complete: bool = True, arch: str = "x86_64", **arguments: tuple[ArgumentValues, ...]):
    sites = {name: (f"0x{0x500000 + i:x}",) for i, name in enumerate(required)}
    return Syscalls(
        abi=f"linux-{arch}",
        complete=complete,
        required=required,
        likely=required,
        sites=sites,
        arguments=arguments,
    )


def make_slice(
    *,
    calls: Syscalls | None = None,
    uses: Network | None = None,
    system: str = "linux",
    arch: str = "x86_64",
    **facts: Any,
):
    facts = {"linkage": "static", "libraries": (), "rpaths": ()} | facts
    return SliceReport(
        arch=arch,
        system=system,
        kind="executable",
        language="go",
        signature=Signature(kind="none", status="absent"),
        entitlements=None,
        entitlements_source=None,
        network=uses or network("listen", "connect"),
        syscalls=calls,
        hardening={},
        build=Build(),
        **facts,
    )


def make_report(*slices: SliceReport, name: str = "flakyservers", analysed: bool = True):
    return Report(
        artifact=Artifact(name=name, path=f"/opt/{name}", size=1, sha256="ab" * 32),
        format="elf",
        analysed=analysed,
        slices=slices,
        verdict=Verdict(level="ok", advice=""),
    )
