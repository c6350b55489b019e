"""Ruby: what its standard library is used for, in one script, and the ways to start it."""

import signal

from bench import Bench


def workload(bench: Bench) -> None:
    bench.run("-e", "puts 1")
    bench.run("--disable-gems", "-e", "p RUBY_VERSION")
    ports = {"FIRST_PORT": str(bench.port())} if bench.confined else {}  # such a port is granted
    bench.run(bench.source("work.rb"), **ports)
    bench.run("-rjson", "-ne", "p JSON.parse($_)", stdin=b'{"a": 1}\n')
    bench.run("-c", bench.source("work.rb"))
    bench.run("--yjit", "-e", "i = 0; while i < 3_000_000; i += 1; end")
    bench.run("--mjit", "--mjit-wait", "-e", "def f(x) = x + 1; 20_000.times { f(1) }")
    bench.run("-e", "Process.kill(:SEGV, $$)")
    bench.run("-e", "exit 4")
    bench.run("/nowhere.rb")
    port = bench.port()
    with bench.server("-rwebrick", "-e", _SERVER, str(port), str(bench.folder)) as server:
        bench.ready(port)
        bench.get(port, "/work.rb")
        bench.get(port, "/")
        bench.get(port, "/none")
        server.signal(signal.SIGSTOP)
        server.signal(signal.SIGCONT)
        server.signal(signal.SIGINT)


_SERVER = """
server = WEBrick::HTTPServer.new(BindAddress: "127.0.0.1", Port: ARGV[0].to_i, DocumentRoot: ARGV[1])
trap("INT") { server.shutdown }
server.start
"""
