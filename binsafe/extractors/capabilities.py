"""What the program can do beside the network, and where: start programs, keep itself installed, read secrets, look on.

"yes" has a place in the code, or in the file for what its layout says (packing, memory that is writable and
executable); what texts or entitlements suggest is "unknown". Only what a person should know of becomes a finding: that
a tool starts other programs or loads libraries is what most do.
"""

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Literal, NamedTuple

from binsafe.extractors.capabilitynames import CAPABILITIES, CAPABILITY_NAMES, ENTITLED, OF_GO_ITSELF, TOGETHER
from binsafe.extractors.claims import by_kind, claims, hints, shown
from binsafe.extractors.codemaking import code_making
from binsafe.extractors.names import plain_name
from binsafe.extractors.packing import packed, programs
from binsafe.extractors.subject import Extracted, Subject
from binsafe.limits import MAX_EVIDENCE
from binsafe.model import Capability, Evidence, Finding, Severity
from binsafe.model.facts import CapabilityName

Claim = tuple[CapabilityName, Evidence]


class _Told(NamedTuple):
    severity: Severity
    title: str
    detail: str


_FINDINGS: Mapping[CapabilityName, _Told] = MappingProxyType(
    {
        "persistence": _Told(
            Severity.LOW, "It can have itself started again", "It calls what installs a service or a login item."
        ),
        "keychain": _Told(
            Severity.LOW, "It can read or write stored passwords", "It calls the system's store of passwords and keys."
        ),
        "screen": _Told(
            Severity.LOW, "It can take pictures of the screen", "It calls what reads the screen's content."
        ),
        "camera": _Told(Severity.LOW, "It can use the camera", "It calls what opens cameras."),
        "microphone": _Told(Severity.LOW, "It can record sound", "It calls what opens microphones."),
        "debug": _Told(
            Severity.LOW, "It can take control of other processes", "It calls what reads or changes their memory."
        ),
        "packed": _Told(
            Severity.MEDIUM,
            "Its code is packed",
            "What it runs is unpacked while it runs, so that nothing that is said here of its abilities is complete.",
        ),
    }
)


def extract(subject: Subject) -> Extracted[tuple[Capability, ...]]:
    """The capabilities in the order of their names' list, and findings for those that few programs need."""
    proved = by_kind([*_named(subject), *_together(subject), *_layout(subject)])
    suspected = by_kind([*hints(subject, CAPABILITIES), *_entitled(subject)])
    value = []
    for name in CAPABILITY_NAMES:
        found = proved.get(name) or suspected.get(name)
        if found:
            evidence, total = shown(found)
            verdict: Literal["yes", "unknown"] = "yes" if name in proved else "unknown"
            value.append(Capability(name=name, verdict=verdict, evidence=evidence, evidence_total=total))
    return Extracted(tuple(value), (*_findings(value), *_carried(subject)))


def _named(subject: Subject) -> Iterator[Claim]:
    """What its names say, but for those that stand in every Go program."""
    for kind, evidence in claims(subject, CAPABILITIES):
        name = plain_name(evidence.symbol or "", subject.slice.format)
        if not (subject.is_go and evidence.via == "import" and name in OF_GO_ITSELF):
            yield kind, evidence


def _together(subject: Subject) -> Iterator[Claim]:
    """Imports that mean something only beside each other."""
    slice_ = subject.slice
    named = {plain_name(entry.name, slice_.format): entry for entry in slice_.imports}
    for kind, sets in TOGETHER:
        met = [sorted(names & named.keys()) for names in sets]
        if all(met):
            for name in (name for names in met for name in names):
                address = named[name].address
                symbol, library = named[name].name, named[name].library
                place = None if address is None else hex(address)
                yield kind, Evidence(via="import", address=place, symbol=symbol, detail=library)


def _layout(subject: Subject) -> Iterator[Claim]:
    for segment in subject.slice.segments:
        if segment.writable and segment.executable:
            name = segment.name or "a segment"
            detail = "memory that is writable and executable from the start"
            yield "modify-code", Evidence(via="layout", address=hex(segment.address), symbol=name, detail=detail)
    for evidence in code_making(subject):
        yield "modify-code", evidence
    for evidence in packed(subject.slice, is_managed=subject.managed is not None or subject.is_go):
        yield "packed", evidence


def _entitled(subject: Subject) -> Iterator[Claim]:
    """What its signer asked macOS for."""
    entitlements = subject.signature.entitlements or {}
    for name, kind in ENTITLED.items():
        if entitlements.get(name):
            yield kind, Evidence(via="string", symbol=name, detail="an entitlement")


def _carried(subject: Subject) -> Iterator[Finding]:
    evidence, total = shown(list(programs(subject.slice)))
    if total:
        held = ", ".join(f"{one.detail} (section {one.symbol})" if one.symbol else f"{one.detail}" for one in evidence)
        more = f" and {total - len(evidence)} more" if total > len(evidence) else ""
        yield Finding(
            id="carried-program",
            severity=Severity.MEDIUM,
            title="It carries another program or an archive",
            detail=f"Not looked at, though it could be started: {held}{more}. Unpack and inspect that too.",
            evidence=evidence,
        )


def _findings(capabilities: list[Capability]) -> Iterator[Finding]:
    for capability in capabilities:
        told = _FINDINGS.get(capability.name)
        if told is not None and capability.verdict == "yes":
            yield Finding(
                id=f"capability-{capability.name}",
                severity=told.severity,
                title=told.title,
                detail=told.detail,
                evidence=capability.evidence[:MAX_EVIDENCE],
            )
