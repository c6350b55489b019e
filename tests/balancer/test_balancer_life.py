"""A balancer begins to listen, and ends: what is under way is answered, and what is not is closed."""

import asyncio

import msgspec
import pytest
from balancing import FAST, ID, LONGEST, Upstream, accepts, balanced, connected, eventually, hangs, post, response

from bandit_runner.balancer import Balancer, BalancerConfig, TierConfig
from bandit_runner.errors import PortTaken, UsageError


async def test_closing_lets_requests_in_flight_end():
    async def accepts_slowly(writer: asyncio.StreamWriter):
        await asyncio.sleep(0.2)
        writer.write(response())

    async with Upstream(accepts_slowly) as up, balanced(up) as world:
        async with connected(world.address) as busy, connected(world.address) as idle:
            busy.send(post())
            await eventually(lambda: up.asked == [ID])
            closing = asyncio.create_task(world.balancer.close())
            assert await idle.is_closed()
            answer = await busy.response()
            assert (answer.status, answer.headers["connection"]) == (200, "close")
            assert await busy.is_closed()
            await closing
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection(*world.address)


async def test_drain_has_an_end():
    timeouts = msgspec.structs.replace(FAST, attempt=30.0, request=30.0, drain=0.2)
    async with Upstream(hangs) as up, balanced(up, timeouts=timeouts) as world, connected(world.address) as wire:
        wire.send(post())
        await eventually(lambda: up.asked == [ID])
        async with asyncio.timeout(LONGEST):
            await world.balancer.close()
        assert await wire.is_closed()


async def test_close_twice_and_without_start():
    config = BalancerConfig(tiers=(TierConfig(name="T1", upstreams=(("127.0.0.1", 9),)),))
    balancer = Balancer(config)
    await balancer.close()
    await balancer.start("127.0.0.1", 0)
    await balancer.close()
    await balancer.close()


async def test_a_port_that_is_taken_is_named():
    async with Upstream(accepts) as up:
        balancer = Balancer(BalancerConfig(tiers=(TierConfig(name="T1", upstreams=(up.address,)),)))
        with pytest.raises(PortTaken, match="is taken") as caught:
            await balancer.start(*up.address)
        assert caught.value.port == up.address[1]


async def test_address_of_somebody_else():
    balancer = Balancer(BalancerConfig(tiers=(TierConfig(name="T1", upstreams=(("127.0.0.1", 9),)),)))
    with pytest.raises(UsageError, match="cannot listen"):
        await balancer.start("192.0.2.1", 0)
