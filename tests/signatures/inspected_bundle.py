"""A whole application, sealed, and what is found in it or in one that was changed."""

from built_bundle import (
    Application,
    Content,
    Memory,
)

from binsafe.bundles import inspect_bundle
from binsafe.model import Artifact, Report

APP = Application().build()
SEAL = "Contents/_CodeSignature/CodeResources"


def inspect(contents: dict[str, Content], name: str = "App.app") -> Report:
    artifact = Artifact(name=name, path=f"/x/{name}", size=0, sha256="0")
    return inspect_bundle(artifact, Memory(contents), syscalls=False, listings=False)


def found(contents: dict[str, Content]) -> set[tuple[str, str]]:
    """Findings of the bundle and of its members, beside those that every ad-hoc signed program has."""
    report = inspect(contents)
    everywhere = [*report.findings, *(one for member in report.members for one in member.report.findings)]
    return {(one.id, one.severity) for one in everywhere if one.severity in {"medium", "high"}}
