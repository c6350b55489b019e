"""The API: what the pages show, as JSON, and as server-sent events that a client can lose and take up again.

An event's id says how far each run was when it was sent (``12:57,13:100``: run 12 after 57 ids ...), so a client that
comes back with it (``Last-Event-ID``, which browsers send by themselves) gets what it missed and nothing twice.
"""

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from typing import Annotated, Any, Final

import msgspec
from fastapi import APIRouter, HTTPException, Path, Query, Request, Response
from fastapi.responses import JSONResponse, StreamingResponse

from bandit_runner.dashboard.views import Board, SessionView
from bandit_runner.errors import StoreUnusable, UsageError
from bandit_runner.model import SCORINGS

INTERVAL: Final = 0.5
"""Seconds between two looks at the store."""

HEARTBEAT: Final = 15.0
"""Seconds of silence after which the connection is shown to live."""

MAX_LINES: Final = 1_000
"""Ids in one answer or event."""

MAX_INTEGER: Final = 2**63 - 1
"""SQLite's largest."""

RunNumber = Annotated[int, Path(ge=1, le=MAX_INTEGER)]

CURSOR: Final = re.compile(r"[0-9]{1,15}:[0-9]{1,15}(?:,[0-9]{1,15}:[0-9]{1,15}){0,199}")


class Json(Response):
    """Structs as JSON."""

    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        """Encoded by msgspec."""
        return msgspec.json.encode(content)


def router(board: Callable[[], Board]) -> APIRouter:
    """All routes over the board that ``board`` gives.

    Each is ``async`` though it awaits nothing: others are run in threads, and a board is used by one at a time.
    """
    routes = APIRouter(default_response_class=Json)
    _of_sessions(routes, board)
    _of_runs(routes, board)

    @routes.get("/events")
    async def events(request: Request, session: str | None = None) -> StreamingResponse:
        """Server-sent events: ``connected``, then ``metrics`` with what is new, and ``heartbeat`` when nothing is."""
        last = request.headers.get("last-event-id", "")
        stream = _events(board(), session, last, request.is_disconnected)
        return StreamingResponse(stream, media_type="text/event-stream", headers={"Cache-Control": "no-store"})

    return routes


def _of_sessions(routes: APIRouter, board: Callable[[], Board]) -> None:

    @routes.get("/api/status")
    async def status() -> Json:
        """Whether the store can be read, and what to do if not."""
        return Json(board().state())

    @routes.get("/api/sessions")
    async def sessions() -> Json:
        """The sessions, the latest first."""
        return Json(board().sessions())

    @routes.get("/api/sessions/{name}")
    async def session(name: str) -> Json:
        """One session: settings, truth, sandbox."""
        return Json(_session(board(), name).session)

    @routes.get("/api/sessions/{name}/violations")
    async def violations(name: str, after: float = 0.0) -> Json:
        """What its servers were denied since ``after`` (epoch seconds)."""
        return Json(board().violations(name, after=after))

    @routes.get("/api/snapshot")
    async def snapshot(session: str | None = None) -> Json:
        """A session (the latest one by default) with what each run came to, and the cursor to go on from."""
        found = _session(board(), session)
        return Json({"cursor": cursor(found), **summary(found)})


def _of_runs(routes: APIRouter, board: Callable[[], Board]) -> None:
    @routes.get("/api/runs")
    async def runs(session: str | None = None) -> Json:
        """The runs of a session, the latest one by default."""
        return Json(_session(board(), session).runs)

    @routes.get("/api/runs/{number}")
    async def run(number: RunNumber) -> Json:
        """One run with its frames."""
        return Json(board().run(number))

    @routes.get("/api/runs/{number}/requests")
    async def requests(
        number: RunNumber,
        after: Annotated[int, Query(ge=0, le=MAX_INTEGER)] = 0,
        most: Annotated[int, Query(ge=1, le=MAX_LINES)] = MAX_LINES,
    ) -> Json:
        """Ids of a run, attempt by attempt, after the ``after``-th."""
        return Json(board().requests(number, after=after, most=most))

    @routes.get("/api/runs/{number}/limits")
    async def limits(number: RunNumber) -> Json:
        """What the run's strategy believes of each server's rate limiter; empty for one that keeps no such belief."""
        return Json(board().limits(number))

    @routes.get("/api/comparison")
    async def comparison(scoring: str = "statement", session: Annotated[list[str] | None, Query()] = None) -> Json:
        """All runs, or those of some sessions, compared."""
        if scoring not in SCORINGS:
            raise HTTPException(422, f"scoring is one of {', '.join(SCORINGS)}")
        return Json(
            {"schema": "binsafe.results/1", "rows": board().comparison(SCORINGS[scoring], tuple(session or ()))}
        )


