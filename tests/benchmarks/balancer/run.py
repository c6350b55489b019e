"""CPU per request and added latency of our balancer, beside nginx, HAProxy and FastAPI with httpx, in one run.

    python tests/benchmarks/balancer/run.py [--rounds 3] [--seconds 3] [--strategy NAME]...

Every balancer stands before the same ten servers that always accept (nginx, `return 200`) and is asked by wrk,
all on loopback and ports that the kernel chose. The balancer has one core, servers and client the other; rounds are
interleaved, so that a busy machine is busy for all. Needs wrk and nginx (Debian: wrk, nginx-light, haproxy); a peer
that is not installed is left out and said. Everything started is ended by its own process id.
"""

import argparse
import asyncio
import contextlib
import os
import re
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

ID = "abcdefghijklmnopqrstuvw9"
SERVERS = 10
CONNECTIONS = 32
LATE_SECONDS = 10.0
BALANCER_CPU, OTHERS_CPU = ({0}, {1}) if (os.cpu_count() or 1) > 1 else ({0}, {0})
TICKS = os.sysconf("SC_CLK_TCK")

WRK_SCRIPT = f"""
wrk.method = "POST"
wrk.body = "{ID}"
done = function(summary, latency, requests)
  io.write(string.format("RESULT %d %d %.1f %d\\n", summary.requests, summary.duration, latency:percentile(50),
    summary.errors.status + summary.errors.connect + summary.errors.read + summary.errors.write
    + summary.errors.timeout))
end
"""

FASTAPI = """
import itertools, sys
import httpx, uvicorn
from fastapi import FastAPI, Request, Response
app = FastAPI()
ports = itertools.cycle(map(int, sys.argv[2:]))
client = httpx.AsyncClient()
@app.post("/")
async def forward(request: Request) -> Response:
    body = await request.body()
    for _ in range(3):
        answer = await client.post(f"http://127.0.0.1:{next(ports)}/", content=body)
        if answer.status_code == 200:
            return Response('{"status":"ok"}', media_type="application/json")
    return Response('{"status":"error"}', status_code=502)
uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), log_level="error", access_log=False)
"""


class Load(NamedTuple):
    """What wrk saw; ``cpu_us`` is the balancer's own, all its processes, per request."""

    requests: int
    rps: float
    p50_us: float
    errors: int
    cpu_us: float


