"""The committed examples are what the baselines lead to now."""

import json
import re
from pathlib import Path

import pytest
from render_examples import EXAMPLES, ROOT, example

from binsafe.checks import check_text, kind_of
from binsafe.policy import read_policy


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_committed_profiles_are_what_the_renderers_write(name: str):
    committed = (ROOT / name).read_text(encoding="utf-8")
    assert committed == example(name), "profiles/rendered has drifted: run tests/profiles/render_examples.py"


def test_nothing_else_is_committed_there():
    assert {str(path.relative_to(ROOT)) for path in ROOT.rglob("*") if path.is_file()} == set(EXAMPLES)


def test_the_macos_example_opens_thirty_ports_and_no_way_out():
    text = (ROOT / "seatbelt" / "flaky_servers.sb").read_text(encoding="utf-8")
    ports = re.findall(r'\(local tcp "localhost:(\d+)"\)', text)
    assert len(ports) == len(set(ports)) == 30
    assert text.count("(deny default)") == 1
    assert "network-outbound" not in text
    assert "*:" not in text
    assert "; could, may not: connect out" in text


CHECKED = [name for name in EXAMPLES if Path(name).parent.name in {"seatbelt", "linux", "seccomp", "policy"}]


@pytest.mark.parametrize("name", CHECKED)
def test_our_own_checker_has_nothing_to_say(name: str):
    text = example(name)
    findings = check_text(text, kind_of(text, Path(name).name))
    assert [each for each in findings if each.level != "note" or name.endswith(".sb")] == []


def test_the_linux_example_is_read_back():
    document = json.loads((ROOT / "linux" / "flaky_servers.json").read_text(encoding="utf-8"))
    policy = read_policy(json.dumps(document["policy"]), "rendered")
    assert len(policy.listen_ports()) == 30
    assert document["gaps"] == []
