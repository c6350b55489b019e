"""What `/metrics` exports, and the Grafana dashboard that is made of it."""

import json
import re
import subprocess
import sys
from itertools import combinations
from typing import Any

import pytest
from balancing import Upstream, accepts, connected, post
from prometheus_client.parser import text_string_to_metric_families

from bandit_runner.balancer import Balancer, BalancerConfig, TierConfig

SELECTED = re.compile(r"([a-z_]+)\{([^}]*)\}")
MATCHER = re.compile(r'([a-z_]+)=~?"[^"]*"')
BY = re.compile(r"by \(([^)]*)\)")
TARGET_LABELS = {"job", "instance"}
"""Prometheus adds these itself to all that it scrapes."""


def dashboard() -> dict[str, Any]:
    """As a person gets it."""
    done = subprocess.run(
        [sys.executable, "-m", "bandit_runner", "balancer", "--grafana"], capture_output=True, check=True
    )
    return json.loads(done.stdout)


async def exported(*tiers: str) -> dict[str, set[str]]:
    """Every series that a balancer with one server in so many tiers exports: its name, and the labels it has."""
    async with Upstream(accepts) as up:
        config = BalancerConfig(
            tiers=tuple(TierConfig(name=name, upstreams=(up.address,), strategy="v4") for name in tiers)
        )
        balancer = Balancer(config)
        async with connected(await balancer.start("127.0.0.1", 0)) as wire:
            assert (await wire.ask(post(path=f"/{tiers[0]}"))).status == 200
            text = (await wire.ask(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")).body.decode()
        await balancer.close()
    found: dict[str, set[str]] = {}
    samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
    for sample in samples:
        found.setdefault(sample.name, set()).update(sample.labels)
    series = [(sample.name, tuple(sorted(sample.labels.items()))) for sample in samples]
    assert len(series) == len(set(series)), "Prometheus refuses a scrape with a series twice"
    return found


async def test_one_server_in_two_tiers_is_two_series():
    assert (await exported("T1", "T2"))["attempts_total"] == {"tier", "server", "outcome"}


@pytest.mark.each_user
async def test_the_dashboard_asks_for_what_is_exported():
    metrics = await exported("T1")
    document = dashboard()
    queries = [target["expr"] for panel in document["panels"] for target in panel["targets"]]
    queries += [
        re.sub(r"label_values\(([a-z_]+)(\{.*\})?, (\w+)\)", r'\1{\3=""}\2', variable["query"]["query"])
        for variable in document["templating"]["list"]
        if variable["type"] == "query"
    ]
    asked = set()
    for query in queries:
        selected = SELECTED.findall(query)
        assert selected, query
        for name, matchers in selected:
            asked.add(name)
            assert name in metrics, query
            labels = set(MATCHER.findall(matchers))
            assert labels <= metrics[name] | TARGET_LABELS, query
            for group in BY.findall(query):
                assert set(group.split(", ")) <= metrics[name] | TARGET_LABELS, query
    created = {name for name in metrics if name.endswith("_created")}
    assert asked == metrics.keys() - created, "each metric has its place on the dashboard"


@pytest.mark.each_user
def test_the_dashboard_can_be_imported():
    document = dashboard()
    names = {variable["name"] for variable in document["templating"]["list"]}
    used = set(re.findall(r"\$\{?(\w+)\}?", json.dumps(document["panels"])))
    assert used - {"__rate_interval"} == names, "variables are defined, and of use"
    panels = document["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    for panel in panels:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24
        assert panel["title"]
        assert panel["description"]
    for one, other in combinations((panel["gridPos"] for panel in panels), 2):
        apart_x = one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
        apart_y = one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"]
        assert apart_x or apart_y, "two panels in one place"
