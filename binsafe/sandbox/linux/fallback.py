"""The Linux backend for machines that refuse user namespaces: Landlock, seccomp and grafting, in the host's own.

What the namespaces would hold is taken out of the filter (`renderers.unshared`). The program runs from a sealed copy in
memory that has no path, so Landlock, which is asked about paths, need not grant execution of anything at all.
"""

import errno
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from binsafe import kernel
from binsafe.errors import BinsafeError, NotEnforceable
from binsafe.intake.private import seal
from binsafe.kernel.rights import ABI_RIGHTS, FILE_RIGHTS, LATEST, Fs
from binsafe.model import Gap, Policy
from binsafe.paths import is_inside
from binsafe.renderers import landlock, linux, narrowing, seccomp, unshared
from binsafe.renderers.profile import read_only_below_writable
from binsafe.sandbox.backends import Enforcement, Order
from binsafe.sandbox.linux.alone import ALONE
from binsafe.sandbox.linux.backend import native_arch
from binsafe.sandbox.linux.confining import reads_folders, terminal_forms, unnamed
from binsafe.sandbox.linux.destinations import Destinations, pin
from binsafe.sandbox.linux.given import Given
from binsafe.sandbox.linux.layout import PROGRAM_FOLDER, check_present
from binsafe.sandbox.linux.lookups import Lookups
from binsafe.sandbox.linux.pathcalls import PATH_CALLS
from binsafe.sandbox.linux.planning import limits_of
from binsafe.sandbox.linux.probing import piped_dumps, try_out
from binsafe.sandbox.linux.process import Process
from binsafe.sandbox.linux.starting import Plan, stage_for
from binsafe.sandbox.linux.streams import Streams
from binsafe.sandbox.linux.watching import watch_for

_MFD_EXEC: Final = 0x10
"""linux/memfd.h, since 6.3: executable even where vm.memfd_noexec makes the others not so."""


_LEFT_OPEN: Final = (
    Gap(
        id="names",
        reason="files that are not granted cannot be read, but their names, sizes, owners and times can be found out: "
        "by a program that was granted a folder, or that changes a path while it is being asked about",
    ),
    Gap(id="processes", reason="the process ids of the host, and the privileges of its processes, can be found out"),
)
_NOT_GIVEN: Final = (
    Gap(id="attributes", reason="chmod, chown, times and attributes stay denied, also for what may be written"),
    Gap(id="children", reason="no other process can be started"),
    Gap(id="dynamic", reason="programs with a dynamic loader are refused: private libraries take a mount namespace"),
    Gap(
        id="scratch",
        reason="there is no private scratch folder and no hosts file: grant a folder, connect to addresses",
    ),
)
_THREADS: Final = Gap(
    id="threads", reason="threads are not limited: without a user namespace all that the user runs counts"
)


class Landlock:
    """Landlock + seccomp without namespaces, for an ordinary user and for root (who becomes an ordinary one)."""

    name = "landlock"
    system = "linux"
    leaves_open = _LEFT_OPEN

    def probe(self) -> Enforcement:
        """Build the whole sandbox around a program of ours that binds one port and tries to read, and see."""
        try:
            arch, abi = native_arch(), _landlock_abi()
            os.close(_sealed_copy(None))
            rights = ABI_RIGHTS[min(abi, LATEST)]
            handled = [int(each) for each in (rights.fs, rights.net, rights.scope) if each]
            try_out(
                self.name,
                arch,
                _PLAN
                | {
                    "limits": [("CORE", 0)],
                    "landlock": {"handled": handled, "rules": []},
                    "closed": "/",
                },
                frozenset({"bind", "listen"}),
            )
        except BinsafeError as error:
            return Enforcement(level="none", gaps=(Gap(id="sandbox", reason=str(error), fix=error.hint),))
        threads = () if os.geteuid() == 0 else (_THREADS,)
        return Enforcement(level="full", gaps=(*_LEFT_OPEN, *piped_dumps(), *_NOT_GIVEN, *threads))

    def launch(self, order: Order) -> Process:
        """Start a program under its policy.

        Raises:
            NotExecutable: the kernel refused to execute it.
            NotEnforceable: a part of the policy cannot be held, or a grant not be given here; nothing was started.
        """
        arch, abi = native_arch(), _landlock_abi()
        _refuse_dynamic(order.policy)
        _refuse_read_only_below_writable(order.policy)
        destinations = pin(order.policy.of("connect"))
        for gap in _not_given(order.policy, destinations):
            if order.accept_gap is None:
                raise NotEnforceable(gap.reason, hint=f"{gap.fix}; --allow-partial goes on without it")
            order.accept_gap(gap)
        policy = unshared.tighten(order.policy, abi)
        walks = reads_folders(policy)
        named = frozenset() if walks else frozenset(PATH_CALLS)
        forms = unnamed(policy) if walks else {}
        watch = watch_for(
            policy,
            arch,
            order.on_violation,
            destinations=destinations,
            lookups=_lookups(policy, walks=walks),
            names_root="/" in order.arguments,
            called=f"{PROGRAM_FOLDER}/{Path(policy.artifact.name).name}",
            alone=True,
            terminal=order.terminal,
        )
        copy = _sealed_copy(order.program)
        try:
            plan = _plan(order, policy, abi, copy) | {
                "filter": seccomp.compile_filter(
                    narrowing.narrow(policy, {**ALONE, **forms, **terminal_forms(order)}),
                    arch,
                    notify=named | {"listen", "uname"},
                )
            }
            with stage_for(order) as stage, Streams(order) as streams:
                stage.begin(plan, streams.descriptors, (copy,))
                return stage.supervise(watch, self.name, streams.pipe)
        finally:
            os.close(copy)


