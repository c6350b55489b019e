"""The policy of a report and of what a command line asks for."""

from pathlib import Path
from typing import TYPE_CHECKING

from binsafe.cli.asked import Asked

if TYPE_CHECKING:
    from binsafe.model import Policy, Report
    from binsafe.model.policy import PolicyFile


def derive_policy(report: "Report", asked: Asked) -> "Policy":
    """Report + baseline + what was asked for -> policy.

    Raises:
        UsageError: a port, path or name that cannot be, or a baseline that is not there.
    """
    from binsafe import baselines, packs, policy

    program = report.artifact.path
    chosen = packs.choose(report, asked.pack)
    baseline = baselines.load(asked.baseline or policy.default_baseline(report, listens=bool(asked.ports)))
    system = report.slices[0].system if report.slices else ""
    request = policy.Request(
        ports=policy.parse_ports(asked.ports, baseline.ports) if asked.ports else None,
        read=_names(asked.read, system),
        write=_names(asked.write, system),
        connect=asked.connect,
        execute=tuple(_absolute(path) for path in asked.execute),
        environment=tuple(_variable(text) for text in asked.env),
        scratch=_absolute(asked.scratch) if asked.scratch is not None else None,
        packs=tuple(packs.grants(chosen, program)),
        jit=any(pack.jit for pack in chosen),
    )
    derived = policy.derive(report, baseline, request)
    if derived.artifact.system != "linux":
        return derived
    beside = [policy.derive(each, baseline, request) for each in _inspect_all(asked.execute)]
    return _together(derived, beside, packs.libraries(chosen, program), asked.execute)


def _inspect_all(paths: tuple[str, ...]) -> list["Report"]:
    """Reports on the programs that may be executed beside the one that is run."""
    from binsafe.errors import NotEnforceable
    from binsafe.intake import Found, Snapshot, inspect

    reports = []
    for path in paths:
        with Snapshot.take(Found(path, Path(path).resolve())) as snapshot:
            report = inspect(snapshot)
        if not report.analysed:
            raise NotEnforceable(
                f"--exec {path}: {report.findings[0].detail}", hint="name the interpreter of a script as well"
            )
        reports.append(report)
    return reports


def _together(
    derived: "Policy", beside: list["Policy"], libraries: tuple["PolicyFile", ...], paths: tuple[str, ...]
) -> "Policy":
    """One policy for the program and those that it may execute: they share a sandbox, so each has what any has."""
    import msgspec

    from binsafe.model.policy import PolicyFile

    files = {file.opened_as: file for file in (*libraries, *derived.artifact.files)}
    grants = {(grant.kind, grant.object, grant.when): grant for grant in derived.grants}
    for path, other in zip(paths, beside, strict=True):
        files = {file.opened_as: file for file in other.artifact.files} | files
        own = PolicyFile(
            opened_as=str(Path(path).absolute()),
            path=str(Path(path).resolve()),
            sha256=other.artifact.sha256,
            execute=True,
        )
        files[own.opened_as] = own
        for grant in other.of("syscall"):
            grants.setdefault((grant.kind, grant.object, grant.when), grant)
    artifact = msgspec.structs.replace(derived.artifact, files=tuple(files.values()))
    return msgspec.structs.replace(derived, artifact=artifact, grants=tuple(grants.values()))


def _names(paths: tuple[str, ...], system: str) -> tuple[str, ...]:
    """The resolved paths; on Linux also those given, by which the program asks: a link on the way is not inside.

    Not those with ``..``, which lead elsewhere where there is no link to follow first.
    """
    resolved = [_absolute(path) for path in paths]
    if system == "linux":
        resolved += [str(Path(path).absolute()) for path in paths if ".." not in Path(path).parts]
    return tuple(dict.fromkeys(resolved))


def _absolute(path: str) -> str:
    """The resolved path: the kernel compares those, on every system."""
    return str(Path(path).resolve())


def _variable(text: str) -> tuple[str, str]:
    """NAME=VALUE, or NAME for the value that we have ourselves."""
    import os

    name, equals, value = text.partition("=")
    return name, value if equals else os.environ.get(name, "")
