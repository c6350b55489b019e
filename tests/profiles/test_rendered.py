"""The committed examples are what the baselines lead to now."""

import json
import re
from pathlib import Path

import pytest
from render_examples import EXAMPLES, ROOT, examples

from binsafe.checks import check_text, kind_of
from binsafe.policy import read_policy

RENDERED = examples()


@pytest.mark.parametrize("path", RENDERED, ids=str)
def test_no_drift(path: Path):
    committed = (ROOT / path).read_text(encoding="utf-8")
    assert committed == RENDERED[path], "profiles/rendered has drifted: run tests/profiles/render_examples.py"


def test_nothing_else_is_committed_there():
    assert {path.relative_to(ROOT) for path in ROOT.rglob("*") if path.is_file()} == set(RENDERED)
    assert len(RENDERED) == len(EXAMPLES)


def test_the_macos_example_opens_thirty_ports_and_no_way_out():
    text = (ROOT / "seatbelt" / "flaky_servers.sb").read_text(encoding="utf-8")
    ports = re.findall(r'\(local tcp "localhost:(\d+)"\)', text)
    assert len(ports) == len(set(ports)) == 30
    assert text.count("(deny default)") == 1
    assert "network-outbound" not in text
    assert "*:" not in text
    assert "; could, may not: connect out" in text


CHECKED = [path for path in RENDERED if path.parts[0] in {"seatbelt", "linux", "seccomp", "policy"}]


@pytest.mark.parametrize("path", CHECKED, ids=str)
def test_our_own_checker_has_nothing_to_say(path: Path):
    text = RENDERED[path]
    findings = check_text(text, kind_of(text, path.name))
    assert [each for each in findings if each.level != "note" or path.suffix == ".sb"] == []


def test_the_linux_example_is_read_back():
    document = json.loads((ROOT / "linux" / "flaky_servers.json").read_text(encoding="utf-8"))
    policy = read_policy(json.dumps(document["policy"]), "rendered")
    assert len(policy.listen_ports()) == 30
    assert document["gaps"] == []
