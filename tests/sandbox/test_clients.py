"""Clients as they are, curl and a program in Go, fetch what is granted and nothing else."""

import http.server
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import platformdirs
import pytest

from bandit_runner.flakyservers.build import find_go, this_machine

CLIENT = Path(__file__).parent / "unchanged" / "client.go"
BINSAFE = (sys.executable, "-m", "binsafe")
pytestmark = [
    pytest.mark.sandbox,
    pytest.mark.skipif(sys.platform != "linux", reason="the Linux sandbox needs Linux"),
]


@pytest.fixture
def pages() -> Iterator[int]:
    """An HTTP server outside."""

    class Page(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", "4")
            self.end_headers()
            self.wfile.write(b"page")

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Page) as served:
        served.daemon_threads = True
        thread = threading.Thread(target=served.serve_forever, daemon=True)
        thread.start()
        yield served.server_address[1]
        served.shutdown()
        thread.join(5)


def fetched(*command: str) -> tuple[int, bytes, bytes]:
    done = subprocess.run(
        [*BINSAFE, "run", *command], check=False, stdin=subprocess.DEVNULL, capture_output=True, timeout=100, cwd="/"
    )
    return done.returncode, done.stdout, done.stderr


@pytest.mark.programs
def test_curl_fetches_what_is_granted_and_nothing_else(pages: int):
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    options = ("--connect", f"localhost:{pages}", "curl", "-sS")
    assert fetched(*options, f"http://localhost:{pages}/") == (0, b"page", b"")
    status, out, err = fetched(*options, f"http://127.0.0.1:{pages + 1}/")
    assert (status, out) == (7, b"")
    assert f"add --connect 127.0.0.1:{pages + 1}".encode() in err


@pytest.mark.parametrize("backend", ["namespaces", "landlock"])
def test_a_client_in_go_fetches_over_several_connections(pages: int, backend: str, tmp_path: Path):
    go = find_go(os.environ, platformdirs.user_cache_path("binsafe") / "flakyservers")
    client = tmp_path / "client"
    go.run("build", "-o", str(client), str(CLIENT), cwd=CLIENT.parent, target=this_machine())
    command = ("--backend", backend, "--connect", f"127.0.0.1:{pages}", str(client))
    status, out, err = fetched(*command, *[f"http://127.0.0.1:{pages}/"] * 5)
    assert (status, out.split()) == (0, [b"page"] * 5), err
    assert b"denied" not in err
