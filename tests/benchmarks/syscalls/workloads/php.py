"""PHP: what its extensions are used for, in one script, and the ways to start it."""

import signal

from bench import Bench


def workload(bench: Bench) -> None:
    bench.run("-r", "echo 1;")
    bench.run("-v")
    bench.run("-m")
    bench.run("-i")
    bench.run("-n", "-r", "echo PHP_OS;")
    script = bench.source("work.php")
    ports = {"FIRST_PORT": str(bench.port())} if bench.confined else {}  # such a port is granted
    for settings in ((), ("-d", "opcache.jit_buffer_size=8M"), ("-d", f"opcache.file_cache={bench.folder}")):
        bench.run("-d", "opcache.enable_cli=1", *settings, script, **ports)
    bench.run("-a", stdin=b"echo 1+1;\n")
    bench.run("-l", bench.source("work.php"))
    bench.run("-R", "echo strtoupper($argn);", stdin=b"a\nb\n")
    bench.run("/nowhere.php")
    bench.write("www/index.php", "<?php session_start(); echo phpversion(), file_get_contents('php://input');")
    bench.write("www/a.txt", "a" * 100_000)
    port = bench.port()
    with bench.server(
        "-d", f"session.save_path={bench.folder}", "-S", f"127.0.0.1:{port}", "-t", bench.folder / "www"
    ) as server:
        bench.ready(port)
        bench.get(port, "/")
        bench.get(port, "/", method="POST", body=b"z" * 300_000)
        bench.get(port, "/a.txt")
        bench.get(port, "/none.txt")
        server.signal(signal.SIGINT)
