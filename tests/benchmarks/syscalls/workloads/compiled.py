"""The programs in ``sources/``: each does its whole work by itself and ends."""

import signal

from bench import Bench


def workload(bench: Bench) -> None:
    port = str(bench.port())
    bench.run(port)
    bench.run("errors")
    bench.run(port, "/nowhere")
    with bench.server("serve") as server:
        server.signal(signal.SIGUSR1, settle=0.5)
        server.signal(signal.SIGSTOP)
        server.signal(signal.SIGCONT)
        server.signal(signal.SIGTERM)
