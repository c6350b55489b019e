"""Redis: data types, Lua, persistence in both forms, replication, TLS, cluster bus, I/O threads, errors, shutdown."""

import signal

from bench import Bench

COMMANDS = """
SET a 1
INCR a
LPUSH list x y z
SORT list ALPHA
ZADD z 1 one 2 two
XADD stream * field value
PFADD hll a b c
GEOADD g 13.36 38.11 Palermo
EVAL "return redis.call('incr', KEYS[1])" 1 a
EVAL "return redis.call('time')" 0
EVAL "error('no')" 0
MULTI
SETRANGE big 2000000 x
EXEC
OBJECT ENCODING big
MEMORY DOCTOR
LATENCY DOCTOR
CLIENT LIST
CLIENT NO-EVICT on
INFO all
SLOWLOG GET
DEBUG SLEEP 0
CONFIG SET maxmemory 100mb
CONFIG SET appendfsync always
CONFIG REWRITE
BGSAVE
WAIT 0 10
LASTSAVE
BGREWRITEAOF
UNLINK big
FLUSHALL ASYNC
NONSENSE
SAVE
ACL LIST
ACL SETUSER bob on >pw ~* +@all
SCRIPT FLUSH ASYNC
"""


def workload(bench: Bench) -> None:
    bench.certificate()
    first, second, tls, cluster = (bench.port() for _ in range(4))
    local = "" if bench.confined else f"unixsocket {bench.folder}/redis.sock\nunixsocketperm 700\n"
    configuration = bench.write(
        "redis.conf",
        f"port {first}\nbind 127.0.0.1 ::1\ndir {bench.folder}\nappendonly yes\nsave 1 1\n"
        f"io-threads 3\nio-threads-do-reads yes\n"
        f"{local}tls-port {tls}\ntls-cert-file cert.pem\n"
        f"tls-key-file key.pem\ntls-auth-clients no\nlogfile {bench.folder}/redis.log\nlatency-monitor-threshold 1\n"
        "activedefrag no\nlazyfree-lazy-user-del yes\nset-proc-title yes\nenable-debug-command yes\n",
    )
    bench.run("--version", name="redis-server")
    bench.run("--nonsense", name="redis-server")
    bench.run(bench.write("bad.conf", "nonsense yes\n"), name="redis-server")
    bench.run("--test-memory", "1", name="redis-server")
    with bench.server(configuration, name="redis-server") as server:
        bench.ready(first)
        _load(bench, first)
        bench.talk(first if bench.confined else bench.folder / "redis.sock", b"PING\r\n", b"*1\r\n$999999999999\r\n")
        bench.other("redis-cli", "--tls", "--insecure", "-p", str(tls), "SET", "t", "1")
        replica = (
            "--port",
            str(second),
            "--replicaof",
            "127.0.0.1",
            str(first),
            "--dir",
            str(bench.folder / "replica"),
        )
        (bench.folder / "replica").mkdir()
        with bench.server(*replica, "--repl-diskless-load", "swapdb", name="redis-server"):
            bench.ready(second)
            bench.other("redis-cli", "-p", str(first), "CONFIG", "SET", "repl-diskless-sync-delay", "0")
            _load(bench, first)
            bench.other("redis-cli", "-p", str(first), "WAIT", "1", "3000")
            bench.other("redis-cli", "-p", str(second), "REPLICAOF", "NO", "ONE")
            bench.other("redis-cli", "-p", str(second), "SHUTDOWN", "SAVE")
        bench.other("redis-benchmark", "-p", str(first), "-n", "300", "-c", "5", "-P", "4", "-t", "set,get,lpush", "-q")
        bench.other("redis-cli", "-p", str(first), "--rdb", "dump-by-client.rdb")
        server.signal(signal.SIGTERM)
    with bench.server(configuration, name="redis-server") as server:  # reads what it wrote
        bench.ready(first)
        bench.other("redis-cli", "-p", str(first), "DEBUG", "SEGFAULT")
        server.wait(8)
    (bench.folder / "cluster").mkdir()
    arguments = ("--port", str(cluster), "--cluster-enabled", "yes", "--cluster-port", str(bench.port()))
    daemon = (
        "--daemonize",
        "no" if bench.confined else "yes",  # the sandbox ends with the program that was started in it
        "--pidfile",
        f"{bench.folder}/cluster.pid",
        "--logfile",
        "",
        "--syslog-enabled",
        "yes",
    )
    with bench.server(*arguments, "--dir", bench.folder / "cluster", *daemon, name="redis-server"):
        bench.ready(cluster)
        bench.other("redis-cli", "-p", str(cluster), "CLUSTER", "ADDSLOTSRANGE", "0", "16383")
        _load(bench, cluster)
        bench.other("redis-cli", "-p", str(cluster), "SHUTDOWN", "NOSAVE")


def _load(bench: Bench, port: int) -> None:
    for command in COMMANDS.strip().splitlines():
        bench.other("redis-cli", "-p", str(port), stdin=command.encode() + b"\n")
    bench.talk(port, b"MONITOR\r\n", b"SUBSCRIBE a\r\n")
