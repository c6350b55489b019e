"""The policy of a report and of what a command line asks for."""

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Final

from binsafe.cli.asked import Asked
from binsafe.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from binsafe.model import Grant, Policy, Report
    from binsafe.model.policy import PolicyFile
    from binsafe.packs import Pack

_PACK_OF: Final = {"LANG": "locale", "LANGUAGE": "locale", "TZ": "zoneinfo", "TERM": "terminfo"}

_FIRST_LINE: Final = 256
"""BINPRM_BUF_SIZE: as much of a script as the kernel looks at (linux/binfmts.h)."""

_WRAPPER: Final = re.compile(rb'exec (/[A-Za-z0-9./_+-]+) "\$@"')


def derive_policy(report: "Report", asked: Asked) -> "Policy":
    """Report + baseline + what was asked for -> policy.

    Raises:
        UsageError: a port, path or name that cannot be, or a baseline that is not there.
    """
    from binsafe import baselines, packs, policy

    program = report.artifact.path
    chosen = packs.choose(report, (*asked.pack, *_meant_by(asked.env)))
    started = _inspect_all(asked.exec) if (system := _system(report)) == "linux" else []
    beside = {each.artifact.path: packs.choose(each) for each in started if each.analysed}
    baseline = baselines.load(asked.baseline or policy.default_baseline(report, listens=bool(asked.ports)))
    request = policy.Request(
        ports=policy.parse_ports(asked.ports, baseline.ports) if asked.ports else None,
        read=_names(asked.read, system),
        write=_names(asked.write, system),
        connect=asked.connect,
        execute=tuple(_absolute(path) for path in asked.exec),
        environment=tuple(_variables(asked.env)),
        scratch=_absolute(asked.scratch) if asked.scratch is not None else None,
        packs=(*packs.grants(chosen, program), *_readable(beside)),
        jit=any(pack.jit for pack in chosen),
        segments=any(pack.segments for pack in chosen),
    )
    derived = policy.derive(report, baseline, request)
    if system != "linux":
        return derived
    others = [policy.derive(each, baseline, request) for each in started if each.analysed]
    libraries = [file for path, each in ({program: chosen} | beside).items() for file in packs.libraries(each, path)]
    return _together(derived, others, libraries, _executed(started, asked.exec))


def _system(report: "Report") -> str:
    return report.slices[0].system if report.slices else ""


def _readable(beside: "Mapping[str, tuple[Pack, ...]]") -> "Iterator[Grant]":
    """What the packs of programs that may be executed let them read; no more, as all share one sandbox."""
    from binsafe import packs

    for path, chosen in beside.items():
        yield from (grant for grant in packs.grants(chosen, path) if grant.kind == "read")


def _meant_by(variables: tuple[str, ...]) -> "Iterator[str]":
    """The packs that given variables need: without them setlocale(3) fails (``LANG``), and times are UTC (``TZ``)."""
    for name in (text.partition("=")[0] for text in variables):
        if name in _PACK_OF or name.startswith("LC_"):
            yield _PACK_OF.get(name, "locale")


def _inspect_all(paths: tuple[str, ...]) -> list["Report"]:
    """Reports on the programs that may be executed beside the one that is run, and on scripts for one of them."""
    from binsafe.errors import NotAnalysable, NotEnforceable
    from binsafe.intake import Found, Snapshot, inspect
    from binsafe.reports.escape import shell_word

    reports = []
    resolved = {Path(path).resolve() for path in paths}
    for path in paths:
        if path.startswith("/proc/"):
            hint = "name the program by its own path, which grants this name for it as well"
            raise NotEnforceable(f"--exec {path}: that is another file for each process that asks", hint=hint)
        try:
            with Snapshot.take(Found(path, Path(path).resolve())) as snapshot:
                report = inspect(snapshot)
                interpreter = next(iter(runner(snapshot.descriptor)), None) if report.format == "script" else None
        except NotAnalysable as error:  # status 3 is the program's that is run
            raise NotEnforceable(f"--exec {path}: {error}", hint=error.hint) from error
        if not report.analysed and (interpreter is None or Path(interpreter).resolve() not in resolved):
            wanted = f"grant what runs it as well: --exec {shell_word(interpreter)}" if interpreter else None
            hint = wanted or "only programs are executed"
            raise NotEnforceable(f"--exec {path}: {report.findings[0].detail}", hint=hint)
        reports.append(report)
    return reports


