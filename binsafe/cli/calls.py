"""What `binsafe syscalls` does, without click: where it is given a file and nothing else that is not loaded."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from binsafe.cli.entry import note, progress

if TYPE_CHECKING:
    from binsafe.model import Syscalls

_MAX_REASONS = 8


def show(
    file: str,
    *,
    as_json: bool = False,
    root: Path | None = None,
    loaded: tuple[Path, ...] = (),
    explain: str | None = None,
) -> int:
    """Print the system calls of a file; returns the status that the process is to end with."""
    from binsafe.intake import Snapshot, find, system_calls
    from binsafe.reports.escape import escape

    with Snapshot.take(find(file, progress=note)) as snapshot:
        calls = system_calls(snapshot, root=root, loaded=loaded, explain=explain, progress=progress())
    if as_json:
        import click
        import msgspec

        click.echo(msgspec.json.format(msgspec.json.encode(calls), indent=2))
    elif explain is not None:
        _explain(explain, calls)
    else:
        sys.stdout.writelines(f"{escape(name)}\n" for name in calls.required)
        sys.stdout.flush()  # before what is said of the list
    if not calls.complete:
        note("the list is not complete:")
        for reason in _reasons(calls):
            note(f"  {reason}")
    return 0


def _explain(name: str, calls: "Syscalls") -> None:
    import click

    from binsafe.errors import UsageError
    from binsafe.reports.escape import escape

    if name not in calls.required:
        never = f"it never makes the call {name!r}"
        unknown = f"whether it makes the call {name!r} cannot be told: the list does not have it and is not complete"
        raise UsageError(never if calls.complete else unknown, hint="without --explain the command shows the list")
    places = [f"program: a place that makes it at {address}" for address in calls.sites.get(name, ())]
    for line in calls.chain or places or ("made by the kernel or its vDSO on the program's behalf",):
        click.echo(escape(line))


def _reasons(calls: "Syscalls") -> list[str]:
    """Why a list is not complete, a line each, of which there are few enough to be read."""
    reasons = [f"at {gap.address}: {gap.reason}" for gap in calls.unresolved] + list(calls.open_set)
    if len(reasons) <= _MAX_REASONS:
        return reasons
    return [*reasons[:_MAX_REASONS], f"and {len(reasons) - _MAX_REASONS} more: --json lists them all"]
