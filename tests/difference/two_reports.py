"""Reports for a comparison: a plain program, and the same with just what a test is about."""

from typing import Any, Literal

import msgspec

from binsafe.difference import compare
from binsafe.model import (
    Artifact,
    Build,
    Capability,
    Evidence,
    Finding,
    Member,
    Network,
    Operation,
    Report,
    Severity,
    Signature,
    Signer,
    SliceReport,
    Syscalls,
    Verdict,
)
from binsafe.model.difference import Difference
from binsafe.model.facts import CapabilityName, OperationName

DEVELOPER = Signature(
    kind="developer-id",
    status="valid",
    team_id="ABCDE12345",
    identifier="org.example.tool",
    signers=(Signer(common_name="Developer ID Application: Example", organization="Example"),),
    chain="apple-root",
    notarization="stapled",
)
PLAIN = SliceReport(
    arch="x86_64",
    system="linux",
    kind="executable",
    linkage="static",
    language="c",
    libraries=(),
    rpaths=(),
    signature=Signature(kind="none", status="absent"),
    entitlements=None,
    entitlements_source=None,
    network=Network(verdict="no"),
    syscalls=Syscalls(abi="linux-x86_64", complete=True, required=("read", "write"), likely=("read", "write")),
    hardening={"pie": "present", "relro": "partial", "canary": "unknown"},
    build=Build(),
)


def network(*names: OperationName, verdict: Literal["yes", "no", "unknown"] = "yes") -> Network:
    operations = tuple(
        Operation(
            name=name, evidence=(Evidence(via="import", address=f"0x{0x1000 + i:x}", symbol=name),), evidence_total=1
        )
        for i, name in enumerate(names)
    )
    return Network(verdict=verdict, operations=operations, directions=names if verdict == "yes" else ())


def capability(name: CapabilityName, verdict: Literal["yes", "unknown"] = "yes") -> Capability:
    return Capability(name=name, verdict=verdict, evidence=(Evidence(via="import", symbol=name),), evidence_total=1)


def finding(identifier: str, severity: Severity, **facts: Any) -> Finding:
    return Finding(id=identifier, severity=severity, title=f"About {identifier}", **{"detail": "", "slice": 0} | facts)


def part(**facts: Any) -> SliceReport:
    return msgspec.structs.replace(PLAIN, **facts)


def report(*slices: SliceReport, sha256: str = "unknown", **facts: Any) -> Report:
    facts = {"format": "elf", "analysed": True, "verdict": Verdict(level="ok", advice="")} | facts
    artifact = Artifact(name="tool", path="/opt/tool", size=1, sha256=sha256)
    return Report(artifact=artifact, slices=slices, **facts)


def archive(**members: Report) -> Report:
    """``a__b`` stands for the path a/b."""
    found = tuple(Member(path=name.replace("__", "/"), report=each) for name, each in members.items())
    return report(format="archive", members=found)


def difference(old: dict[str, Any], new: dict[str, Any]) -> Difference:
    return compare(report(part(**old)), report(part(**new)))


def found(old: dict[str, Any], new: dict[str, Any]) -> set[tuple[str, str]]:
    return {(each.id, str(each.severity)) for each in difference(old, new).changes}


def calls(*names: str, **facts: Any) -> dict[str, Syscalls]:
    facts = {"abi": "linux-x86_64", "complete": True, "likely": names} | facts
    return {"syscalls": Syscalls(required=names, **facts)}


def signed(**facts: Any) -> dict[str, Signature]:
    return {"signature": msgspec.structs.replace(DEVELOPER, **facts)}


UNSIGNED = {"signature": Signature(kind="none", status="absent")}


INCOMPLETE = calls("read", "write", complete=False)
