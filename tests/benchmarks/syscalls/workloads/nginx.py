"""nginx: static files, TLS, gzip, cache, proxies over TCP and Unix sockets, resolver, reload, log rotation, upgrade."""

import contextlib
import os
import signal
import socket
import threading
from pathlib import Path

from bench import Bench, Server

CONFIGURATION = """
user www-data; worker_processes 2; pid {folder}/nginx.pid; error_log {folder}/error.log debug; daemon {daemon};
worker_rlimit_nofile 1000; working_directory {folder}; {extra}
events {{ worker_connections 256; multi_accept on; }}
http {{
  access_log {folder}/access.log combined buffer=1k flush=1s; open_file_cache max=10; sendfile on; tcp_nopush on;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fcgi;
  uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi; client_body_buffer_size 1k; client_header_timeout 1s;
  proxy_cache_path {folder}/cache levels=1:2 keys_zone=one:1m inactive=1s; limit_req_zone $uri zone=slow:1m rate=5r/s;
  resolver 127.0.0.1:{dns} valid=1s; resolver_timeout 1s;
  gzip on; gzip_types *; gzip_min_length 10;
  upstream many {{ server 127.0.0.1:{backend};
    server unix:{folder}/inner.sock backup;
    keepalive 2; }}
  server {{
    listen 127.0.0.1:{port}; listen [::1]:{port}; root {folder}/www; autoindex on; error_page 404 /missing.html;
    location /proxy/ {{ proxy_pass http://many/; proxy_http_version 1.1; proxy_cache one; }}
    location /inner/ {{ proxy_pass http://unix:{folder}/inner.sock:/; proxy_buffering off; }}
    location /dead/ {{ proxy_pass http://127.0.0.1:1/; }}
    location /named/ {{ set $host_ "backend.test"; proxy_pass http://$host_:{backend}/; }}
    location /fcgi/ {{ fastcgi_pass unix:{folder}/none.sock; }}
    location /aio/ {{ alias {folder}/www/; aio threads; directio 4k; output_buffers 1 64k; }}
    location /slow/ {{ alias {folder}/www/; limit_req zone=slow burst=1; limit_rate 200k; }}
    location /basic/ {{ alias {folder}/www/; auth_basic "x"; auth_basic_user_file {folder}/passwd; }}
  }}
  server {{ listen unix:{folder}/inner.sock; root {folder}/www; }}
  server {{ listen 127.0.0.1:{tls} ssl http2; ssl_certificate {folder}/cert.pem; ssl_certificate_key {folder}/key.pem;
           ssl_session_cache shared:s:1m; root {folder}/www; }}
}}
"""


def workload(bench: Bench) -> None:
    bench.certificate()
    bench.write("www/index.html", "<p>hello</p>" * 500)
    bench.write("www/big.bin", b"x" * 3_000_000)
    bench.write("passwd", "user:{PLAIN}secret\n")
    values = {"folder": bench.folder, "port": bench.port(), "tls": bench.port(), "backend": bench.backend()}
    with _dns() as dns:
        configuration = bench.write("nginx.conf", _configuration(bench, **values, dns=dns, daemon="off", extra=""))
        bench.run("-V")
        bench.run("-t", "-c", configuration)
        bench.run("-T", "-c", configuration)
        bench.run("-t", "-c", bench.write("bad.conf", "events { nonsense; }"))
        with bench.server("-c", configuration) as server:
            bench.ready(int(values["port"]))
            _load(bench, int(values["port"]), int(values["tls"]))
            _command(bench, server, "reload", signal.SIGHUP, configuration)
            _load(bench, int(values["port"]), int(values["tls"]))
            _command(bench, server, "reopen", signal.SIGUSR1, configuration)
            server.signal(signal.SIGUSR1)
            server.signal(signal.SIGWINCH)
            server.signal(signal.SIGHUP)
            if not bench.confined:  # a new binary beside the old one, which ends
                server.signal(signal.SIGUSR2, settle=1)
                bench.get(int(values["port"]))
                with contextlib.suppress(OSError, ValueError):
                    os.kill(int((bench.folder / "nginx.pid").read_text()), signal.SIGQUIT)
            _kill_worker()
            bench.get(int(values["port"]))
            server.signal(signal.SIGQUIT)
        extra = "master_process on; worker_priority 5; worker_cpu_affinity auto; thread_pool default threads=4;"
        daemon = "off" if bench.confined else "on"  # the sandbox ends with the program that was started in it
        configuration.write_text(_configuration(bench, **values, dns=dns, daemon=daemon, extra=extra))
        with bench.server("-c", configuration) as server:
            bench.ready(int(values["port"]))
            _load(bench, int(values["port"]), int(values["tls"]))
            _command(bench, server, "stop", signal.SIGTERM, configuration)


def _configuration(bench: Bench, **values: object) -> str:
    """Without unix sockets and a resolver (datagrams), where the program has neither."""
    lines = CONFIGURATION.format(**values).splitlines()
    return "\n".join(line for line in lines if not (bench.confined and ("unix:" in line or "resolver" in line)))


def _command(bench: Bench, server: Server, word: str, number: signal.Signals, configuration: Path) -> None:
    """What ``nginx -s`` does by the process id that is written down, which in a sandbox is nobody's outside."""
    if bench.confined:
        server.signal(number)
    else:
        bench.run("-s", word, "-c", configuration)


def _load(bench: Bench, port: int, tls: int) -> None:
    for path in (
        "/", "/big.bin", "/none", "/proxy/a", "/proxy/a", "/inner/", "/dead/", "/named/x", "/fcgi/", "/aio/big.bin",
        "/slow/big.bin", "/basic/index.html", "/%2e%2e/etc/passwd", "/big.bin?x",
    ):  # fmt: skip
        bench.get(port, path, Accept_Encoding="gzip")
    bench.get(port, "/big.bin", Range="bytes=10-20,100-200")
    bench.get(port, "/basic/index.html", Authorization="Basic dXNlcjpzZWNyZXQ=")
    bench.get(port, "/proxy/upload", method="POST", body=b"y" * 200_000)
    bench.get(port, "/", method="DELETE")
    bench.talk(port, b"GET / HT", b"broken\r\n\r\n")
    bench.other("curl", "-sk", "--http2", f"https://127.0.0.1:{tls}/big.bin", "-o", "/dev/null")
    bench.other("curl", "-sk", f"http://[::1]:{port}/", "-o", "/dev/null")


def _kill_worker() -> None:
    """End one of the workers, which its master replaces."""
    for line in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            if line.read_bytes().startswith(b"nginx: worker process\0"):
                os.kill(int(line.parent.name), signal.SIGKILL)
                return


@contextlib.contextmanager
def _dns():
    """A name server that answers every question with 127.0.0.1; its UDP port on loopback."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))

        def serve() -> None:
            with contextlib.suppress(OSError):
                while True:
                    query, client = server.recvfrom(512)
                    head = query[:2] + b"\x81\x80\0\x01\0\x01\0\0\0\0"
                    question = query[12 : query.index(b"\0", 12) + 5]
                    answer = b"\xc0\x0c\0\x01\0\x01\0\0\0\x05\0\x04\x7f\0\0\x01" if query[-4:-2] == b"\0\x01" else b""
                    server.sendto((head if answer else head[:6] + b"\0\0" + head[8:]) + question + answer, client)

        threading.Thread(target=serve, daemon=True).start()
        yield server.getsockname()[1]
