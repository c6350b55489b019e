"""The original project's CSV files: one per run, one line per attempt, in four generations.

    columns  10    request_number attempt_number request_id strategy timestamp server_port success latency_ms
                   request_complete request_success
             11    and session_id: runs that were started together
             12    and config_target: the tier
             13    and rate_limited; until then a 429 was logged as a plain failure

They are read by their names, in any order; what is written has all thirteen. ``timestamp`` is when the attempt began.
"""

import csv
import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final, NoReturn

import msgspec

from bandit_runner.errors import UsageError
from bandit_runner.model import SECONDS_TO_MS, TIERS, Attempt, BalancedRequest, Outcome
from bandit_runner.runs.records import Run, RunStart, Session
from bandit_runner.runs.rows import add_requests, insert_run, insert_session
from bandit_runner.runs.store import Store, connect_to_write, explaining
from bandit_runner.runs.tally import Tally

COLUMNS: Final = (
    "session_id",
    "config_target",
    "request_number",
    "attempt_number",
    "request_id",
    "strategy",
    "timestamp",
    "server_port",
    "success",
    "rate_limited",
    "latency_ms",
    "request_complete",
    "request_success",
)
_ADDED: Final = frozenset({"session_id", "config_target", "rate_limited"})
"""Columns of later generations."""

MAX_LINES: Final = 5_000_000
MAX_BYTES: Final = 1 << 30
MAX_LINE_BYTES: Final = 1 << 16
_WORDS: Final = {"true": True, "false": False, "1": True, "0": False}


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """One line: one attempt. ``rate_limited`` is None where the file has no such column."""

    session_id: str
    tier: str
    request_number: int
    attempt_number: int
    request_id: str
    strategy: str
    timestamp: float
    server_port: int
    success: bool
    rate_limited: bool | None
    latency_ms: float


class CsvRun(msgspec.Struct, frozen=True, kw_only=True):
    """One file. ``torn`` says that its last line was cut off, as a killed program leaves it."""

    name: str
    lines: tuple[Line, ...]
    torn: bool = False

    @property
    def session_id(self) -> str:
        """The session it names; files of the first generation stand alone."""
        return self.lines[0].session_id or self.name


def read_csv(path: Path) -> CsvRun:
    """One run from one file.

    Raises:
        UsageError: it is none of these files; the message names the line.
    """
    try:
        text = _read(path)
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}", hint="name CSV files of the original project") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"{path} is not text", hint="name CSV files of the original project") from error
    try:
        rows = list(csv.reader(text.splitlines()))
    except csv.Error as error:
        raise UsageError(f"{path}: {error}", hint="name CSV files of the original project") from error
    head, body = (rows[0], rows[1:]) if rows else ([], [])
    missing = [name for name in COLUMNS if name not in head and name not in _ADDED]
    if missing:
        raise UsageError(f"{path}:1: no column {missing[0]!r}", hint=f"the first line must name {', '.join(COLUMNS)}")
    if len(body) > MAX_LINES:
        raise UsageError(f"{path} has {len(body)} lines", hint=f"at most {MAX_LINES} are read")
    torn = bool(body) and not text.endswith("\n") and not _is_whole(path, head, body[-1])
    body = body[:-1] if torn else body
    lines = tuple(_line(path, number, head, row) for number, row in enumerate(body, start=2) if row)
    if not lines:
        raise UsageError(f"{path} holds no attempt", hint="leave it out")
    return CsvRun(name=path.stem, lines=lines, torn=torn)


def _read(path: Path) -> str:
    """The whole file. What has no first line of its own, as a device, is not read to its end, which it may not have."""
    with path.open("rb") as stream:
        first = stream.readline(MAX_LINE_BYTES)
        if len(first) == MAX_LINE_BYTES:
            raise UsageError(f"{path}:1: a line of {MAX_LINE_BYTES} bytes or more", hint="name CSV files")
        rest = stream.read(MAX_BYTES)
        if stream.read(1):
            raise UsageError(f"{path} is larger than {MAX_BYTES} bytes", hint="split it by its sessions")
    return (first + rest).decode("utf-8")


def requests_of(run: CsvRun) -> list[BalancedRequest]:
    """The ids of a file, in the order of their numbers; arms count from the tier's first port.

    Raises:
        UsageError: the ports belong to no tier, or the attempts of an id contradict each other.
    """
    grouped: dict[int, list[Line]] = {}
    for line in run.lines:
        grouped.setdefault(line.request_number, []).append(line)
    return [_request(run.name, number, lines) for number, lines in sorted(grouped.items())]


def import_runs(store: Path, files: Sequence[Path]) -> Iterator[tuple[Path, bool]]:
    """Add files to a store; yields each with whether it is new (a run of that name is never stored twice).

    Raises:
        UsageError: a file is none of these; files before it are stored, it and those after it are not.
    """
    connection = connect_to_write(store)
    try:
        for path in files:
            run = read_csv(path)
            requests = requests_of(run)
            with explaining(store):
                connection.execute("BEGIN IMMEDIATE")
                known = connection.execute("SELECT 1 FROM runs WHERE name = ?", (run.name,)).fetchone()
                if not known:
                    _insert(connection, run, requests)
                connection.execute("COMMIT")
            yield path, not known
    finally:
        connection.close()


