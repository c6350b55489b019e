"""HAProxy: HTTP, TCP and TLS proxying, health checks, admin socket, UDP logs, seamless reload, master and workers."""

import signal
import time

from bench import Bench

CONFIGURATION = """
global
  log 127.0.0.1:{log} local0
  log stdout format raw local1
  stats socket {folder}/admin.sock mode 600 level admin expose-fd listeners
  user haproxy
  group haproxy
  {extra}
  nbthread 2
  maxconn 200
  server-state-file {folder}/state
defaults
  mode http
  log global
  option httplog
  timeout connect 1s
  timeout client 2s
  timeout server 2s
  option http-keep-alive
resolvers local
  nameserver one 127.0.0.1:{log}
  hold valid 1s
frontend web
  bind 127.0.0.1:{port}
  bind [::1]:{port}
  bind {folder}/web.sock
  bind 127.0.0.1:{tls} ssl crt {folder}/both.pem alpn h2,http/1.1
  compression algo gzip
  compression type text/html
  stats enable
  stats uri /stats
  use_backend dead if {{ path_beg /dead }}
  use_backend tls if {{ path_beg /tls }}
  default_backend servers
backend servers
  balance roundrobin
  cookie SRV insert
  option httpchk GET /
  server one 127.0.0.1:{backend} check inter 200ms
  server two 127.0.0.1:{backend} check inter 200ms
  server none 127.0.0.1:1 check inter 200ms backup
backend dead
  server none 127.0.0.1:1
backend tls
  server secure 127.0.0.1:{secure} ssl verify none
listen raw
  mode tcp
  bind 127.0.0.1:{raw}
  option tcp-check
  server one 127.0.0.1:{backend} check send-proxy-v2
"""

_OUTSIDE = ("log 127", "stats socket", "user haproxy", "group haproxy", "chroot", "nameserver", "web.sock")
"""Datagrams, unix sockets, and becoming another user: in a sandbox it is nobody already."""


def workload(bench: Bench) -> None:
    certificate, key = bench.certificate()
    bench.write("both.pem", certificate.read_bytes() + key.read_bytes())
    bench.folder.chmod(0o777)
    secure = bench.backend(ssl_files=(certificate, key))
    port = bench.port()
    values = {"folder": bench.folder, "port": port, "tls": bench.port(), "raw": bench.port(), "log": bench.port()}
    text = CONFIGURATION.format(**values, backend=bench.backend(), secure=secure, extra=f"chroot {bench.folder}")
    lines = [line for line in text.splitlines() if not (bench.confined and any(word in line for word in _OUTSIDE))]
    configuration = bench.write("haproxy.cfg", "\n".join(lines) + "\n")
    bench.run("-vv")
    bench.run("-c", "-f", configuration)
    bench.run("-c", "-f", bench.write("bad.cfg", "global\n nonsense\n"))
    with bench.server("-db", "-f", configuration) as server:
        bench.ready(port)
        _load(bench, port, int(values["tls"]), int(values["raw"]))
        server.signal(signal.SIGHUP)
        server.signal(signal.SIGQUIT)
        server.signal(signal.SIGUSR1)
    local = () if bench.confined else ("-S", f"{bench.folder}/master.sock")
    with bench.server("-W", *local, "-f", configuration) as server:
        bench.ready(port)
        _load(bench, port, int(values["tls"]), int(values["raw"]))
        server.signal(signal.SIGUSR2, settle=1)
        _load(bench, port, int(values["tls"]), int(values["raw"]))
        if not bench.confined:
            bench.talk(bench.folder / "master.sock", b"show proc\n")
            bench.talk(bench.folder / "master.sock", b"reload\n")
        server.signal(signal.SIGTERM)
    if bench.confined:
        return
    pid = bench.folder / "pid"
    with bench.server("-D", "-p", pid, "-f", configuration):
        bench.ready(port)
        bench.until(pid.read_bytes, "haproxy has not written its pid")  # whoever served before may still answer
        successor = ("-D", "-p", pid, "-f", configuration, "-x", bench.folder / "admin.sock")
        with bench.server(*successor, "-sf", pid.read_text().strip()):
            time.sleep(1)
            bench.get(port)
            bench.other("sh", "-c", f"kill -TERM $(cat {pid})")


def _load(bench: Bench, port: int, tls: int, raw: int) -> None:
    for path in ("/", "/a", "/dead/", "/tls/", "/stats", "/stats;csv", "/missing"):
        bench.get(port, path, Accept_Encoding="gzip")
    bench.get(port, "/up", method="POST", body=b"z" * 300_000)
    bench.get(raw)
    bench.talk(port, b"GET / HT", b"broken\r\n\r\n")
    bench.other("curl", "-sk", "--http2", f"https://127.0.0.1:{tls}/", "-o", "/dev/null")
    bench.other("curl", "-sk", f"http://[::1]:{port}/", "-o", "/dev/null")
    for command in () if bench.confined else (
        b"show info\n", b"show stat\n", b"show sess all\n", b"disable server servers/two\n", b"show servers state\n",
        b"set server servers/two addr 127.0.0.1 port 9\n", b"enable server servers/two\n", b"show fd\n",
        b"show threads\n", b"show activity\n", b"nonsense\n",
    ):  # fmt: skip
        bench.talk(bench.folder / "admin.sock", command)
