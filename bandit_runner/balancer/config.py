"""What a balancer is told: tiers and their servers, strategies, scoring, and how much of anything it bears.

Durations are seconds, sizes are bytes. Nothing here is looked at by the network code before `validate` agreed to it.
"""

import ipaddress
import re
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from bandit_runner.errors import UsageError
from bandit_runner.model import MAX_PORT, Scoring

Address = tuple[str, int]
"""Host and TCP port."""

TIER_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
"""A tier's name is a path of ours (``POST /T1``) and a metric label, so it needs no escaping in either."""

HOST_NAME: Final = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_.-]{0,252}[A-Za-z0-9])?")
"""With ``_``, which no host name of the Internet has and services of container networks often do."""

RESERVED: Final = frozenset({"healthz", "metrics"})
_LOOPBACKS_BY_VERSION: Final = {4: "127.0.0.1", 6: "::1"}
_LOOPBACKS: Final = frozenset(_LOOPBACKS_BY_VERSION.values())


class TierConfig(msgspec.Struct, frozen=True, kw_only=True):
    """One tier: arm ``i`` of its strategy is ``upstreams[i]``."""

    name: str
    upstreams: tuple[Address, ...]
    strategy: str = "best"
    options: Mapping[str, Any] = {}
    """Keyword arguments for the strategy, as `bandit_runner.strategies.create` takes them."""


class Timeouts(msgspec.Struct, frozen=True, kw_only=True):
    """How long we wait for whom."""

    attempt: float = 2.0
    """One attempt, the connecting included; a server of the original answers in 1 ms."""
    request: float = 10.0
    """One id with all its attempts and waits: no client waits longer for its answer."""
    receive: float = 10.0
    """From the first byte of a request to its last; then 408. A new connection has as long to begin its first."""
    keep_alive: float = 75.0
    """A client's connection between requests."""
    upstream_idle: float = 30.0
    """A connection to a server that was idle for longer is not used again: something between us may have dropped it."""
    linger: float = 1.0
    """After a refusal that closes: how long we go on reading, so that the client gets our answer and not a reset."""
    drain: float = 5.0
    """`Balancer.close` lets requests in flight end for this long."""
    down: float = 1.0
    """A server that refuses connections is left out of ``available`` for this long."""


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """How much we bear."""

    connections: int = 512
    requests: int = 256
    """Ids in flight; one more is answered 503. Also the most connections to servers in use at one time."""
    idle_upstream: int = 512
    """Connections to servers that are kept for later, over all tiers."""
    head: int = 8_192
    """A request's target and headers; more is 431."""
    headers: int = 64
    body: int = 1_024
    """A request's body; more is 413. An id needs 24."""
    answer: int = 65_536
    """A server's whole answer, head and body: longer ones are errors."""


class BalancerConfig(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that a balancer is told. With one tier `POST /` is that tier's; with several, `POST /NAME`."""

    tiers: tuple[TierConfig, ...]
    scoring: Scoring = Scoring()
    timeouts: Timeouts = Timeouts()
    limits: Limits = Limits()
    seed: int = 0
    """For the strategies that the tiers name."""


def validate(config: BalancerConfig) -> None:
    """Raise UsageError for what could not work, before anything listens."""
    _require(bool(config.tiers), "no tier is configured", "name at least one upstream, as HOST:PORT")
    names = [tier.name for tier in config.tiers]
    _require(len(set(names)) == len(names), f"two tiers have one name: {names}", "give each tier a name of its own")
    for tier in config.tiers:
        fine = TIER_NAME.fullmatch(tier.name) and tier.name not in RESERVED
        _require(bool(fine), f"{tier.name!r} cannot name a tier", "use letters, digits, '.', '_' and '-'")
        _require(bool(tier.upstreams), f"{tier.name} has no upstream", "name at least one, as HOST:PORT")
        for number, address in enumerate(tier.upstreams):
            _require(is_address(address), f"{address!r} is no upstream", "a host (name or IP) and a port, 1 to 65535")
            for other in tier.upstreams[:number]:
                both = " as ".join(dict.fromkeys(map(host_port, (other, address))))
                _require(not _may_be_one(address, other), f"{both} is named twice", "name each server once: one arm")
    for group in (config.timeouts, config.limits):
        for name, value in msgspec.structs.asdict(group).items():
            what = f"{type(group).__name__.lower()}.{name}"
            _require(0 < value < float("inf"), f"{what} is {value}", "use a finite number above 0")


def host_port(address: Address) -> str:
    """``host:port`` as URLs and `X-Upstream` write it, an IPv6 address in brackets."""
    host, port = address
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _may_be_one(first: Address, second: Address) -> bool:
    """Whether two upstreams are one server under two names. Names that only DNS knows are not looked up."""
    return first[1] == second[1] and not _hosts(first[0]).isdisjoint(_hosts(second[0]))


def _hosts(host: str) -> frozenset[str]:
    """The ways in which a host is known, each written in one way; ``localhost`` is the loopback of either version."""
    if not _is_ip(host):
        name = host.lower()
        return _LOOPBACKS if name == "localhost" or name.endswith(".localhost") else frozenset({name})
    ip = ipaddress.ip_address(host)
    ip = getattr(ip, "ipv4_mapped", None) or ip
    return frozenset({_LOOPBACKS_BY_VERSION[ip.version] if ip.is_unspecified else str(ip)})


def is_address(address: Address) -> bool:
    """Whether it is a host and a port by which a server can be named."""
    host, port = address
    return 0 < port <= MAX_PORT and (HOST_NAME.fullmatch(host) is not None or _is_ip(host))


def _is_ip(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return "%" not in host


def _require(holds: bool, message: str, hint: str) -> None:
    if not holds:
        raise UsageError(message, hint=hint)
