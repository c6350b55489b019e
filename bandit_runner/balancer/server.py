"""The balancer: clients on one side, servers on the other, a strategy per tier between them."""

import asyncio
import errno
import logging
import time
from collections.abc import Callable, Mapping
from functools import cached_property, partial

from bandit_runner.balancer import messages
from bandit_runner.balancer.config import Address, BalancerConfig, Limits, Timeouts, host_port, validate
from bandit_runner.balancer.core import Rules, play
from bandit_runner.balancer.driver import Drive, Tier
from bandit_runner.balancer.front import Client
from bandit_runner.balancer.messages import Answer
from bandit_runner.balancer.metrics import CONTENT_TYPE, Metrics
from bandit_runner.balancer.requests import Request
from bandit_runner.balancer.upstream import Pool
from bandit_runner.errors import PortTaken, UsageError
from bandit_runner.model import BalancedRequest
from bandit_runner.strategies import Strategy, create

log = logging.getLogger(__name__)


class Balancer:
    """Answers ``POST`` with what the servers of a tier make of an id; see the package for the paths and statuses.

    Args:
        config: tiers, scoring, timeouts, limits.
        on_request: called with each finished id, before its client is answered, on the event loop: it must not block.

    Raises:
        UsageError: the configuration cannot work.
    """

    def __init__(
        self,
        config: BalancerConfig,
        *,
        on_request: Callable[[BalancedRequest], None] | None = None,
    ) -> None:
        validate(config)
        self._config = config
        self._on_request = on_request
        self._rules = Rules(
            scoring=config.scoring,
            attempt_timeout=config.timeouts.attempt,
            deadline=config.timeouts.request,
        )
        self._tiers = {
            tier.name: Tier(
                tier,
                create(
                    tier.strategy, arms=len(tier.upstreams), seed=config.seed, scoring=config.scoring, **tier.options
                ),
                down_seconds=config.timeouts.down,
                clock=time.monotonic,
            )
            for tier in config.tiers
        }
        self._routes = {f"/{name}".encode("ascii"): tier for name, tier in self._tiers.items()}
        if len(self._tiers) == 1:
            self._routes[b"/"] = next(iter(self._tiers.values()))
        self._choose_tier = messages.refusal(404, "choose a tier", tiers=[f"/{name}" for name in self._tiers])
        servers = {name: [endpoint.name for endpoint in tier.endpoints] for name, tier in self._tiers.items()}
        self._metrics = Metrics(servers, config.scoring, lambda: self._in_flight)
        self._in_flight = 0
        self._clients: set[Client] = set()
        self.draining = False
        """`close` was called: every answer is the last of its connection."""
        self._all_gone = asyncio.Event()
        self._server: asyncio.Server | None = None

    async def start(self, host: str, port: int) -> Address:
        """Listen; the address comes back, with the port that the kernel chose if 0 was asked for.

        Raises:
            PortTaken: another program listens there.
            UsageError: there is no such address here, or it may not be listened on.
        """
        loop = asyncio.get_running_loop()
        backlog = self._config.limits.connections
        try:
            self._server = await loop.create_server(lambda: Client(self, loop), host, port, backlog=backlog)
        except OSError as error:
            where = host_port((host, port))
            if error.errno == errno.EADDRINUSE:
                hint = "stop what listens there, or choose another port; 0 lets the system choose"
                raise PortTaken(f"{where} is taken", hint=hint, port=port) from error
            raise UsageError(
                f"cannot listen on {where}: {error.strerror}",
                hint="try 127.0.0.1 and a port from 1024 on; 0 lets the system choose",
            ) from error
        bound_host, bound_port, *_ = self._server.sockets[0].getsockname()
        return bound_host, bound_port

    @property
    def strategies(self) -> Mapping[str, Strategy]:
        """Which strategy chooses for each tier now."""
        return {name: tier.strategy for name, tier in self._tiers.items()}

    def use(self, tier: str, strategy: Strategy) -> None:
        """Let another strategy choose for ``tier`` from the next id on; ids in flight end with the one they have.

        Raises:
            UsageError: there is no such tier.
        """
        if tier not in self._tiers:
            raise UsageError(f"there is no tier {tier!r}", hint=f"there are {', '.join(self._tiers)}")
        self._tiers[tier].strategy = strategy

    async def close(self) -> None:
        """Take no more connections, answer what is under way for up to ``timeouts.drain`` seconds, drop the rest."""
        if self._server is None:
            return
        server, self._server = self._server, None
        self.draining = True
        server.close()
        for client in tuple(self._clients):
            client.drain()
        try:
            async with asyncio.timeout(self._config.timeouts.drain):
                if self._clients:
                    await self._all_gone.wait()
        except TimeoutError:
            log.warning("%d connections did not end in time and were dropped", len(self._clients))
        for client in tuple(self._clients):
            client.abort()
        await self._pool.close()
        await server.wait_closed()

    # front.Service

    @property
    def limits(self) -> Limits:
        """What clients may send."""
        return self._config.limits

    @property
    def timeouts(self) -> Timeouts:
        """How long clients may take."""
        return self._config.timeouts

    def connected(self, client: Client) -> bool:
        """Room is for ``limits.connections``; as many again are told so, and those after them are dropped."""
        self._clients.add(client)
        if len(self._clients) > 2 * self._config.limits.connections:
            client.abort()
        return len(self._clients) <= self._config.limits.connections

    def disconnected(self, client: Client) -> None:
        """The last one to leave lets `close` go on."""
        self._clients.discard(client)
        if self.draining and not self._clients:
            self._all_gone.set()

    def serve(self, request: Request, client: Client) -> None:
        """Route one request."""
        tier = self._routes.get(request.target)
        if tier is None:  # hardly ever: look closer
            path = _path(request.target)
            tier = self._routes.get(path)
        if tier is not None:
            self._post(request, tier, client)
        elif path == b"/healthz":
            client.answer(self._own(request, messages.SATURATED if self.draining else messages.HEALTHY))
        elif path == b"/metrics":
            client.answer(self._own(request, Answer(200, self._metrics.text(), content_type=CONTENT_TYPE)))
        else:
            client.answer(self._choose_tier if path == b"/" else messages.NOT_FOUND)

    def _own(self, request: Request, answer: Answer) -> Answer:
        return answer if request.method in {b"GET", b"HEAD"} else messages.not_allowed("GET, HEAD")

    def _post(self, request: Request, tier: Tier, client: Client) -> None:
        if request.method != b"POST":
            client.answer(messages.not_allowed("POST"))
        elif not request.framed:
            client.answer(messages.LENGTH_REQUIRED)
        elif (id_ := messages.read_id(request.body)) is None:
            client.answer(messages.BAD_ID)
        elif self._in_flight >= self._config.limits.requests:
            client.answer(messages.SATURATED)
        else:
            self._in_flight += 1
            steps = play(
                id_,
                tier=tier.name,
                strategy=tier.strategy,
                rules=self._rules,
                arms=tier.arms,
                wanted=client.waits,
                clock=time.monotonic,
            )
            finished = partial(self._finished, tier, client)
            Drive(steps, id_.encode("ascii"), tier, self._pool, finished).advance()

    @cached_property
    def _pool(self) -> Pool:
        """The connections to servers; made for the first id, for it belongs to the loop that runs then."""
        return Pool(
            answer_bytes=self._config.limits.answer,
            max_idle=self._config.limits.idle_upstream,
            idle_seconds=self._config.timeouts.upstream_idle,
        )

    def _finished(self, tier: Tier, client: Client, record: BalancedRequest, broken: bool) -> None:
        self._in_flight -= 1
        self._metrics.count(record)
        if self._on_request is not None:
            try:
                self._on_request(record)
            except Exception:  # what watches is not what is watched
                log.exception("the observer of requests failed")
        if broken:
            client.answer(messages.FAULTY)
            return
        upstream = tier.endpoints[record.trials[-1].arm].name if record.trials else ""
        client.answer(messages.played(record.accepted, record.attempts, upstream))


def _path(target: bytes) -> bytes:
    """The path of a request target, without query; absolute form is to be understood too (RFC 9112, section 3.2.2)."""
    path = target.partition(b"?")[0]  # first, for a query may hold anything, "://" and "/" too
    if not path.startswith(b"/"):
        _, scheme, rest = path.partition(b"://")
        path = b"/" + rest.partition(b"/")[2] if scheme else path
    return path
