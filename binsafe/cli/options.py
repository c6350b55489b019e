"""The options of `run`, of which `profile` shares some: as data, and what they ask for."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple

if TYPE_CHECKING:
    from binsafe.model import Policy, Report
    from binsafe.model.policy import PolicyFile


class Asked(NamedTuple):
    """The grants that a command line asks for, as typed."""

    ports: tuple[str, ...]
    baseline: str | None
    read: tuple[str, ...]
    write: tuple[str, ...]
    connect: tuple[str, ...]
    execute: tuple[str, ...]
    pack: tuple[str, ...] = ()
    env: tuple[str, ...] = ()


class Option(NamedTuple):
    """An option as data, which click shows and reads, and ``plain`` reads without it.

    ``kind`` says what it takes: "many" values, "one", a "switch" none, "file" one that is there, "new file" one to
    write, "seconds" a number above 0.
    """

    flag: str
    name: str
    kind: Literal["many", "one", "switch", "file", "new file", "seconds"]
    metavar: str | None
    help: str


GRANTS: Final = (
    Option(
        "--ports",
        "ports",
        "many",
        "SPEC",
        "TCP ports to listen on: a count of the baseline's own (30), ports (:8080), ranges (4000-4009,5000).",
    ),
    Option("--baseline", "baseline", "one", "NAME|PATH", "What this kind of program may have at most."),
    Option("--read", "read", "many", "PATH", "Let it read a file or folder."),
    Option("--write", "write", "many", "PATH", "Let it write a file or folder."),
    Option("--connect", "connect", "many", "HOST:PORT", "Let it connect there: data can leave by it."),
    Option("--exec", "execute", "many", "PATH", "Let it execute another program."),
    Option("--pack", "pack", "many", "NAME", "Add a runtime pack (python, locale, gconv, ...)."),
)
"""What `Asked` holds, but for the environment."""

RUN: Final = (
    *GRANTS,
    Option("--env", "env", "many", "NAME[=VALUE]", "Give it a variable; it gets no other but PATH."),
    Option("--policy", "policy_file", "file", "FILE", "Start it under this policy, without an inspection."),
    Option("--backend", "backend", "one", "NAME", "The mechanism; see binsafe doctor."),
    Option(
        "--allow-partial",
        "allow_partial",
        "switch",
        None,
        "Go on without grants that this machine cannot give; name each.",
    ),
    Option("--dry-run", "dry_run", "switch", None, "Say what would be granted and denied; start nothing."),
    Option("--report", "report", "new file", "FILE", "Write violations there, as JSON lines."),
    Option("--timeout", "timeout", "seconds", "SECONDS", "Stop it after so many seconds (124)."),
    Option("--yes", "yes", "switch", None, "Run it although the verdict is danger."),
)
"""The options of `run`."""


def declared(options: Sequence[Option]) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Add options to a click command; they arrive under their names."""
    import click

    how: dict[str, dict[str, Any]] = {
        "many": {"multiple": True},
        "one": {},
        "switch": {"is_flag": True},
        "file": {"type": click.Path(exists=True, dir_okay=False)},
        "new file": {"type": click.Path(dir_okay=False)},
        "seconds": {"type": click.FloatRange(min=0, min_open=True)},
    }

    def add(function: Callable[..., Any]) -> Callable[..., Any]:
        for option in reversed(options):
            more = how[option.kind]
            add_one = click.option(option.flag, option.name, metavar=option.metavar, help=option.help, **more)
            function = add_one(function)
        return function

    return add


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
    """The resolved paths; on Linux also the names that were given, by which the program asks (a link is not inside)."""
    resolved = [_absolute(path) for path in paths]
    if system == "linux":
        resolved += [str(Path(path).absolute()) for path in paths if Path(path).is_symlink()]
    return tuple(dict.fromkeys(resolved))


def _absolute(path: str) -> str:
    """The resolved path: the kernel compares those, on every system."""
    return str(Path(path).resolve())


def _variable(text: str) -> tuple[str, str]:
    """NAME=VALUE, or NAME for the value that we have ourselves."""
    import os

    name, equals, value = text.partition("=")
    return name, value if equals else os.environ.get(name, "")
