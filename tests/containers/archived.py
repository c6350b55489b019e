"""Reports on archives, and what tests ask of them."""

import hashlib

from binsafe.archives import inspect
from binsafe.model import Artifact, Report


def report_on(data: bytes, name: str = "pack", quarantine: dict[str, str] | None = None, **options: object) -> Report:
    sha256 = hashlib.sha256(data).hexdigest()
    artifact = Artifact(name=name, path=f"/x/{name}", size=len(data), sha256=sha256, quarantine=quarantine)
    return inspect(artifact, memoryview(data), syscalls=False, **options)


def paths(report: Report) -> list[str]:
    return [member.path for member in report.members]


def ids(report: Report) -> set[str]:
    return {finding.id for finding in report.findings}
