"""The committed examples are what the baselines lead to now."""

import json
import re
from pathlib import Path

import pytest
from render_examples import BASELINE, EXAMPLES, ROOT, examples

from binsafe.policy import read_policy

RENDERED = examples()


@pytest.mark.parametrize("path", RENDERED, ids=str)
def test_no_drift(path: Path):
    committed = (ROOT / path).read_text(encoding="utf-8")
    assert committed == RENDERED[path], "profiles/rendered has drifted: run tests/profiles/render_examples.py"


def test_nothing_else_is_committed_there():
    assert {path.relative_to(ROOT) for path in ROOT.rglob("*") if path.is_file()} == set(RENDERED)
    assert {path.parts[0] for path in RENDERED} == set(EXAMPLES)


def test_the_macos_example_opens_thirty_ports_and_no_way_out():
    text = (ROOT / "seatbelt" / f"{BASELINE}.sb").read_text(encoding="utf-8")
    ports = re.findall(r'\(local tcp "localhost:(\d+)"\)', text)
    assert len(ports) == len(set(ports)) == 30
    assert text.count("(deny default)") == 1
    assert "network-outbound" not in text
    assert "*:" not in text
    assert "; could, may not: connect out" in text


def test_the_linux_example_is_read_back():
    document = json.loads((ROOT / "linux" / f"{BASELINE}.json").read_text(encoding="utf-8"))
    policy = read_policy(json.dumps(document["policy"]), "rendered")
    assert len(policy.listen_ports()) == 30
    assert document["gaps"] == []
