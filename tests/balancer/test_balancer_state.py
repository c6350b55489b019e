"""What a restart keeps, and what spans tell of an id."""

import json
from pathlib import Path

import pytest
from balancing import ID, Upstream, accepts, balanced, refuses
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from bandit_runner.balancer import Balancer, BalancerConfig, TierConfig
from bandit_runner.balancer.state import load, save
from bandit_runner.balancer.tracing import Tracing
from bandit_runner.errors import StateMismatch, UsageError
from bandit_runner.model import Attempt, BalancedRequest, Outcome
from bandit_runner.strategies import Strategy


def balancer(strategy: str = "v4", arms: int = 3) -> Balancer:
    upstreams = tuple(("127.0.0.1", 4000 + arm) for arm in range(arms))
    return Balancer(BalancerConfig(tiers=(TierConfig(name="T1", upstreams=upstreams, strategy=strategy),)))


def teach(strategy: Strategy) -> list:
    chosen = []
    for n in range(50):
        arm = strategy.select(now=n / 10, attempt=0, tried=(), available=range(3))
        chosen.append(arm)
        outcome = Outcome.OK if arm == 1 else Outcome.ERROR
        strategy.update(arm=arm, outcome=outcome, now=n / 10, attempt=0, latency=0.001)
    return chosen


def test_a_restarted_balancer_chooses_as_the_old_one_would_have(tmp_path: Path):
    path = tmp_path / "state.json"
    old, new = balancer(), balancer()
    teach(old.strategies["T1"])
    assert not load(new, path)
    save(old, path)
    assert load(new, path)
    assert teach(old.strategies["T1"]) == teach(new.strategies["T1"])
    assert [each.name for each in tmp_path.iterdir()] == ["state.json"]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{}",
        b'{"schema":"binsafe.strategies/1","tiers":{}}',
        b'{"schema":"binsafe.strategies/2","tiers":{"T1":{}}}',
    ],
)
def test_a_state_that_does_not_fit_is_refused_and_nothing_changes(tmp_path: Path, content: bytes):
    path = tmp_path / "state.json"
    path.write_bytes(content)
    one = balancer()
    before = one.strategies["T1"].snapshot()
    with pytest.raises(StateMismatch) as caught:
        load(one, path)
    assert caught.value.hint
    assert one.strategies["T1"].snapshot() == before


def test_another_strategys_state_is_refused(tmp_path: Path):
    path = tmp_path / "state.json"
    save(balancer("v2"), path)
    with pytest.raises(StateMismatch):
        load(balancer("v4"), path)
    with pytest.raises(StateMismatch):
        load(balancer("v2", arms=4), path)


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path):
    with pytest.raises(UsageError, match="nowhere"):
        save(balancer(), tmp_path / "nowhere" / "state.json")


def test_spans_tell_each_attempt():
    exporter = InMemorySpanExporter()
    config = BalancerConfig(tiers=(TierConfig(name="T1", upstreams=(("127.0.0.1", 4000), ("127.0.0.1", 4001))),))
    tracing = Tracing(config, exporter=exporter)
    trials = tuple(
        Attempt(id=ID, number=n, arm=n, outcome=outcome, started=10 + n, latency=0.25)
        for n, outcome in enumerate([Outcome.RATE_LIMITED, Outcome.OK])
    )
    tracing.observe(
        BalancedRequest(
            id=ID,
            accepted=True,
            attempts=2,
            latency=1.25,
            outcomes=(Outcome.RATE_LIMITED, Outcome.OK),
            tier="T1",
            strategy="v4",
            trials=trials,
        )
    )
    tracing.close()
    first, second, whole = exporter.get_finished_spans()
    assert whole.attributes["bandit.attempts"] == 2
    assert first.parent.span_id == second.parent.span_id == whole.context.span_id
    assert [span.attributes["http.request.resend_count"] for span in (first, second)] == [0, 1]
    assert [span.attributes["server.port"] for span in (first, second)] == [4000, 4001]
    assert second.end_time - first.start_time == pytest.approx(1.25e9, rel=1e-6)
    assert not first.status.is_ok
    assert json.loads(whole.to_json())["name"] == "POST /T1"


async def test_the_harness_learns_the_attempts_from_the_answer():
    from bandit_runner import harness
    from bandit_runner.model import Scoring

    async with Upstream(refuses, refuses, accepts) as upstream, balanced(upstream, strategy="v1") as running:
        samples = await harness.play(running.address, None, requests=1, rps=100, seed=1)
    row = harness.row_of_samples(samples, strategy="-", tier="-", scoring=Scoring())
    assert samples[0].attempts == 3
    assert (row.accepted, row.accepted_within_3, row.rate_limited) == (1, 1, "unknown")
