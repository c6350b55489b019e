"""The original project's CSV files: one per run, one line per attempt, in four generations.

    columns  10    request_number attempt_number request_id strategy timestamp server_port success latency_ms
                   request_complete request_success
             11    and session_id: runs that were started together
             12    and config_target: the tier
             13    and rate_limited; until then a 429 was logged as a plain failure

They are read by their names, in any order; what `transfer` writes has all thirteen. ``timestamp`` is when the attempt
began.
"""

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NoReturn

import msgspec

from bandit_runner.errors import UsageError
from bandit_runner.model import SECONDS_TO_MS, TIERS, Attempt, BalancedRequest, Outcome

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

LATEST: Final = 1e11
"""Seconds since the epoch: the year 5138. Beyond it no calendar of a system's helps."""
LONGEST_MS: Final = 1e9
"""Milliseconds of one attempt: eleven days."""

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
    complete: bool


class CsvRun(msgspec.Struct, frozen=True, kw_only=True):
    """One file. ``torn`` says that its last line was cut off, as a killed program leaves it."""

    name: str
    lines: tuple[Line, ...]
    torn: bool = False

    @property
    def session_id(self) -> str:
        """The session it names; files of the first generation stand alone."""
        return self.lines[0].session_id or self.name

    @property
    def unfinished(self) -> int | None:
        """The number of the id that was under way when the program ended, if one was."""
        last = self.lines[-1]
        return None if last.complete or last.success else last.request_number


def read_csv(path: Path) -> CsvRun:
    """One run from one file.

    Raises:
        UsageError: it is none of these files; the message names the line.
    """
    try:
        text = _read(path)
    except OSError as error:
        hint = f"name the files in it: {path}/*.csv" if path.is_dir() else "name CSV files of the original project"
        raise UsageError(f"{path}: {error.strerror}", hint=hint) from error
    except UnicodeDecodeError as error:
        raise UsageError(f"{path} is not text", hint="name CSV files of the original project") from error
    reader = csv.reader(io.StringIO(text, newline=""))
    try:
        head = next(reader, [])
        body = [(reader.line_num, row) for row in reader if row]
    except csv.Error as error:
        raise UsageError(f"{path}: {error}", hint="name CSV files of the original project") from error
    _check_columns(path, head)
    if len(body) > MAX_LINES:
        raise UsageError(f"{path} has {len(body)} lines", hint=f"at most {MAX_LINES} are read")
    torn = bool(body) and not text.endswith("\n") and not _is_whole(path, head, body[-1][1])
    lines = tuple(_line(path, number, head, row) for number, row in (body[:-1] if torn else body))
    if not lines:
        raise UsageError(f"{path} holds no attempt", hint="leave it out")
    first = _origin(lines[0])
    for (number, _), line in zip(body, lines, strict=False):
        if _origin(line) != first:
            _wrong(path, number, f"session, tier and strategy are {_origin(line)}, not {first} as before")
    return CsvRun(name=path.stem, lines=lines, torn=torn)


def _origin(line: Line) -> tuple[str, str, str]:
    """What one file, which is one run, has only one of."""
    return line.session_id, line.tier, line.strategy


def _check_columns(path: Path, head: Sequence[str]) -> None:
    hint = f"the first line must name {', '.join(COLUMNS)}"
    for name in COLUMNS:
        if name not in head and name not in _ADDED:
            raise UsageError(f"{path}:1: no column {name!r}", hint=hint)
        if head.count(name) > 1:
            raise UsageError(f"{path}:1: two columns {name!r}", hint=hint)


def _read(path: Path) -> str:
    """The whole file. What has no first line of its own, as a device, is not read to its end, which it may not have."""
    with path.open("rb") as stream:
        first = stream.readline(MAX_LINE_BYTES)
        if len(first) == MAX_LINE_BYTES:
            raise UsageError(f"{path}:1: a line of {MAX_LINE_BYTES} bytes or more", hint="name CSV files")
        rest = stream.read(MAX_BYTES)
        if stream.read(1):
            raise UsageError(f"{path} is larger than {MAX_BYTES} bytes", hint="split it by its sessions")
    return (first + rest).decode("utf-8-sig")  # spreadsheets put a mark before the first column's name


def requests_of(run: CsvRun) -> list[BalancedRequest]:
    """The ids of a file that were done with, in the order of their numbers; arms count from the tier's first port.

    Raises:
        UsageError: the attempts of an id contradict each other.
    """
    grouped: dict[int, list[Line]] = {}
    for line in run.lines:
        grouped.setdefault(line.request_number, []).append(line)
    requests = {number: _request(run.name, number, lines) for number, lines in sorted(grouped.items())}
    return [request for number, request in requests.items() if number != run.unfinished]


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
            complete=_WORDS[value["request_complete"].lower()],
        )
    except (ValueError, KeyError) as error:
        _wrong(path, number, f"{error} cannot be read")
    if tier not in TIERS or port not in TIERS[tier].ports:
        _wrong(path, number, f"port {port} is not one of tier {tier!r}")
    if not (0 <= found.latency_ms <= LONGEST_MS and 0 <= found.timestamp <= LATEST):
        _wrong(path, number, "a time below 0, beyond all calendars, or none at all")
    if found.success and found.rate_limited:
        _wrong(path, number, "an attempt is accepted or rate-limited, not both")
    return found


def _is_whole(path: Path, head: Sequence[str], row: Sequence[str]) -> bool:
    try:
        _line(path, 0, head, row)
    except UsageError:
        return False
    return True


def _wrong(path: Path, number: int, what: str) -> NoReturn:
    raise UsageError(f"{path}:{number}: {what}", hint="correct the line, or leave the file out")


def _tier_of(port: int) -> str:
    return next((tier.name for tier in TIERS.values() if port in tier.ports), "")


def _request(name: str, number: int, lines: list[Line]) -> BalancedRequest:
    lines = sorted(lines, key=lambda line: line.attempt_number)
    first, last = lines[0], lines[-1]
    counted = all(line.attempt_number == position for position, line in enumerate(lines, start=1))
    if not counted or len({line.request_id for line in lines}) > 1 or any(line.success for line in lines[:-1]):
        hint = "its attempts must count from 1, share one id and end with the first success"
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
