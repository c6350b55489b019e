"""A report for a person who has to solve the program as a puzzle: that it is safe, not how it works inside.

What stays: the verdict, every finding, who signed it, what it imports and asks of the kernel, what it can do and at
which addresses. What goes: its strings, the names of its own functions, its code, and the libraries that were built
into it, because the parts a program is made of tell how it solves its task.
"""

import msgspec

from binsafe.model import Build, Evidence, Finding, GoBuild, Report, RustBuild, Strings
from binsafe.model.rewriting import rewrite

_OTHERS = frozenset({"import", "syscall"})
"""Evidence whose symbol is the name of another library's function or of a system call."""
_PLAIN = frozenset(
    {
        *("page-hash", "codedirectory", "info-plist-hash", "requirements-hash", "entitlements-hash", "resource-seal"),
        *("cms-digest", "cms-chain", "timestamp", "appended-data", "uncovered-bytes", "signature-slack"),
        *("notarization-ticket", "quarantine-unknown", "team-differs"),
        *(
            "slices-differ",
            "entitlements-differ",
            "dangerous-entitlement",
            "entitlement",
            "authenticode-digest",
            "certificate-table-data",
        ),
        *(
            "signature-invalid",
            "signature-unknown",
            "development-signed",
            "signer-unknown",
            "weak-digest",
            "unsigned",
            "privileged-code",
            "administrator",
            "carried-program",
            "linker-signed",
            "adhoc-signed",
        ),
        *("truncated", "malformed", "overlapping-slices", "section-table", "parser-failed", "empty", "too-large"),
        *("script", "archive", "unknown-format", "writable-code", "network", "network-unknown", "language-unknown"),
        *("go-build-unknown", "syscalls-incomplete", "archive-entry", "archive-bomb", "archive-damaged"),
        *(
            "archive-encrypted",
            "archive-depth",
            "members-omitted",
            "member-too-large",
            "no-executables",
            "scripts",
            "library-missing",
        ),
    }
)
"""Findings whose detail quotes neither strings nor names of functions. Any other detail is left out."""
_LEFT_OUT = "strings, code, names of its own functions, dependencies and build settings: --spoiler-free"
_HIDDEN = "The detail is left out (--spoiler-free)."


def without_spoilers(report: Report) -> Report:
    """The report and those of its members without what tells how the program works; ``omitted`` says so."""
    report = rewrite(report, Evidence, _evidence)
    report = rewrite(report, Finding, _finding)
    report = rewrite(report, Build, _build)
    return rewrite(report, Report, _report)


def _evidence(evidence: Evidence) -> Evidence:
    """The address always stays: it says where to look, not what is there."""
    if evidence.via in _OTHERS:
        return msgspec.structs.replace(evidence, instructions=())
    return Evidence(via=evidence.via, address=evidence.address)


def _finding(finding: Finding) -> Finding:
    return finding if finding.id in _PLAIN else msgspec.structs.replace(finding, detail=_HIDDEN)


def _build(build: Build) -> Build:
    go = None if build.go is None else GoBuild(version=build.go.version, module=build.go.module)
    rust = None if build.rust is None else RustBuild(crates=())
    return msgspec.structs.replace(build, go=go, rust=rust)


def _report(report: Report) -> Report:
    return msgspec.structs.replace(report, strings=Strings(), omitted=(*report.omitted, _LEFT_OUT))
