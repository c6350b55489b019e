"""A session of `start` and its place in the store. A store that cannot be used stops no play: it is said."""

import contextlib
import secrets
import shlex
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

import binsafe
from bandit_runner.cli.storing import chosen
from bandit_runner.errors import StoreUnusable, UsageError
from bandit_runner.harness import Plan, Recording
from bandit_runner.model import BalancedRequest
from bandit_runner.runs import Recorder, Run, Session, Store
from binsafe.cli.entry import note

if TYPE_CHECKING:
    from bandit_runner.balancer import Balancer
    from bandit_runner.servers import Servers
    from bandit_runner.simulation.truth import Truth


class _Settings(msgspec.Struct, frozen=True, kw_only=True):
    """What `--continue` needs of a session. One that was imported has no plan."""

    plan: Plan | None = None
    limits: str = "calibrated"
    binary: str | None = None
    serve: bool = False


class Recorded:
    """What `start` needs of the store."""

    def __init__(self, store: Path | None) -> None:
        self.played: dict[tuple[str, str], Run] = {}
        """Runs of the session that is gone on with, by strategy and tier."""
        self.recording: Recording | None = None
        self.path = chosen(store)
        self.there = "" if store is None else f" --store {shlex.quote(str(store))}"
        """What commands that are to find it need to be told."""
        self._resumed: Session | None = None

    def resume(self) -> tuple[Plan, str, Path | None]:
        """The latest interrupted session's plan, limits and binary; it is what `session` then goes on with.

        One that nothing was played of was not interrupted, but did not start; one that only served has no end to reach.

        Raises:
            UsageError: no session was interrupted, or there is no store.
        """
        with Store.open(self.path) as store:
            for session in store.sessions():
                settings = _settings(session)
                if settings.plan is not None and (runs := _interrupted(store, session, settings)):
                    self._resumed, self.played = session, runs
                    return settings.plan, settings.limits, Path(settings.binary) if settings.binary else None
        raise UsageError("no session was interrupted", hint="bandit_runner start begins a new one")

    @contextlib.contextmanager
    def session(self, plan: Plan, *, limits: str, binary: Path | None, serve: bool) -> Iterator[None]:
        """Record while the block runs; where not all of it is stored, say how to go on, or that there is no way."""
        settings = _Settings(plan=plan, limits=limits, binary=str(binary) if binary else None, serve=serve)
        if self._resumed:
            note(f"going on with session {self._resumed.id}")
            if binary:  # the stand-in draws by the session's seed
                note("  if these servers draw new rates at each start, what was learnt of them no longer holds")
        now = time.time()
        session = self._resumed or Session(
            id=f"{time.strftime('%Y-%m-%d_%H-%M-%S', time.localtime(now))}_{secrets.token_hex(2)}",
            started=now,
            seed=plan.seed,
            scoring=plan.scoring,
            settings=msgspec.to_builtins(settings),
        )
        try:
            recorder = Recorder(self.path, session, note=note)
        except StoreUnusable as error:
            note(f"this session is not recorded: {error}")
            note(f"  hint: {error.hint}")
            yield
            return
        try:
            with recorder:
                self.recording = Recording(recorder)
                yield
            if recorder.lost:
                self._tell_what_is_left(session, settings, stopped=False)
        except BaseException as error:
            self._tell_what_is_left(session, settings, stopped=isinstance(error, KeyboardInterrupt))
            raise

    def _tell_what_is_left(self, session: Session, settings: _Settings, *, stopped: bool) -> None:
        """As the store has it, which `resume` will look at: it may have been deleted, or had no room."""
        runs = None
        with contextlib.suppress(StoreUnusable), Store.open(self.path) as store:
            runs = store.runs(session.id)
            if _interrupted(store, session, settings):
                note(
                    f"{'stopped; ' if stopped else ''}so far: bandit_runner compare --session {session.id}{self.there}"
                )
                note(f"go on with it: bandit_runner start --continue{self.there}")
        if stopped and not runs:
            note("stopped; nothing of it is stored, so there is nothing to go on with")

    @property
    def name(self) -> str | None:
        """The session's, if it is recorded."""
        return None if self.recording is None else self.recording.recorder.session.id

    def describe(self, servers: "Servers", truth: "Truth | None") -> None:
        """Say what runs, in which sandbox, and what the servers tell of themselves, as far as it was understood."""
        if self.recording is None:
            return
        recorder, told = self.recording.recorder, None if truth is None else msgspec.to_builtins(truth)
        recorder.describe(msgspec.structs.replace(recorder.session, truth=told, sandbox=_sandbox(servers)))

    def begin(self, balancer: "Balancer") -> None:
        """Every tier of the balancer is a run from now on, until it ends."""
        if self.recording is not None:
            for tier, strategy in balancer.strategies.items():
                self.recording.begin(tier, strategy, planned=None, seed=self.recording.recorder.session.seed)

    def end(self, balancer: "Balancer") -> None:
        """These runs are complete."""
        if self.recording is not None:
            for tier in balancer.strategies:
                self.recording.end(tier)

    def observe(self, request: BalancedRequest) -> None:
        """One id is done with."""
        if self.recording is not None:
            self.recording.observe(request)

    def violation(self, violation: binsafe.Violation) -> None:
        """The servers tried what they may not."""
        if self.recording is not None:
            self.recording.recorder.violation(msgspec.to_builtins(violation))


def _interrupted(store: Store, session: Session, settings: _Settings) -> dict[tuple[str, str], Run]:
    """The runs of a session that was interrupted, by strategy and tier; none of any other."""
    runs = {(run.start.strategy, run.start.tier): run for run in store.runs(session.id)}
    games = settings.plan.games() if settings.plan is not None and not settings.serve else []
    return runs if any(game not in runs or runs[game].ended is None for game in games) else {}


def _settings(session: Session) -> _Settings:
    try:
        return msgspec.convert(session.settings, _Settings)
    except msgspec.ValidationError as error:
        hint = "bandit_runner start begins a new one"
        raise UsageError(f"session {session.id} was not planned by this version: {error}", hint=hint) from error


def _sandbox(servers: "Servers") -> dict[str, Any]:
    report, policy, process = servers.report, servers.policy, servers.process
    return {
        "artifact": {"name": report.artifact.name, "sha256": report.artifact.sha256, "size": report.artifact.size},
        "signature": [
            {"arch": part.arch, "kind": part.signature.kind, "status": part.signature.status} for part in report.slices
        ],
        "verdict": {"level": report.verdict.level, "advice": report.verdict.advice},
        "backend": process.backend,
        "enforcement": process.enforcement,
        "pid": servers.pid,
        "baseline": policy.baseline,
        "grants": [
            {"kind": grant.kind, "object": grant.object, "access": grant.access, "reason": grant.reason}
            for grant in policy.grants
        ],
        "denied": [{"capability": denial.capability, "reason": denial.reason} for denial in policy.denied],
    }
