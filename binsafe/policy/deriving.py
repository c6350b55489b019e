"""Report + baseline + request -> policy.

    granted = (found in the program, and in the baseline's cap) + what the command line names

Three properties hold, and tests hold them:

cap         Whatever a report says, no system call outside the baseline is granted, and none without its conditions.
            A hostile file that contains every system call gets the cap and no more.
monotone    Of two reports with the same completeness, the one that finds less is granted no more.
incomplete  Where the analysis could not see everything, "not found" is not "absent", so the baseline's assumed groups
            are granted as well. A file can provoke that, which is why it wins nothing: the assumed groups are part of
            the cap, reviewed for exactly this case, and each such grant says in its reason that it is a guess.
"""

import posixpath
from collections.abc import Iterator

from binsafe.errors import NotAnalysable, UsageError
from binsafe.limits import MAX_EVIDENCE
from binsafe.model import Denial, Grant, Operation, Policy, Report, SliceReport
from binsafe.model.policy import PolicyArtifact, PolicyFile
from binsafe.policy.baseline import Baseline, Need
from binsafe.policy.calls import call_grants
from binsafe.policy.denials import denials
from binsafe.policy.libraries import library_grants
from binsafe.policy.objects import ARTIFACT, SCRATCH
from binsafe.policy.request import Request
from binsafe.policy.runtimes import compiles

_NO_PROGRAMS = frozenset({"object", "core", "debug-symbols", "library-stub", "kernel-module", "kernel-extension"})
"""Kinds of file that never run as a process."""
FLAKY_SERVERS: str = "flakyservers"
"""The artifact that the baseline ``flaky_servers`` was written for."""


def derive(report: Report, baseline: Baseline, request: Request) -> Policy:
    """The smallest policy under which the program can do what it was found to need, as far as the baseline lets it.

    A universal file's policy covers all of its slices and names their processors joined by ``+``.

    Raises:
        NotAnalysable: the report does not say what the program is, or it is none; there is nothing to derive from.
        UsageError: the request names something that is no port, path, host or variable, or asks a baseline that lets
            no program listen for ports; or there is no table of system calls for the processor.
    """
    if not report.analysed:
        why = f": {report.findings[0].detail}" if report.findings else ""
        raise NotAnalysable(
            f"no policy can be derived for {report.artifact.name}: it could not be analysed{why}",
            hint="do not run it; `binsafe inspect` says what is wrong with it",
            finding="unknown",
        )
    first = next(iter(report.slices), None)
    if first is None or first.kind in _NO_PROGRAMS or first.system == "uefi":
        kind = report.format if first is None else f"{first.kind} for {first.system}"
        raise NotAnalysable(
            f"no policy can be derived for {report.artifact.name}: it is of the kind {kind}",
            hint="a policy holds for what runs as a process: name the program",
            finding="unknown",
        )
    named = tuple(request.grants())
    listening = tuple(_listen_grants(report, baseline, request))
    given = _given(report, named, baseline, request)
    calls = tuple(grant for each in report.slices for grant in call_grants(each, baseline, given))
    libraries = tuple(grant for each in report.slices for grant in library_grants(each))
    grants = _unique(
        Grant(kind="execute", object=ARTIFACT, reason="the program itself, the one thing that may run"),
        Grant(kind="read", object=ARTIFACT, reason="the kernel and the program itself read its code and data"),
        *listening,
        *libraries,
        *named,
        *(grant for grant in baseline.grants if grant.object != SCRATCH or request.scratch is None),
        *calls,
    )
    return Policy(
        artifact=_artifact(report),
        baseline=baseline.name,
        grants=grants,
        denied=(*_unused_layout(listening, report, baseline), *denials(report, baseline, grants)),
    )


def default_baseline(report: Report, *, listens: bool = False) -> str:
    """The baseline for a program that none was named for: by its name, else by whether it was found to listen.

    ``listens`` says that ports were asked for, which language runtimes need: the program is in their script.
    """
    if report.artifact.name.rpartition("/")[2].removesuffix(".exe") == FLAKY_SERVERS:
        return "flaky_servers"
    return "network_server" if listens or _listen_operations(report) else "cli_tool"


def _given(report: Report, named: tuple[Grant, ...], baseline: Baseline, request: Request) -> frozenset[Need]:
    """What groups of calls may ask for, as far as it does not lie in the program."""
    written = {grant.object for grant in (*named, *baseline.grants) if grant.kind == "write"}
    given: set[Need] = {"write"} if written - {"/dev/null"} else set()
    if request.jit or compiles(report):
        given.add("jit")
    if request.segments:
        given.add("segments")
    if request.read or request.write:
        given.add("files")
    if request.connect:
        given.add("connect")
    if request.execute:
        given.add("execute")
    return frozenset(given)


def _unique(*grants: Grant) -> tuple[Grant, ...]:
    """One grant per permission, the first one.

    So a library that is named to be read as well is still mapped, and what the command line names goes before the
    baseline's own words.
    """
    kept: dict[tuple[object, ...], Grant] = {}
    for grant in grants:
        kept.setdefault((grant.kind, grant.object, grant.when), grant)
    return tuple(kept.values())


def _artifact(report: Report) -> PolicyArtifact:
    return PolicyArtifact(
        name=report.artifact.name,
        sha256=report.artifact.sha256,
        system=report.slices[0].system,
        arch="+".join(dict.fromkeys(each.arch for each in report.slices)),
        interpreter=report.slices[0].interpreter if report.format == "elf" else None,
        files=tuple(_files(report.slices[0])) if report.format == "elf" else (),
    )


def _files(each: SliceReport) -> Iterator[PolicyFile]:
    """The loader and the libraries, as found and hashed; one that was not found is a finding of the report."""
    for library in each.resolved:
        if library.path is not None and library.opened_as is not None and library.sha256 is not None:
            is_loader = library.opened_as == each.interpreter
            yield PolicyFile(
                opened_as=posixpath.normpath(library.opened_as),
                path=library.path,
                sha256=library.sha256,
                execute=is_loader,
            )


def _listen_operations(report: Report) -> tuple[Operation, ...]:
    operations = (operation for each in report.slices for operation in each.network.operations)
    return tuple(operation for operation in operations if operation.name == "listen")


def _listen_grants(report: Report, baseline: Baseline, request: Request) -> Iterator[Grant]:
    """Ports that were asked for; where none were named, those of the baseline's layout, if it was found to listen."""
    if request.ports and not baseline.may_listen:
        raise UsageError(
            f"the baseline {baseline.name} lets no program listen", hint="name one that does: --baseline network_server"
        )
    found = _listen_operations(report)
    evidence = tuple(item for operation in found for item in operation.evidence)[:MAX_EVIDENCE]
    layout = baseline.ports
    usual = frozenset(layout.ports if layout is not None else ())
    ports = set(request.ports) if request.ports is not None else usual if found else ()
    for port in sorted(ports):
        reason = layout.reason if layout is not None and port in usual else "named by --ports"
        yield Grant(kind="listen", object=f"127.0.0.1:{port}", access="tcp", reason=reason, evidence=evidence)


def _unused_layout(listening: tuple[Grant, ...], report: Report, baseline: Baseline) -> Iterator[Denial]:
    """Says why a program whose baseline has ports gets none: nothing was found, which need not mean it does not."""
    unknown = any(each.network.verdict == "unknown" for each in report.slices)
    if baseline.may_listen and not listening and unknown:
        yield Denial(
            capability="listen for connections",
            reason="the analysis could not tell whether it listens, so no port is granted; name them with --ports",
        )
