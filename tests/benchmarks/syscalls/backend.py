"""The HTTP server behind proxies, and for clients, of workloads."""

import http.server
import ssl
import threading
from pathlib import Path


def start(port: int, ssl_files: tuple[Path, Path] | None = None) -> http.server.ThreadingHTTPServer:
    """Serve on a port of loopback, with TLS where a certificate and its key are given; whoever asked ends it."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", port), _Answering)
    if ssl_files:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*ssl_files)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


class _Answering(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        if self.path.startswith("/redirect"):
            self._answer(302, b"", Location="/moved")
        elif self.path.startswith("/missing"):
            self._answer(404, b"nothing here")
        else:
            self._answer(200, b"<p>hello</p>" * 2000, Cache_Control="max-age=60")

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self._answer(200, b"thanks")

    do_PUT = do_POST  # noqa: N815 - the base class looks for this name
    do_HEAD = do_GET  # noqa: N815 - as above

    def _answer(self, status: int, body: bytes, **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Nothing: the table is the output."""
