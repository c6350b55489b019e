"""The words of the project as frozen structs: what the stages hand to each other. No I/O, no parser.

image       what a parser saw           Image, Slice, Section, ...
facts       what that means             Signature, Network, Syscalls, Build, ... each with Evidence
report      all facts of an artifact    Report, Finding, Verdict
policy      what it may do              Policy, Grant, Denial
violation   what it tried anyway        Violation
"""

from binsafe.model.facts import (
    Build,
    Evidence,
    GoBuild,
    Library,
    Mitigation,
    Network,
    Operation,
    Problem,
    RustBuild,
    Signature,
    Signer,
    Syscalls,
    Unresolved,
)
from binsafe.model.gap import Gap
from binsafe.model.image import Image, Import, Section, Segment, Slice, Symbol
from binsafe.model.policy import Condition, Denial, Grant, Policy
from binsafe.model.report import Artifact, Finding, Report, Severity, SliceReport, Verdict
from binsafe.model.violation import Violation

__all__ = [
    "Artifact",
    "Build",
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
    "Mitigation",
    "Network",
    "Operation",
    "Policy",
    "Problem",
    "Report",
    "RustBuild",
    "Section",
    "Segment",
    "Severity",
    "Signature",
    "Signer",
    "Slice",
    "SliceReport",
    "Symbol",
    "Syscalls",
    "Unresolved",
    "Verdict",
    "Violation",
]
