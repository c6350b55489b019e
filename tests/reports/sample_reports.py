"""Reports whose every value is fixed, for looking at what is made of them."""

from binsafe.model import (
    Artifact,
    Build,
    Evidence,
    Finding,
    GoBuild,
    Library,
    Network,
    Operation,
    Report,
    Severity,
    Signature,
    Signer,
    SliceReport,
    Syscalls,
    Unresolved,
    Verdict,
)

ARTIFACT = Artifact(name="tool", path="/downloads/tool", size=8_217_778, sha256="5a" * 32)

LINKER_SIGNED = SliceReport(
    arch="arm64",
    system="macos",
    kind="executable",
    linkage="dynamic",
    language="go",
    libraries=tuple(Library(name=f"/usr/lib/lib{name}.dylib", kind="load") for name in "abcdefgh"),
    rpaths=("@executable_path/../lib",),
    signature=Signature(kind="linker", status="valid", identifier="a.out", cdhash="9f" * 20, flags=("adhoc",)),
    entitlements=None,
    entitlements_source=None,
    network=Network(
        verdict="yes",
        directions=("listen", "connect"),
        operations=(
            Operation(
                name="listen",
                evidence=(
                    Evidence(via="import", address="0x1000a0010", symbol="listen", detail="/usr/lib/liba.dylib"),
                    Evidence(via="function", address="0x1000b0000", symbol="net.(*sysListener).listenTCP"),
                ),
                evidence_total=12,
            ),
            Operation(
                name="connect",
                evidence=(Evidence(via="import", address="0x1000a0020", symbol="connect"),),
                evidence_total=1,
            ),
        ),
    ),
    syscalls=None,
    hardening={"pie": "present", "nx": "present", "canary": "not-applicable", "hardened_runtime": "absent"},
    build=Build(
        go=GoBuild(
            version="go1.27.3",
            module="example.org/tool",
            dependencies=("golang.org/x/net v0.20.0",),
            settings={"CGO_ENABLED": "0"},
        ),
        minimum_os="12.0",
        sdk="12.0",
        uuid="00000000-0000-0000-0000-000000000001",
    ),
)

SIGNED = SliceReport(
    arch="x86_64",
    system="linux",
    kind="executable",
    linkage="static",
    language="unknown",
    libraries=(),
    rpaths=(),
    signature=Signature(
        kind="developer-id",
        status="invalid",
        team_id="ABCDE12345",
        signers=(
            Signer(common_name="Developer ID Application: Somebody", organization="Somebody", not_after="2030-01-01"),
        ),
        chain="apple-root",
    ),
    entitlements={"com.apple.security.get-task-allow": True},
    entitlements_source="der",
    network=Network(verdict="unknown"),
    syscalls=Syscalls(
        abi="linux-x86_64",
        complete=False,
        required=("read", "rt_sigreturn_with_a_long_name", "write"),
        likely=("read",),
        unresolved=(Unresolved(address="0x401000", reason="the number is computed"),),
        sites={"read": ("0x401010", "0x401020")},
    ),
    hardening={"pie": "absent", "relro": "partial", "canary": "unknown"},
    build=Build(),
)

UNIVERSAL = Report(
    artifact=ARTIFACT,
    format="mach-o",
    analysed=True,
    slices=(LINKER_SIGNED, SIGNED),
    findings=(
        Finding(
            id="page-hash",
            severity=Severity.HIGH,
            title="The code was changed after it was signed",
            detail="Page 3 does not have the hash that was signed.",
            slice=1,
        ),
        Finding(
            id="network",
            severity=Severity.INFO,
            title="It can use the network",
            detail="It holds code for: listen, connect.",
            slice=0,
            evidence=(Evidence(via="import", address="0x1000a0010", symbol="listen"),),
        ),
    ),
    verdict=Verdict(level="danger", advice="Do not run it: the code was changed after it was signed.", weakest_slice=1),
)

NOT_ANALYSED = Report(
    artifact=ARTIFACT,
    format="elf",
    analysed=False,
    findings=(
        Finding(id="truncated", severity=Severity.HIGH, title="It could not be analysed", detail="It ends early"),
    ),
    verdict=Verdict(level="unknown", advice="Do not run it: fetch it again."),
)
