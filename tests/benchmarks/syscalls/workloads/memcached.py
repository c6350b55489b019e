"""memcached: both protocols, TCP, UDP and Unix sockets, threads, external storage, TLS, restart file, signals."""

import contextlib
import os
import signal
import socket

from bench import Bench

TEXT = (
    b"set a 0 0 3\r\nabc\r\n", b"get a\r\n", b"gets a b c\r\n", b"append a 0 0 1\r\nx\r\n",
    b"incr a 1\r\n", b"touch a 10\r\n",
    b"delete a\r\n", b"stats\r\n", b"stats slabs\r\n", b"stats conns\r\n", b"stats settings\r\n", b"verbosity 2\r\n",
    b"mn\r\n", b"ms k 2\r\nhi\r\n", b"mg k v\r\n", b"lru_crawler crawl all\r\n", b"lru_crawler metadump all\r\n",
    b"slabs reassign 1 2\r\n", b"watch fetchers\r\n", b"flush_all\r\n", b"nonsense\r\n",
    b"set a 0 0 9999999999\r\n", b"quit\r\n",
)  # fmt: skip


def workload(bench: Bench) -> None:
    bench.run("-V")
    bench.run("-h")
    bench.run("--nonsense")
    bench.run("-u", "nobody", "-p", "99999")
    plain = bench.port()
    options = (
        "-l",
        "127.0.0.1,::1",
        "-p",
        str(plain),
        "-t",
        "3",
        "-c",
        "40",
        "-m",
        "64",
        "-u",
        "nobody",
    )
    bench.folder.chmod(0o777)
    unconfined = () if bench.confined else ("-U", str(plain), "-k", "-L", "-r")  # datagrams, huge pages, core dumps
    with bench.server(*options, "-vv", "-o", "modern,hash_algorithm=murmur3", *unconfined) as server:
        bench.ready(plain)
        bench.talk(plain, *TEXT)
        if not bench.confined:
            _udp(plain)
        connections = [socket.create_connection(("127.0.0.1", plain)) for _ in range(45)]
        for connection in connections:
            connection.close()
        for number in range(40):
            bench.talk(plain, b"set key%d 0 0 100000\r\n%s\r\n" % (number, b"x" * 100_000))
        server.signal(signal.SIGHUP)
        server.signal(signal.SIGUSR1)
        server.signal(signal.SIGINT)
    if bench.confined:
        return
    path = bench.folder / "memcached.sock"
    with bench.server("-s", path, "-a", "777", "-u", "nobody", "-e", "/dev/shm/binsafe-truth", "-m", "64") as server:
        bench.until(lambda: bench.talk(path, b"version\r\n") or _refuse(), "no Unix socket")
        bench.talk(path, *TEXT)
        server.signal(signal.SIGUSR1, settle=1)
    stored, port = f"ext_path={bench.folder}/extstore:16M,ext_item_age=1,ext_wbuf_size=2", bench.port()
    daemon = ("-d", "-P", f"{bench.folder}/memcached.pid", "-u", "nobody", "-B", "auto")
    with bench.server("-l", "127.0.0.1", "-p", str(port), "-m", "8", "-o", stored, *daemon):
        bench.ready(port)
        for number in range(30):
            bench.talk(port, b"set key%d 0 0 20000\r\n%s\r\n" % (number, b"x" * 20_000))
        for number in range(30):
            bench.talk(port, b"get key%d\r\n" % number)
        bench.talk(port, b"\x80\x0b" + bytes(22))
        bench.talk(port, b"\x80\x20" + bytes(22))
        os.kill(int((bench.folder / "memcached.pid").read_text()), signal.SIGTERM)


def _refuse() -> None:
    raise OSError


def _udp(port: int) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(0.5)
        client.sendto(b"\0\x01\0\0\0\x01\0\0version\r\n", ("127.0.0.1", port))
        with contextlib.suppress(TimeoutError):
            client.recv(1400)
