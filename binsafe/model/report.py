"""The report: all facts and findings of one artifact. Every output is made from it alone."""

from enum import StrEnum
from typing import Any, Final, Literal

import msgspec

from binsafe.model.facts import (
    Build,
    Capability,
    Evidence,
    Library,
    Mitigation,
    Network,
    ResolvedLibrary,
    Signature,
    Strings,
    Syscalls,
)
from binsafe.model.image import Linkage

REPORT_SCHEMA = "binsafe.report/1"

QUARANTINE: Final = "com.apple.quarantine"
"""The extended attribute by which macOS marks a file that was fetched."""
FILE_CAPABILITIES: Final = "security.capability"
"""The one with what Linux lets a program do, whoever starts it (capabilities(7), "File capabilities")."""

Level = Literal["ok", "caution", "danger", "unknown"]
"""Of a verdict."""


class Severity(StrEnum):
    """How much a person should care, least first."""

    INFO = "info"
    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    CRITICAL = "critical"

    @property
    def rank(self) -> int:
        """0 for info up to 4 for critical."""
        return list(Severity).index(self)

    @property
    def level(self) -> Level:
        """The verdict on a file of which nothing worse was found."""
        if self.rank >= Severity.HIGH.rank:
            return "danger"
        return "caution" if self is Severity.MEDIUM else "ok"


class Artifact(msgspec.Struct, frozen=True, kw_only=True):
    """The bytes under inspection; ``path`` is the resolved one, ``name`` what the user asked for."""

    name: str
    path: str
    size: int
    sha256: str
    quarantine: dict[str, str] | None = None
    attributes: dict[str, str] | None = None
    """Other extended attributes, which ``sha256`` does not cover: name -> what it says, or how long it is."""
    set_id: str | None = None
    """As whom its mode (set-user-ID, set-group-ID) makes it run, whoever starts it."""


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """A fact that a person should care about; ``slice`` is the index of the slice it concerns."""

    id: str
    severity: Severity
    title: str
    detail: str
    slice: int | None = None
    evidence: tuple[Evidence, ...] = ()

    @property
    def clause(self) -> str:
        """The title as a part of a sentence."""
        return self.title[:1].lower() + self.title[1:]


LEVELS: Final = ("unknown", "danger", "caution", "ok")
"""Of verdicts, the worst first: what is not known may be anything."""


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """One word and one sentence; ``weakest_slice`` is an index into ``slices``."""

    level: Level
    advice: str
    weakest_slice: int | None = None


class SliceReport(msgspec.Struct, frozen=True, kw_only=True):
    """The facts of one slice."""

    arch: str
    system: str
    kind: str
    linkage: Linkage | None
    language: str
    libraries: tuple[Library, ...]
    rpaths: tuple[str, ...]
    signature: Signature
    entitlements: dict[str, Any] | None
    entitlements_source: Literal["der", "xml"] | None
    network: Network
    syscalls: Syscalls | None
    hardening: dict[str, Mitigation]
    build: Build
    capabilities: tuple[Capability, ...] = ()
    interpreter: str | None = None
    """The dynamic loader that the program names (``PT_INTERP``, ``LC_LOAD_DYLINKER``)."""
    resolved: tuple[ResolvedLibrary, ...] = ()
    """The library closure of a dynamic ELF program as this system, or ``--root``, resolves it."""


class Member(msgspec.Struct, frozen=True, kw_only=True):
    """One file of an archive or bundle; ``path`` is its name there, as data, never used as a path of ours."""

    path: str
    report: "Report"


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """``binsafe.report/1``: what ``binsafe inspect --json`` prints and everything downstream reads."""

    schema: str = REPORT_SCHEMA
    artifact: Artifact
    format: Literal["mach-o", "elf", "pe", "script", "archive", "bundle", "unknown"]
    analysed: bool
    slices: tuple[SliceReport, ...] = ()
    strings: Strings = Strings()
    findings: tuple[Finding, ...] = ()
    verdict: Verdict
    members: tuple[Member, ...] = ()
    """The executables of an archive or bundle."""
    members_omitted: int = 0
    omitted: tuple[str, ...] = ()
    """What was left out of this report on purpose, and why (``--spoiler-free``, its size): never read as absent."""

    @property
    def worst(self) -> int:
        """The rank of the most severe finding, those of members included; 0 where there is none."""
        own = (finding.severity.rank for finding in self.findings)
        return max([0, *own, *(member.report.worst for member in self.members)])
