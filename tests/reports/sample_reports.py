"""Reports whose every value is fixed, for looking at what is made of them."""

from binsafe.model import (
    Artifact,
    Build,
    Capability,
    Evidence,
    Finding,
    GoBuild,
    Library,
    Member,
    Network,
    Operation,
    Report,
    ResolvedLibrary,
    RustBuild,
    Severity,
    Signature,
    Signer,
    SliceReport,
    Strings,
    Syscalls,
    Text,
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

CAPABLE = SliceReport(
    arch="x86_64",
    system="linux",
    kind="executable",
    linkage="dynamic",
    language="rust",
    libraries=(Library(name="libc.so.6", kind="needed"), Library(name="libgone.so.1", kind="needed")),
    rpaths=(),
    signature=Signature(kind="none", status="absent"),
    entitlements=None,
    entitlements_source=None,
    network=Network(verdict="no"),
    syscalls=Syscalls(abi="linux-x86_64", complete=True, required=("execve", "read"), likely=("read",)),
    hardening={"pie": "present"},
    build=Build(rust=RustBuild(crates=("solver 1.0.0",))),
    capabilities=(
        Capability(
            name="execute",
            verdict="yes",
            evidence=(
                Evidence(
                    via="syscall",
                    address="0x401000",
                    symbol="execve",
                    instructions=("0x400ffb: mov eax, 0x3b", "0x401000: syscall", "0x401002: ret"),
                ),
                Evidence(via="function", address="0x402000", symbol="solver::secret_trick"),
            ),
            evidence_total=3,
        ),
        Capability(
            name="keychain",
            verdict="unknown",
            evidence=(Evidence(via="string", symbol="org.freedesktop.secrets", detail="at offset 0x30"),),
            evidence_total=1,
        ),
    ),
    interpreter="/lib64/ld-linux-x86-64.so.2",
    resolved=(
        ResolvedLibrary(name="libc.so.6", path="/lib/libc.so.6", sha256="ab" * 32, needed_by="program"),
        ResolvedLibrary(name="libgone.so.1", path=None, needed_by="libc.so.6"),
    ),
)

PUZZLE = Report(
    artifact=Artifact(
        name="pack/puzzle",
        path="/downloads/pack/puzzle",
        size=4_096,
        sha256="7e" * 32,
        quarantine={"agent": "Safari", "flags": "0083"},
    ),
    format="elf",
    analysed=True,
    slices=(CAPABLE,),
    strings=Strings(
        urls=(Text(value="https://example.org/answer", offset=16),),
        urls_total=7,
        secrets=(Text(value="ghp_ab...", offset=99),),
        secrets_total=1,
    ),
    findings=(
        Finding(
            id="odd-text",
            severity=Severity.LOW,
            title="It holds an odd text",
            detail="The text is 'open sesame'.",
            slice=0,
            evidence=(Evidence(via="string", address="0x403000", symbol="open sesame"),),
        ),
    ),
    verdict=Verdict(level="ok", advice="Nobody vouches for this program.", weakest_slice=0),
)

ARCHIVE = Report(
    artifact=Artifact(name="pack.zip", path="/downloads/pack.zip", size=9_000, sha256="11" * 32),
    format="archive",
    analysed=False,
    findings=(
        Finding(id="archive-entry", severity=Severity.MEDIUM, title="An entry leads out of it", detail="'../up'"),
    ),
    verdict=Verdict(level="unknown", advice="Do not run it: bin/broken could not be analysed."),
    members=(Member(path="bin/puzzle", report=PUZZLE), Member(path="bin/broken [1](x)", report=NOT_ANALYSED)),
    members_omitted=2,
)
