"""The macOS backend: ``sandbox-exec`` with the rendered profile. Written from cited facts; it awaits a run on a Mac.

sandbox-exec(1) compiles the profile and executes the program under it; nobody leaves a sandbox, children inherit it.
"""

import contextlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from binsafe.errors import NotEnforceable
from binsafe.model import Gap, Policy
from binsafe.model.report import QUARANTINE
from binsafe.policy.libraries import looked_for_beside
from binsafe.policy.objects import SCRATCH
from binsafe.renderers.seatbelt import render
from binsafe.sandbox.backends import Enforcement, Order
from binsafe.sandbox.macoslog import LogReader, stream_command
from binsafe.sandbox.macosprocess import Guarded, SeatbeltProcess
from binsafe.sandbox.reporting import Reporter

SANDBOX_EXEC: Final = "/usr/bin/sandbox-exec"
XATTR: Final = "/usr/bin/xattr"

_GAPS: Final = (
    Gap(id="loopback", reason="'localhost' in a profile also matches the machine's other addresses"),
    Gap(id="system-calls", reason="a profile names operations, not system calls: the list found is not enforced"),
    Gap(id="memory", reason="writable memory can be made executable"),
    Gap(
        id="nproc",
        reason="what it starts (--exec) is not counted: a limit here would count all of the user's processes",
    ),
    Gap(id="processes", reason="what it starts (--exec) can leave its process group, and then outlive it"),
)

_TRIAL: Final = "/usr/bin/true"
TRIAL_SECONDS: Final = 10.0
_NO_PROFILE: Final = 65
"""sandbox-exec's status for a profile that does not compile (EX_DATAERR of sysexits(3))."""


class SandboxExec:
    """Seatbelt, through the tool that macOS ships."""

    name = "sandbox-exec"
    system = "macos"
    leaves_open = ()

    def probe(self) -> Enforcement:
        """Whether the tool is there and starts a harmless program under a profile."""
        if not os.access(SANDBOX_EXEC, os.X_OK):
            gap = Gap(id="sandbox-exec", reason=f"{SANDBOX_EXEC} is not there", fix="macOS ships it")
            return Enforcement(level="none", gaps=(gap,))
        trial = [SANDBOX_EXEC, "-p", "(version 1)(allow default)", "/usr/bin/true"]
        if subprocess.run(trial, check=False, capture_output=True).returncode != 0:
            gap = Gap(id="nested", reason="sandbox-exec cannot start a program here", fix="not inside another sandbox")
            return Enforcement(level="none", gaps=(gap,))
        return Enforcement(level="partial", gaps=_GAPS)

    def launch(self, order: Order) -> "SeatbeltProcess":
        """Start a private copy of the inspected bytes under the rendered profile, with its denials reported."""
        if not os.access(SANDBOX_EXEC, os.X_OK):
            raise NotEnforceable(f"{SANDBOX_EXEC} is not there", hint="macOS ships it")
        check_libraries(order.policy)
        with contextlib.ExitStack() as undo:
            folder = Path(tempfile.mkdtemp(prefix="binsafe-")).resolve()
            undo.callback(shutil.rmtree, folder, ignore_errors=True)
            binary = private_copy(order.program, folder / Path(order.policy.artifact.name).name)
            keep_quarantine(order.path, binary)
            profile = folder / "profile.sb"
            terminal = terminal_of(order.stdin, order.stdout, order.stderr)
            profile.write_text(render(order.policy, binary=str(binary), terminal=terminal).text, encoding="utf-8")
            scratch = scratch_folder(order.policy, folder)
            may_start = any(grant.object == _TRIAL for grant in order.policy.of("execute"))
            try_profile(command_line(profile, Path(_TRIAL), (), scratch=scratch), may_start=may_start)
            reporter = Reporter(order.on_violation)
            undo.callback(reporter.close)
            log = LogReader(order.policy, reporter, command=stream_command())
            undo.callback(log.close)
            guarded = Guarded(command_line(profile, binary, order.arguments, scratch=scratch), order, scratch=scratch)
            log.watch(guarded.pid)
            undo.pop_all()
        return SeatbeltProcess(guarded, folder, order.policy.listen_ports(), log=log, reporter=reporter)


