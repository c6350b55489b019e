"""A load balancer whose choices are a bandit strategy's: request -> select -> forward -> outcome -> update.

    config.py       tiers, timeouts, limits: what a balancer is told
    server.py       Balancer: listens, routes, drains
    front.py        one client's connection: order, back-pressure, timeouts
    requests.py     its bytes -> requests, strictly
    repeats.py      messages whose head was seen before are not parsed again
    messages.py     the ids that come in, the answers that go out
    core.py         what happens to one id, without sockets
    driver.py       the same with real servers
    upstream.py     one attempt: over which of the connections that are kept alive
    connection.py   one connection: answers read as hostile input
    retry_after.py  one header of them
    metrics.py      /metrics                        tracing.py  OpenTelemetry spans
    state.py        what was learnt, in a file
    watchdog.py     a cheap timer                   _httptools.py  the one door to the parser of HTTP

It speaks HTTP/1.1. ``POST /NAME`` (with one tier also ``POST /``) takes an id of 24 ASCII letters and digits, raw or as
``{"id": "..."}``, and answers 200 or 502 with `X-Attempts` and `X-Upstream`. What is wrong with a request is told by
400, 404, 405, 408, 411, 413, 431, 503 and 505. ``GET /healthz`` and ``GET /metrics`` are the balancer's own.

    balancer = Balancer(BalancerConfig(tiers=(TierConfig(name="T1", upstreams=(("127.0.0.1", 4000),)),)))
    host, port = await balancer.start("127.0.0.1", 0)
    ...
    await balancer.close()

The configuration can be had without the extra ``bandit``; the first use of `Balancer` without it raises MissingExtra.
"""

from typing import TYPE_CHECKING

from bandit_runner.balancer.config import BalancerConfig, Limits, TierConfig, Timeouts
from binsafe.lazy import lazily

if TYPE_CHECKING:
    from bandit_runner.balancer.server import Balancer

__all__ = ["Balancer", "BalancerConfig", "Limits", "TierConfig", "Timeouts"]

__getattr__ = lazily(__name__, {"Balancer": "server"})
"""What needs the extra is loaded when it is asked for."""
