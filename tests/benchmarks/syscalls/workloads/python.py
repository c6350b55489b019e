"""CPython: what its standard library is used for, in one script, and the ways to start it."""

import signal

from bench import Bench


def workload(bench: Bench) -> None:
    bench.run("-c", "print(1)")
    ports = {}  # what a sandboxed program listens on is granted by its number
    if bench.confined:
        ports = {"FIRST_PORT": str(bench.port()), "SECOND_PORT": str(bench.port())}
    bench.run(bench.source("work.py"), PYTHONDONTWRITEBYTECODE="", **ports)
    bench.run("-m", "json.tool", stdin=b'{"a": 1}')
    bench.run("-i", stdin=b"1+1\nimport nonsense\nexit()\n")
    bench.run("-m", "compileall", "-q", "-j2", ".")
    bench.run("-X", "importtime", "-I", "-c", "import sys; sys.exit(4)")
    bench.run("-X", "faulthandler", "-c", "import ctypes; ctypes.string_at(0)")
    bench.run("-m", "venv", "--without-pip", "environment")
    bench.run("/nowhere.py")
    port = bench.port()
    with bench.server("-m", "http.server", "--bind", "127.0.0.1", str(port)) as server:
        bench.ready(port)
        bench.get(port, "/work.py")
        bench.get(port, "/")
        bench.get(port, "/none")
        server.signal(signal.SIGSTOP)
        server.signal(signal.SIGCONT)
        server.signal(signal.SIGINT)