def command_line(profile: Path, binary: Path, arguments: Sequence[str], *, scratch: Path | None = None) -> list[str]:
    """What starts ``binary`` under ``profile``; a list, never a string for a shell."""
    defined = ["-D", f"SCRATCH={scratch}"] if scratch is not None else []
    return [SANDBOX_EXEC, *defined, "-f", str(profile), str(binary), *arguments]


def try_profile(command: Sequence[str], *, may_start: bool = False) -> None:
    """Ask for a program that the profile does not name: the profile must compile, hold, and refuse that.

    Raises:
        NotEnforceable: it does not. The program proper could end with the same status, and only say it more obscurely.
    """
    try:
        tried = subprocess.run(
            command, check=False, capture_output=True, stdin=subprocess.DEVNULL, timeout=TRIAL_SECONDS
        )
    except subprocess.TimeoutExpired as error:
        raise NotEnforceable(f"sandbox-exec did not answer within {TRIAL_SECONDS:g} s", hint="try again") from error
    said = tried.stderr.decode("utf-8", "replace").strip().partition("\n")[0][:200]
    if tried.returncode == _NO_PROFILE or "sandbox_apply" in said:
        hint = "sandboxes do not nest; else look at the profile: binsafe profile FILE, binsafe check"
        raise NotEnforceable(f"macOS does not take the profile: {said}", hint=hint)
    if tried.returncode == 0 and not may_start:
        raise NotEnforceable(
            f"the profile does not hold here: under it, {_TRIAL} was started", hint="run it elsewhere, and report this"
        )


def check_libraries(policy: Policy) -> None:
    """Raise NotEnforceable where dyld would look for a library beside the program, whose copy lies alone elsewhere."""
    if beside := looked_for_beside(policy):
        raise NotEnforceable(
            f"it needs {beside[0]}, which is looked for beside it: what runs is a copy of the program alone",
            hint="start it where it is, under the profile that binsafe profile FILE --for macos writes",
        )


def terminal_of(*streams: int | None) -> str | None:
    """The terminal among a program's streams."""
    for stream in streams:
        if stream is not None and stream >= 0 and os.isatty(stream):
            return os.ttyname(stream)
    return None


def scratch_folder(policy: Policy, folder: Path) -> Path | None:
    """A scratch folder of the program's own, where the policy grants one; it goes with the private copy."""
    if all(grant.object != SCRATCH for grant in policy.of("write")):
        return None
    scratch = folder / "scratch"
    scratch.mkdir(mode=0o700)
    return scratch


def private_copy(descriptor: int, target: Path) -> Path:
    """Write the inspected bytes to a read-only file that only its owner may execute."""
    with (
        open(os.dup(descriptor), "rb") as source,
        open(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o500), "wb") as out,
    ):
        source.seek(0)
        shutil.copyfileobj(source, out)
    return target


def keep_quarantine(original: str | None, copy: Path, *, tool: str = XATTR) -> bool:
    """Give the copy the original's quarantine attribute, so that Gatekeeper judges it as it would the original.

    Returns whether there was one. Raises NotEnforceable where it is there and cannot be kept, or where that cannot be
    told: a copy without it would run what the system might have stopped.
    """
    if original is None:
        return False
    names = _printed(tool, original)
    if names is not None and QUARANTINE not in names.split("\n"):
        return False
    mark = _printed(tool, "-p", QUARANTINE, original)
    copy.chmod(0o700)
    kept = mark is not None and _printed(tool, "-w", QUARANTINE, mark.strip(), str(copy)) is not None
    copy.chmod(0o500)
    if not kept:
        raise NotEnforceable("the quarantine mark of the file could not be kept", hint="look at it: xattr -l FILE")
    return True


def _printed(*command: str) -> str | None:
    """What a command prints; None where it fails or cannot be started."""
    try:
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout
    except (OSError, subprocess.CalledProcessError, UnicodeDecodeError):
        return None
