"""The words of the project as frozen structs: what the stages hand to each other. No I/O, no parser.

image       what a parser saw           Image, Slice, Section, ...
facts       what that means             Signature, Network, Syscalls, Build, ... each with Evidence
report      all facts of an artifact    Report, Finding, Verdict
policy      what it may do              Policy, Grant, Denial
gap         what is not held of that    Gap
violation   what it tried anyway        Violation
difference  what changed                Difference, Change
rewriting   trees of these structs with some of their parts replaced
"""

from binsafe.model.facts import (
    ArgumentValues,
    Build,
    Capability,
    Evidence,
    GoBuild,
    Library,
    Mitigation,
    Network,
    Operation,
    Problem,
    ResolvedLibrary,
    RustBuild,
    Signature,
    Signer,
    Strings,
    Syscalls,
    Text,
    Unresolved,
)
from binsafe.model.gap import Gap
from binsafe.model.image import Image, Import, Section, Segment, Slice, Symbol
from binsafe.model.policy import Condition, Denial, Grant, Policy
from binsafe.model.report import Artifact, Finding, Member, Report, Severity, SliceReport, Verdict
from binsafe.model.violation import Violation

__all__ = [
    "ArgumentValues",
    "Artifact",
    "Build",
    "Capability",
    "Condition",
    "Denial",
    "Evidence",
    "Finding",
    "Gap",
    "GoBuild",
    "Grant",
    "Image",
    "Import",
    "Library",
    "Member",
    "Mitigation",
    "Network",
    "Operation",
    "Policy",
    "Problem",
    "Report",
    "ResolvedLibrary",
    "RustBuild",
    "Section",
    "Segment",
    "Severity",
    "Signature",
    "Signer",
    "Slice",
    "SliceReport",
    "Strings",
    "Symbol",
    "Syscalls",
    "Text",
    "Unresolved",
    "Verdict",
    "Violation",
]
