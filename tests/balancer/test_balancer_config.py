"""What a balancer refuses to be told, and what it needs installed."""

import subprocess
import sys
import textwrap
from typing import Any

import msgspec
import pytest
from balancing import ID, Scripted, Upstream, accepts, balanced, connected, post
from hypothesis import given
from hypothesis import strategies as st

from bandit_runner.balancer import Balancer, BalancerConfig, Limits, TierConfig, Timeouts
from bandit_runner.balancer.config import host_port, validate
from bandit_runner.balancer.retry_after import LONGEST, retry_after_seconds
from bandit_runner.errors import UsageError
from bandit_runner.model import RequestRecord

T1 = TierConfig(name="T1", upstreams=(("127.0.0.1", 4000),))


def tier(**changes: Any):
    return BalancerConfig(tiers=(msgspec.structs.replace(T1, **changes),))


GOOD = {
    "plain": BalancerConfig(tiers=(T1,)),
    "host name": tier(upstreams=(("servers.example", 80),)),
    "IPv6": tier(upstreams=(("::1", 80),)),
}

BAD = {
    "no tier": BalancerConfig(tiers=()),
    "same name": BalancerConfig(tiers=(T1, T1)),
    "empty name": tier(name=""),
    "name with a slash": tier(name="a/b"),
    "name with a line end": tier(name="a\r\nb"),
    "name of a page": tier(name="metrics"),
    "no upstream": tier(upstreams=()),
    "port 0": tier(upstreams=(("127.0.0.1", 0),)),
    "port 65536": tier(upstreams=(("127.0.0.1", 65_536),)),
    "header in the host": tier(upstreams=(("a\r\nX: y", 80),)),
    "zone in the host": tier(upstreams=(("fe80::1%eth0", 80),)),
    "empty host": tier(upstreams=(("", 80),)),
    "one server twice": tier(upstreams=(("::1", 4000), ("127.0.0.1", 4000), ("::1", 4000))),
    "no time": BalancerConfig(tiers=(T1,), timeouts=Timeouts(attempt=0)),
    "endless": BalancerConfig(tiers=(T1,), timeouts=Timeouts(request=float("inf"))),
    "not a number": BalancerConfig(tiers=(T1,), timeouts=Timeouts(drain=float("nan"))),
    "no room": BalancerConfig(tiers=(T1,), limits=Limits(requests=0)),
    "no such strategy": tier(strategy="v99"),
    "no such option": tier(options={"colour": 1}),
}


@pytest.mark.parametrize("what", GOOD)
def test_a_valid_configuration_is_taken(what: str):
    validate(GOOD[what])


@pytest.mark.parametrize("what", BAD)
async def test_what_could_not_work_is_refused_before_anything_listens(what: str):
    with pytest.raises(UsageError) as caught:
        Balancer(BAD[what])
    assert caught.value.hint


def test_an_ipv6_address_is_written_in_brackets():
    assert [host_port(a) for a in (("127.0.0.1", 80), ("::1", 80))] == ["127.0.0.1:80", "[::1]:80"]


DATE = b"Sun, 06 Nov 1994 08:49:37 GMT"

RETRY_AFTER = {
    "seconds": (b"120", None, 120.0),
    "zero": (b"0", None, 0.0),
    "spaces": (b" 5 ", None, 5.0),
    "too long": (b"99999999999999999999", None, LONGEST),
    "negative": (b"-1", None, None),
    "fraction": (b"1.5", None, None),
    "infinity": (b"inf", None, None),
    "other digits": ("\u0661".encode(), None, None),
    "empty": (b"", None, None),
    "words": (b"soon", DATE, None),
    "date": (b"Sun, 06 Nov 1994 08:50:00 GMT", DATE, 23.0),
    "date of the past": (b"Sun, 06 Nov 1994 08:00:00 GMT", DATE, 0.0),
    "date far away": (b"Sun, 06 Nov 2094 08:00:00 GMT", DATE, LONGEST),
    "date without one to compare": (b"Sun, 06 Nov 1994 08:50:00 GMT", None, None),
    "date that is none": (b"Sun, 99 Nov 1994 08:50:00 GMT", DATE, None),
    "one with a zone, one without": (b"Sun, 06 Nov 1994 08:50:00 -0000", DATE, None),
    "bytes without end": (b"1" * 65, None, None),
}


@pytest.mark.parametrize("what", RETRY_AFTER)
def test_retry_after_is_read_as_seconds_or_as_a_date(what: str):
    value, date, expected = RETRY_AFTER[what]
    assert retry_after_seconds(value, date) == expected


@given(st.binary(max_size=80), st.one_of(st.none(), st.just(DATE), st.binary(max_size=80)))
def test_retry_after_of_anything(value: bytes, date: bytes | None):
    seconds = retry_after_seconds(value, date)
    assert seconds is None or 0.0 <= seconds <= LONGEST


async def test_strategy_that_fails_costs_its_id_only():
    strategy = Scripted([RuntimeError("a bug"), 7, 0])
    async with Upstream(accepts) as up, balanced(up, strategy=strategy) as world:
        statuses = []
        for _ in range(3):
            async with connected(world.address) as wire:
                statuses.append((await wire.ask(post())).status)
        assert statuses == [500, 500, 200]
        assert up.asked == [ID]
        assert world.balancer._in_flight == 0


async def test_observer_that_fails_costs_nothing():
    def observer(record: RequestRecord):
        raise RuntimeError(record.id)

    async with Upstream(accepts) as up:
        balancer = Balancer(
            BalancerConfig(tiers=(msgspec.structs.replace(T1, upstreams=(up.address,)),)), on_request=observer
        )
        address = await balancer.start("127.0.0.1", 0)
        async with connected(address) as wire:
            assert (await wire.ask(post())).status == 200
        await balancer.close()


@pytest.mark.each_user
@pytest.mark.parametrize(
    ("missing", "use"),
    [
        ("httptools", "from bandit_runner.balancer import Balancer"),
        ("prometheus_client", "from bandit_runner.balancer import Balancer"),
        ("httptools", "from bandit_runner.harness import play"),
    ],
)
def test_without_the_extra(missing: str, use: str):
    """Everything imports but what needs the packages; that says which extra has them."""
    program = f"""
        import sys
        sys.modules[{missing!r}] = None
        import bandit_runner.balancer, bandit_runner.harness
        from bandit_runner.errors import BanditError
        try:
            {use}
        except BanditError as error:
            print(error.hint)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout == "in the checkout: pip install '.[bandit]'\n"


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("localhost", "127.0.0.1"),
        ("LOCALHOST", "::1"),
        ("::1", "0:0:0:0:0:0:0:1"),
        ("::ffff:127.0.0.1", "127.0.0.1"),
        ("0.0.0.0", "127.0.0.1"),
        ("Host.example", "host.EXAMPLE"),
    ],
)
def test_one_server_by_two_names_is_one_arm(first: str, second: str):
    """Its rate limit would be learnt twice, by halves."""
    with pytest.raises(UsageError, match="named twice"):
        validate(BalancerConfig(tiers=(TierConfig(name="T1", upstreams=((first, 4000), (second, 4000))),)))
    validate(BalancerConfig(tiers=(TierConfig(name="T1", upstreams=((first, 4000), (second, 4001))),)))


def test_addresses_of_one_machine_may_be_many_servers():
    several = (("127.0.0.1", 4000), ("127.0.0.2", 4000), ("::1", 4000))
    validate(BalancerConfig(tiers=(TierConfig(name="T1", upstreams=several),)))