_PLAN: Final[Plan] = {
    "namespaces": False,
    "own_process": narrowing.OWN_PROCESS,
    "execute": None,
    "argv": [],
    "accesses": [],
    "mounts": [],
    "links": [],
    "covered": [],
    "scratch": [],
    "pieces": [],
    "cwd": "/",
}


def _plan(order: Order, policy: Policy, abi: int, program: int) -> Plan:
    reached = list(_paths(policy))
    return _PLAN | {
        "execute": program,
        "argv": [Path(policy.artifact.name).name, *order.arguments],
        "environment": order.environment(),
        "cwd": _working_folder(policy),
        "terminal": order.terminal is not None,
        "accesses": reached,
        "limits": _limits(policy),
        "landlock": _confinement(policy, abi),
    }


def _landlock_abi() -> int:
    abi = kernel.landlock_abi()
    if abi == 0:
        raise NotEnforceable(
            "without namespaces files are Landlock's to deny, and this kernel has none",
            hint="use a kernel of 5.13 or later with 'landlock' in its list of LSMs (boot parameter lsm=landlock,...), "
            "or allow unprivileged user namespaces: binsafe doctor says how",
        )
    return abi


def _refuse_dynamic(policy: Policy) -> None:
    if policy.artifact.interpreter is not None or policy.artifact.files:
        raise NotEnforceable(
            f"{policy.artifact.name} loads other files, and without a mount namespace it can get no private copies",
            hint="link it statically, or allow unprivileged user namespaces: binsafe doctor says how",
        )


def _refuse_read_only_below_writable(policy: Policy) -> None:
    for path, folder in read_only_below_writable(policy):
        raise NotEnforceable(
            f"{path} may only be read and lies in {folder}, which may be written: only a mount takes that back",
            hint="grant the folders beside it to be written, or allow unprivileged user namespaces: binsafe doctor",
        )


def _not_given(policy: Policy, destinations: Destinations) -> Iterator[Gap]:
    """Grants that cannot be given here and that a program may not start without; each stays denied.

    The private scratch folder of a baseline is not among them: it is missed only by a program that wants it, and is
    then named with the grant of a folder that can be given.
    """
    for gap in linux.gaps(policy):
        yield Gap(id=gap.id, reason=gap.reason, fix="leave the grant out")
    for grant in policy.of("write"):
        if grant.access == "scratch":
            reason = f"there is no private {grant.object} without a mount namespace"
            yield Gap(id="scratch", reason=reason, fix="grant a folder with --write")
    if names := [name for name in destinations.names if name != "localhost"]:
        reason = (
            f"the program cannot look up {', '.join(names)}: there is no private hosts file without a mount namespace"
        )
        yield Gap(id="names", reason=reason, fix="grant addresses, and let the program use those")


def _paths(policy: Policy) -> Iterator[tuple[str, int]]:
    """Granted paths of the host, and how they must be accessible."""
    for kind, mode in (("read", os.R_OK), ("write", os.W_OK)):
        for grant in policy.grants:
            if grant.kind == kind and grant.object.startswith("/") and grant.access != "scratch":
                check_present(grant.object)
                yield grant.object, mode


def _working_folder(policy: Policy) -> str:
    """Ours, if it is granted or in something granted."""
    here = os.getcwd()
    return here if is_inside(here, *(path for path, _ in _paths(policy))) else "/"


def _confinement(policy: Policy, abi: int) -> dict[str, Any]:
    """Landlock's part of the plan. Nothing on any file system may be executed, the program itself has no path."""
    wanted = landlock.plan(policy, abi)
    granted = {path for path, _ in _paths(policy)}
    rules = []
    for rule in wanted.rules:
        if rule.object in granted:
            rights = rule.rights if os.path.isdir(rule.object) else rule.rights & FILE_RIGHTS
            if rights := rights & ~Fs.EXECUTE:
                rules.append((rule.object, int(rights)))
    return {"handled": list(wanted.handled), "rules": rules}


def _limits(policy: Policy) -> list[tuple[str, int]]:
    """All but the number of threads where it would count everything that the user runs."""
    return [(name, value) for name, value in limits_of(policy) if name != "NPROC" or os.geteuid() == 0]


def _lookups(policy: Policy, *, walks: bool) -> Lookups:
    granted = list(_paths(policy))
    given = Given(
        merged={},
        readable=[path for path, _ in granted],
        writable=[path for path, mode in granted if mode == os.W_OK],
        present=(),
    )
    missing = here if (here := os.getcwd()) != _working_folder(policy) else ""
    return Lookups(given, refuses=True, walks=walks, working_folder=missing)


def _sealed_copy(program: int | None) -> int:
    """The program's bytes in a sealed, executable file in memory.

    Raises:
        NotEnforceable: memory files may not be executed here.
    """
    try:
        copy = _memory_file()
    except OSError as error:
        raise NotEnforceable(
            f"memory files may not be executed here: {error.strerror}", hint="set vm.memfd_noexec to 0 or 1"
        ) from error
    try:
        if program is not None:
            done, size = 0, os.fstat(program).st_size
            while done < size and (sent := os.sendfile(copy, program, done, size - done)):
                done += sent
        seal(copy)
    except BaseException:
        os.close(copy)
        raise
    return copy


def _memory_file() -> int:
    flags = os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING
    try:
        return os.memfd_create("binsafe-program", flags | _MFD_EXEC)
    except OSError as error:
        if error.errno != errno.EINVAL:  # EINVAL: a kernel before 6.3, where all are executable
            raise
        return os.memfd_create("binsafe-program", flags)