def explain(_: Request, error: Exception) -> JSONResponse:
    """What is wrong and what to do, as JSON."""
    status = 503 if isinstance(error, StoreUnusable) else 404
    return JSONResponse({"detail": str(error), "hint": getattr(error, "hint", "")}, status_code=status)


def cursor(view: SessionView) -> str:
    """How far each run is."""
    return ",".join(f"{run.number}:{run.tally.requests}" for run in view.runs)


def summary(view: SessionView) -> dict[str, Any]:
    """A session without frames."""
    return {
        "session": view.session.id,
        "status": view.status,
        "scoring": view.session.scoring,
        "runs": view.runs,
    }


def _session(board: Board, name: str | None) -> SessionView:
    found = board.session(name)
    if found is None:
        raise UsageError("there is no session yet", hint="bandit_runner start plays one")
    return found


def parse_cursor(text: str) -> dict[int, int]:
    """Run -> ids that the client has; empty for anything that is no cursor."""
    if not CURSOR.fullmatch(text):
        return {}
    return {int(run): int(seen) for run, _, seen in (part.partition(":") for part in text.split(","))}


async def _events(board: Board, session: str | None, last: str, gone: Callable[[], Any]) -> AsyncIterator[bytes]:
    """The stream; what cannot be read for a moment is said as an event and tried again."""
    loop = asyncio.get_running_loop()
    seen = parse_cursor(last)
    resumed = bool(seen)
    version: tuple[int, int] | None = None
    said = loop.time()
    yield _event("connected", {"resumed": resumed})
    while not await gone():
        try:
            now = board.version()
            view = board.session(session) if now != version else None
        except (StoreUnusable, UsageError) as error:
            yield _event("trouble", {"message": str(error), "hint": error.hint})
            await asyncio.sleep(HEARTBEAT)
            continue
        if view is not None:
            if not resumed:  # a client that begins here has asked for the snapshot, or wants only what comes
                seen = {run.number: run.tally.requests for run in view.runs}
                resumed = True
                yield _event("metrics", {**summary(view), "requests": []}, cursor(view))
                said = loop.time()
            elif fresh := _fresh(board, view, seen):
                yield _event("metrics", {**summary(view), "requests": fresh}, _cursor_of(seen))
                said = loop.time()
            if all(run.tally.requests <= seen.get(run.number, 0) for run in view.runs):
                version = now
        if loop.time() - said > HEARTBEAT:
            yield _event("heartbeat", {}, _cursor_of(seen))
            said = loop.time()
        await asyncio.sleep(INTERVAL)


def _fresh(board: Board, view: SessionView, seen: dict[int, int]) -> list[dict[str, Any]]:
    """Ids that the client lacks, at most one event's worth; ``seen`` is moved on."""
    found: list[dict[str, Any]] = []
    for run in view.runs:
        before = seen.setdefault(run.number, 0)
        if run.tally.requests > before and len(found) < MAX_LINES:
            fresh = board.requests(run.number, after=before, most=MAX_LINES - len(found))
            seen[run.number] = before + len(fresh)
            found += [{"run": run.number, **each} for each in fresh]
    return found


def _cursor_of(seen: dict[int, int]) -> str:
    return ",".join(f"{run}:{count}" for run, count in seen.items())


def _event(kind: str, data: Any, number: str = "") -> bytes:
    head = f"id: {number}\n" if number else ""
    return f"{head}event: {kind}\ndata: ".encode() + msgspec.json.encode(data) + b"\n\n"
