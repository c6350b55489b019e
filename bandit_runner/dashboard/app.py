"""The application: API and pages behind the guard, and the server that runs it."""

import functools
import socket
from collections.abc import Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from bandit_runner.errors import MissingExtra

try:
    import uvicorn
    from fastapi import FastAPI
    from nicegui import ui
except ImportError as error:
    raise MissingExtra("the dashboard needs FastAPI and NiceGUI", extra="dashboard") from error

from bandit_runner.dashboard.api import explain, router
from bandit_runner.dashboard.guard import Guard
from bandit_runner.dashboard.pages import compare, learn, live
from bandit_runner.dashboard.views import Board
from bandit_runner.errors import UsageError
from binsafe import __version__

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


RECONNECT_SECONDS: Final = 30.0
"""A page that was silent for so long begins anew; before, it goes on with what its visitor has chosen."""

PAGES: Final = {"/": live.build, "/compare": compare.build, "/learn": learn.build}


def application(store: Path, *, port: int, host: str = "127.0.0.1", token: str | None = None) -> Guard:
    """The dashboard over a store, as an ASGI application."""
    board = Board(store)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> "AsyncIterator[None]":
        yield
        board.close()

    app = FastAPI(title="bandit_runner", version=__version__, lifespan=lifespan, docs_url=None, redoc_url=None)
    app.include_router(router(lambda: board))
    app.add_exception_handler(UsageError, explain)
    for path, build in PAGES.items():
        ui.page(path)(functools.partial(build, board))
    ui.run_with(
        app,
        title="bandit_runner",
        dark=None,  # as the visitor's system has it
        language="en-US",
        show_welcome_message=False,
        tailwind=False,  # a compiler of styles in the browser: most of what there was to load and to run
        gzip_middleware_factory=None,  # packing a megabyte takes longer than it does on its way to this machine
        binding_refresh_interval=None,
        reconnect_timeout=RECONNECT_SECONDS,
    )
    return Guard(app, port=port, host=host, token=token)


def serve(
    store: Path,
    listener: socket.socket,
    *,
    host: str = "127.0.0.1",
    token: str | None = None,
    started: Callable[[], None] = lambda: None,
) -> None:
    """Run it on a socket that listens already, until it is told to stop (INT, TERM)."""
    port = listener.getsockname()[1]
    app = application(store, port=port, host=host, token=token)
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", access_log=False, timeout_graceful_shutdown=2))
    started()
    server.run(sockets=[listener])