def free_ports(count: int) -> list[int]:
    """Ports that nobody holds now."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)]
        return [each.getsockname()[1] for each in sockets]


@contextlib.contextmanager
def running(command: list[str], port: int, cpus: set[int]) -> Iterator[int]:
    """A program on its cores until the block ends; yields its process id once the port answers."""
    process = subprocess.Popen(pinned(command, cpus), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    try:
        deadline = time.monotonic() + LATE_SECONDS
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                break
            if process.poll() is not None or time.monotonic() > deadline:
                process.kill()
                raise SystemExit(f"{command[0]} did not start: {process.communicate()[1].decode()[-500:]}")
            time.sleep(0.02)
        yield process.pid
    finally:
        process.terminate()
        try:
            process.communicate(timeout=5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()


def pinned(command: list[str], cpus: set[int]) -> list[str]:
    """The command on these cores only."""
    return ["taskset", "--cpu-list", ",".join(map(str, cpus)), *command]


def nginx_servers(folder: Path, ports: list[int]) -> list[str]:
    """Ten servers that accept everything."""
    listen = "".join(f"server {{ listen 127.0.0.1:{port}; location / {{ return 200 'ok'; }} }}\n" for port in ports)
    return nginx(folder, "servers", listen)


def nginx(folder: Path, name: str, http: str) -> list[str]:
    """A command that runs nginx with one worker in the foreground, everything below ``folder``."""
    config = folder / f"{name}.conf"
    config.write_text(
        f"daemon off; worker_processes 1; pid {folder}/{name}.pid; error_log stderr crit;\n"
        "events { worker_connections 1024; }\n"
        f"http {{ access_log off; keepalive_requests 10000000; client_body_temp_path {folder}/{name}-b;"
        f" proxy_temp_path {folder}/{name}-p; fastcgi_temp_path {folder}/{name}-f; uwsgi_temp_path {folder}/{name}-u;"
        f" scgi_temp_path {folder}/{name}-s;\n{http}}}\n"
    )
    return [_path("nginx"), "-p", str(folder), "-c", str(config)]


def nginx_balancer(folder: Path, port: int, servers: list[int]) -> list[str]:
    """nginx as balancer: kept-alive connections, next server on errors."""
    upstream = "".join(f"server 127.0.0.1:{each} max_fails=1 fail_timeout=10s;" for each in servers)
    return nginx(
        folder,
        "balancer",
        f"upstream all {{ {upstream} keepalive 64; keepalive_requests 10000000; }}\n"
        f"server {{ listen 127.0.0.1:{port}; location / {{ proxy_pass http://all; proxy_http_version 1.1;"
        ' proxy_set_header Connection ""; proxy_next_upstream error timeout http_500 http_503 http_429 non_idempotent;'
        " proxy_next_upstream_tries 3; } }\n",
    )


def haproxy(folder: Path, port: int, servers: list[int]) -> list[str]:
    """HAProxy with one thread."""
    config = folder / "haproxy.cfg"
    lines = "".join(f"  server s{each} 127.0.0.1:{each} maxconn 64\n" for each in servers)
    config.write_text(
        "global\n  nbthread 1\n  maxconn 2000\ndefaults\n  mode http\n  timeout connect 1s\n  timeout client 30s\n"
        f"  timeout server 30s\n  http-reuse always\nfrontend f\n  bind 127.0.0.1:{port}\n  default_backend b\n"
        f"backend b\n  balance roundrobin\n{lines}"
    )
    return [_path("haproxy"), "-db", "-f", str(config)]


def ours(port: int, servers: list[int], strategy: str) -> list[str]:
    """Our balancer, as a person starts it."""
    upstreams = [word for each in servers for word in ("--upstream", f"127.0.0.1:{each}")]
    return [sys.executable, "-m", "bandit_runner", "balancer", "--port", str(port), "--strategy", strategy, *upstreams]


def load(port: int, pid: int | None, folder: Path, *, connections: int, seconds: float) -> Load:
    """One burst of wrk."""
    before = _cpu(pid) if pid else 0.0
    command = [_path("wrk"), "-t1", f"-c{connections}", f"-d{max(1, round(seconds))}s", "-s", str(folder / "post.lua")]
    done = subprocess.run(
        pinned([*command, f"http://127.0.0.1:{port}/"], OTHERS_CPU),
        capture_output=True,
        text=True,
        check=True,
        timeout=seconds + 20,
    )
    spent = (_cpu(pid) if pid else 0.0) - before
    found = re.search(r"RESULT (\d+) (\d+) ([\d.]+) (\d+)", done.stdout)
    assert found is not None, done.stdout
    requests, micros = int(found[1]), int(found[2])
    return Load(requests, requests / micros * 1e6, float(found[3]), int(found[4]), spent / max(1, requests) * 1e6)


def whole(requests: int) -> str:
    """Ten thousand ids through our balancer in this process: the client's account against the balancer's."""
    from bandit_runner import harness
    from bandit_runner.balancer import Balancer, BalancerConfig, TierConfig
    from bandit_runner.model import BalancedRequest

    async def play(servers: list[int]) -> str:
        records: list[BalancedRequest] = []
        tier = TierConfig(name="T1", upstreams=tuple(("127.0.0.1", port) for port in servers), strategy="v6-fixed")
        balancer = Balancer(BalancerConfig(tiers=(tier,)), on_request=records.append)
        address = await balancer.start("127.0.0.1", 0)
        samples = await harness.play(address, None, requests=requests, rps=1500, seed=1)
        await balancer.close()
        wrong = harness.cross_check(samples, records)
        return f"{len(samples):,} ids, {len(wrong)} lost, doubled or told two ways"

    with tempfile.TemporaryDirectory() as name:
        ports = free_ports(SERVERS)
        with running(nginx_servers(Path(name), ports), ports[-1], OTHERS_CPU):
            return asyncio.run(play(ports))


def main() -> None:
    """Measure and print."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--seconds", type=float, default=3)
    options.add_argument("--strategy", action="append", help="of ours; repeatable")
    options.add_argument("--requests", type=int, default=10_000, help="of the check that none is lost")
    chosen = options.parse_args()
    strategies = chosen.strategy or ["round-robin", "v6-fixed", "best"]
    peers: dict[str, Callable[[Path, int, list[int]], list[str]]] = {
        f"ours, {name}": (lambda _, port, servers, name=name: ours(port, servers, name)) for name in strategies
    }
    peers["nginx"] = nginx_balancer
    if shutil.which("haproxy", path=_search()):
        peers["haproxy"] = haproxy
    else:
        print("haproxy is not installed: left out", file=sys.stderr)
    peers["FastAPI + httpx"] = lambda _, port, servers: [sys.executable, "-c", FASTAPI, str(port), *map(str, servers)]
    with tempfile.TemporaryDirectory() as name, contextlib.ExitStack() as stack:
        folder = Path(name)
        (folder / "post.lua").write_text(WRK_SCRIPT)
        servers = free_ports(SERVERS)
        stack.enter_context(running(nginx_servers(folder, servers), servers[-1], OTHERS_CPU))
        started = {}
        for peer, port in zip(peers, free_ports(len(peers)), strict=True):
            command = peers[peer](folder, port, servers)
            started[peer] = (port, stack.enter_context(running(command, port, BALANCER_CPU)))
        report(*measured(started, servers[0], folder, chosen.rounds, chosen.seconds))
    print(whole(chosen.requests))


