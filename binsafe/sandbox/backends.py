"""What a mechanism of this machine must offer, and what it must admit."""

from collections.abc import Callable, Sequence
from typing import IO, TYPE_CHECKING, Literal, Protocol

import msgspec

from binsafe.model import Gap, Policy, Violation
from binsafe.policy.objects import SEARCHED

if TYPE_CHECKING:
    from binsafe.sandbox.pseudoterminal import PseudoTerminal

Level = Literal["full", "partial", "none"]


class Enforcement(msgspec.Struct, frozen=True, kw_only=True):
    """How far this machine enforces a policy: "full" where at least one layer holds each denial, else with the gaps."""

    level: Level
    gaps: tuple[Gap, ...] = ()


class Prepared(Protocol):
    """What a start will need, started early."""

    def close(self) -> None:
        """End it, where nothing came of it."""


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """A program to start: which bytes (``program``, a descriptor), under what policy, and with what around it.

    ``path`` is the program's resolved path, by which a dynamic program finds what lies beside it. ``stdin``, ``stdout``
    and ``stderr`` are descriptors, or the constants of :mod:`subprocess`; None relays our own (see ``relaying``).
    ``accept_gap`` is told of each grant that cannot be given here, before anything starts; without it such a policy is
    refused. ``on_violation`` is called in a thread of its own; its errors end nothing. ``prepared`` is what
    :func:`binsafe.sandbox.prepare` started beforehand; it serves one start.
    """

    policy: Policy
    program: int
    path: str | None = None
    arguments: Sequence[str] = ()
    stdin: int | None = None
    stdout: int | None = None
    stderr: int | None = None
    accept_gap: Callable[[Gap], None] | None = None
    on_violation: Callable[[Violation], None]
    prepared: Prepared | None = None
    terminal: "PseudoTerminal | None" = None
    """The program's own, where its streams are relayed and the user sits at one."""

    def environment(self) -> dict[str, str]:
        """Exactly what the policy names, and a PATH: nothing of ours is inherited."""
        return {"PATH": SEARCHED} | {grant.object: grant.access for grant in self.policy.of("environment")}


class Sandboxed(Protocol):
    """A program that runs in a sandbox. Keep the thread that started it alive: it may die with that thread."""

    @property
    def backend(self) -> str:
        """The mechanism's name."""

    @property
    def enforcement(self) -> Level:
        """How much of the policy it holds here."""

    @property
    def pid(self) -> int:
        """The served program's own process id on the host."""

    @property
    def unreported(self) -> int:
        """Violations that were only counted, because many of their kind had been reported."""

    @property
    def untold(self) -> str | None:
        """Why violations may have gone unreported, so that none told does not mean none; None where all are seen."""

    @property
    def stdout(self) -> IO[bytes] | None:
        """Its standard output, where a pipe was asked for."""

    def wait(self, timeout: float | None = None) -> int | None:
        """Its exit status (128+N after signal N); None while it still runs after ``timeout`` seconds."""

    def send_signal(self, number: int) -> None:
        """Forward a signal; nothing happens when it has ended."""

    def stop(self, grace: float = 3.0) -> int:
        """End it: SIGTERM, and after ``grace`` seconds the end of everything in the sandbox. Returns the status."""

    def listening(self) -> frozenset[int]:
        """The granted ports on which this program itself accepts connections now."""


class Backend(Protocol):
    """A mechanism that enforces policies."""

    name: str
    system: str

    @property
    def leaves_open(self) -> tuple[Gap, ...]:
        """What it lets a program find out or do that a policy did not grant, wherever it runs."""

    def probe(self) -> Enforcement:
        """What it can enforce on this machine, found out by doing it."""

    def launch(self, order: Order) -> Sandboxed:
        """Start a program; raises NotEnforceable when any part of the policy cannot be held."""
