"""The Linux backend: namespaces, seccomp and Landlock, for an ordinary user and for root.

What a start needs is loaded while the stage's interpreter starts beside it.
"""

import os
from typing import Final

from binsafe.errors import BinsafeError, NotEnforceable
from binsafe.model import Gap
from binsafe.sandbox.backends import Enforcement, Order
from binsafe.sandbox.linux.process import Process
from binsafe.sandbox.linux.starting import stage_for

MACHINES: Final = {"x86_64": "x86_64", "aarch64": "arm64"}
"""The kernel's names of the processors whose programs can run here, and ours."""


class Namespaces:
    """Empty namespaces + seccomp + Landlock, for an ordinary user and for root (who becomes an ordinary one)."""

    name = "namespaces"
    system = "linux"
    leaves_open = ()

    def probe(self) -> Enforcement:
        """Build the whole sandbox around a program of ours that binds one port, and see."""
        from binsafe.sandbox.linux import probing  # the doctor's alone

        try:
            probing.try_out(self.name, native_arch(), probing.every_step(), frozenset({"bind"}))
        except BinsafeError as error:
            return Enforcement(level="none", gaps=(Gap(id="sandbox", reason=str(error), fix=error.hint),))
        return Enforcement(level="full", gaps=(*probing.missing_layers(), *probing.piped_dumps()))

    def launch(self, order: Order) -> Process:
        """Start a program under its policy.

        Raises:
            NotExecutable: the kernel refused to execute it.
            NotEnforceable: a part of the policy cannot be held here; nothing was started.
        """
        arch = native_arch()
        with stage_for(order) as stage:
            from binsafe.sandbox.linux.confining import confine  # while the stage starts

            return confine(order, stage, arch, self.name)


def native_arch() -> str:
    """This machine's processor; raises NotEnforceable where we have no system-call table for it."""
    machine = os.uname().machine
    if machine not in MACHINES:
        raise NotEnforceable(f"no sandbox for {machine}", hint=f"supported: {', '.join(MACHINES)}")
    return MACHINES[machine]