Loads = dict[str, list[tuple[Load, Load]]]


def measured(
    started: dict[str, tuple[int, int]], direct: int, folder: Path, rounds: int, seconds: float
) -> tuple[list[float], Loads]:
    """(p50 without a balancer per round, loads with one and with many connections per peer)."""
    bare: list[float] = []
    loads: Loads = {peer: [] for peer in started}
    for peer, (port, _) in started.items():  # connections and caches warm
        load(port, None, folder, connections=CONNECTIONS, seconds=0.5)
        del peer
    for _ in range(rounds):
        bare.append(load(direct, None, folder, connections=1, seconds=seconds / 2).p50_us)
        for peer, (port, pid) in started.items():
            alone = load(port, pid, folder, connections=1, seconds=seconds / 2)
            loads[peer].append((alone, load(port, pid, folder, connections=CONNECTIONS, seconds=seconds)))
    return bare, loads


def report(bare: list[float], loads: Loads) -> None:
    """The table; ratios are medians of the rounds' own ratios."""
    base = [many.cpu_us for _, many in loads["nginx"]]
    print(f"p50 without a balancer: {statistics.median(bare):.0f} us")
    print(f"{'balancer':22}{'CPU us/request':>16}{'x nginx':>9}{'requests/s':>12}{'added p50 us':>14}{'errors':>8}")
    for peer, found in loads.items():
        cpu = statistics.median(many.cpu_us for _, many in found)
        ratio = statistics.median(many.cpu_us / least for (_, many), least in zip(found, base, strict=True))
        added = statistics.median(alone.p50_us - least for (alone, _), least in zip(found, bare, strict=True))
        rps = statistics.median(many.rps for _, many in found)
        errors = sum(alone.errors + many.errors for alone, many in found)
        print(f"{peer:22}{cpu:16.1f}{ratio:9.2f}{rps:12,.0f}{added:14.0f}{errors:8}")


def _cpu(pid: int) -> float:
    """Seconds of processor time of a process and its children that live."""
    total = 0.0
    waiting = [pid]
    while waiting:
        each = waiting.pop()
        with contextlib.suppress(OSError):
            fields = Path(f"/proc/{each}/stat").read_text().rpartition(")")[2].split()
            total += (int(fields[11]) + int(fields[12])) / TICKS
            waiting += map(int, Path(f"/proc/{each}/task/{each}/children").read_text().split())
    return total


def _path(name: str) -> str:
    found = shutil.which(name, path=_search())
    if found is None:
        raise SystemExit(f"{name} is not installed: apt-get install wrk nginx-light haproxy")
    return found


def _search() -> str:
    return os.environ.get("PATH", "") + ":/usr/sbin:/sbin"


if __name__ == "__main__":
    main()