def export_run(store: Store, run: Run, path: Path) -> int:
    """Write a stored run as a thirteen-column file; the number of attempts comes back."""
    count = 0
    with path.open("w", encoding="utf-8", newline="") as file:
        out = csv.writer(file, lineterminator="\n")
        out.writerow(COLUMNS)
        for stored in store.requests(run):
            request = stored.request
            for trial in request.trials:
                last = trial is request.trials[-1]
                out.writerow(
                    (
                        run.start.session,
                        run.start.tier,
                        stored.number,
                        trial.number + 1,
                        request.id,
                        run.start.strategy,
                        repr(trial.started),
                        run.start.ports[trial.arm],
                        trial.outcome is Outcome.OK,
                        trial.outcome is Outcome.RATE_LIMITED if run.tally.limits_known else "",
                        repr(trial.latency * SECONDS_TO_MS),
                        last,
                        last and request.accepted,
                    )
                )
                count += 1
    return count


def _insert(connection: sqlite3.Connection, run: CsvRun, requests: Sequence[BalancedRequest]) -> None:
    first = run.lines[0]
    ended = max(line.timestamp + line.latency_ms / SECONDS_TO_MS for line in run.lines)
    session = Session(id=run.session_id, started=min(line.timestamp for line in run.lines), source="import")
    start = RunStart(
        session=session.id,
        name=run.name,
        strategy=first.strategy,
        tier=first.tier,
        ports=tuple(TIERS[first.tier].ports),
        started=session.started,
        planned=len(requests),
    )
    limits_known = first.rate_limited is not None
    tally = Tally(limits_known=limits_known).adding(requests)
    insert_session(connection, session)
    number = insert_run(connection, start, tally, heard=ended, ended=ended)
    add_requests(connection, number, 0, requests, zero=0.0)


def _line(path: Path, number: int, head: Sequence[str], row: Sequence[str]) -> Line:
    if len(row) != len(head):
        _wrong(path, number, f"{len(row)} fields under {len(head)} columns")
    value = dict(zip(head, row, strict=True))
    try:
        port = int(value["server_port"])
        tier = value.get("config_target") or _tier_of(port)
        found = Line(
            session_id=value.get("session_id", ""),
            tier=tier,
            request_number=int(value["request_number"]),
            attempt_number=int(value["attempt_number"]),
            request_id=value["request_id"],
            strategy=value["strategy"],
            timestamp=float(value["timestamp"]),
            server_port=port,
            success=_WORDS[value["success"].lower()],
            rate_limited=_WORDS[value["rate_limited"].lower()] if value.get("rate_limited") else None,
            latency_ms=float(value["latency_ms"]),
        )
    except (ValueError, KeyError) as error:
        _wrong(path, number, f"{error} cannot be read")
    if tier not in TIERS or port not in TIERS[tier].ports:
        _wrong(path, number, f"port {port} is not one of tier {tier!r}")
    if not (0 <= found.latency_ms < float("inf") and 0 <= found.timestamp < float("inf")):
        _wrong(path, number, "a time below 0, or none at all")
    return found


def _is_whole(path: Path, head: Sequence[str], row: Sequence[str]) -> bool:
    try:
        _line(path, 0, head, row)
    except UsageError:
        return False
    return True


def _wrong(path: Path, number: int, what: str) -> NoReturn:
    raise UsageError(f"{path}:{number}: {what}", hint="mend the line or leave the file out")


def _tier_of(port: int) -> str:
    return next((tier.name for tier in TIERS.values() if port in tier.ports), "")


def _request(name: str, number: int, lines: list[Line]) -> BalancedRequest:
    lines = sorted(lines, key=lambda line: line.attempt_number)
    first, last = lines[0], lines[-1]
    if len({line.request_id for line in lines}) > 1 or any(line.success for line in lines[:-1]):
        hint = "its attempts must share one id and end with the first success"
        raise UsageError(f"{name}: request {number} contradicts itself", hint=hint)
    ports = TIERS[first.tier].first_port
    trials = tuple(
        Attempt(
            id=line.request_id,
            number=position,
            arm=line.server_port - ports,
            outcome=Outcome.OK if line.success else Outcome.RATE_LIMITED if line.rate_limited else Outcome.ERROR,
            started=line.timestamp,
            latency=line.latency_ms / SECONDS_TO_MS,
        )
        for position, line in enumerate(lines)
    )
    return BalancedRequest(
        id=first.request_id,
        accepted=last.success,
        attempts=len(trials),
        latency=max(0.0, last.timestamp - first.timestamp) + last.latency_ms / SECONDS_TO_MS,
        outcomes=tuple(trial.outcome for trial in trials),
        tier=first.tier,
        strategy=first.strategy,
        trials=trials,
    )