def runner(script: int) -> list[str]:
    """What the kernel executes for a script and its argument (execve(2), "Interpreter scripts"), if it is printable."""
    words = os.pread(script, _FIRST_LINE, 0).removeprefix(b"#!").split(b"\n", 1)[0].decode("utf-8", "replace").split()
    return words if all(map(str.isprintable, words)) else []


def starts(script: int) -> str | None:
    """The program that a shell script starts, where that is all that it does; None for others."""
    text = os.pread(script, _FIRST_LINE, 0)
    does = [line.strip() for line in text.split(b"\n")[1:] if line.strip() and not line.startswith(b"#")]
    match = _WRAPPER.fullmatch(does[0]) if len(does) == 1 and len(text) < _FIRST_LINE else None
    return match[1].decode() if match else None


def _together(
    derived: "Policy", beside: "Iterable[Policy]", libraries: "Iterable[PolicyFile]", executed: "Iterable[PolicyFile]"
) -> "Policy":
    """One policy for the program and those that it may execute: they share a sandbox, so each has what any has."""
    import msgspec

    files = {file.opened_as: file for file in (*libraries, *derived.artifact.files)}
    grants = {(grant.kind, grant.object, grant.when): grant for grant in derived.grants}
    for other in beside:
        for file in other.artifact.files:
            if file.execute or file.opened_as not in files:  # plugins of packs only read the loader of programs
                files[file.opened_as] = file
        for grant in other.of("syscall"):
            grants.setdefault((grant.kind, grant.object, grant.when), grant)
    files |= {file.opened_as: file for file in executed}
    artifact = msgspec.structs.replace(derived.artifact, files=tuple(files.values()))
    return msgspec.structs.replace(derived, artifact=artifact, grants=tuple(grants.values()))


def _executed(reports: list["Report"], paths: tuple[str, ...]) -> "Iterator[PolicyFile]":
    """The files that may be executed, each by its bytes."""
    from binsafe.model.policy import PolicyFile

    for path, report in zip(paths, reports, strict=True):
        absolute, resolved = str(Path(path).absolute()), str(Path(path).resolve())
        yield PolicyFile(opened_as=absolute, path=resolved, sha256=report.artifact.sha256, execute=True)


def _names(paths: tuple[str, ...], system: str) -> tuple[str, ...]:
    """The resolved paths; on Linux also those given, by which the program asks: a link on the way is not inside.

    Not those with ``..``, which lead elsewhere where there is no link to follow first.
    """
    resolved = [_absolute(path) for path in paths]
    if system == "linux":
        resolved += [str(Path(path).absolute()) for path in paths if ".." not in Path(path).parts]
    return tuple(dict.fromkeys(resolved))


def _absolute(path: str) -> str:
    """The resolved path: the kernel compares those, on every system.

    Raises:
        UsageError: none was given, which would be the current folder.
    """
    if not path:
        raise UsageError("an empty path names no file", hint='write . for this folder; is a "$VARIABLE" not set?')
    return str(Path(path).resolve())


def _variables(asked: "Iterable[str]") -> "Iterator[tuple[str, str]]":
    """NAME=VALUE, and NAME with the value that we have ourselves; where we have none, the program gets none."""
    for text in asked:
        name, equals, value = text.partition("=")
        if equals or name in os.environ or not name.isidentifier():  # what is no name is refused
            yield name, value if equals else os.environ.get(name, "")
