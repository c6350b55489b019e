"""``--ports``: every form, and every way to get it wrong with the way out."""

import pytest

from binsafe import baselines
from binsafe.errors import UsageError
from binsafe.policy import parse_ports
from binsafe.policy.ports import MAX_PORTS, ranges

LAYOUT = baselines.load("flaky_servers").ports
ALL = (*range(4000, 4010), *range(5000, 5010), *range(6000, 6010))


@pytest.mark.parametrize(
    ("specs", "ports"),
    [
        (["30"], ALL),
        (["1"], (4000,)),
        (["12"], (*range(4000, 4010), 5000, 5001)),
        (["4000-4009,5000"], (*range(4000, 4010), 5000)),
        ([":8080"], (8080,)),
        ([":65"], (65,)),
        ([":0"], (0,)),
        (["5000,4000"], (4000, 5000)),
        (["10", ":8080", "4005-4012"], (*range(4000, 4013), 8080)),
        ([":8080,:9090,7000-7001"], (7000, 7001, 8080, 9090)),
        (["65535-65535"], (65535,)),
        ([], ()),
    ],
)
def test_counts_ranges_and_lists_name_ports(specs: list[str], ports: tuple[int, ...]):
    assert parse_ports(specs, LAYOUT) == ports


@pytest.mark.parametrize(
    ("spec", "message", "hint"),
    [
        ("31", "has 30 ports", "from 1 to 30"),
        ("65", "has 30 ports", "from 1 to 30"),
        ("0", "has 30 ports", "from 1 to 30"),
        ("66", "a bare number is a count", "--ports :66"),
        ("8080", "a bare number is a count", "--ports :8080"),
        ("70000", "a bare number is a count", ":70000"),
        (":70000", "no port", ":8080"),
        (":", "no port", ":8080"),
        ("", "no port", ":8080"),
        ("4000-", "no port", ":8080"),
        ("4009-4000", "ends before it begins", "4000-4009"),
        ("0-5", "no port", ":8080"),
        ("4000,,5000", "no port", ":8080"),
        ("4000, 5000", "no port", ":8080"),
        ("٣٠", "no port", ":8080"),
        ("-5", "no port", ":8080"),
        ("1-65535", f"more than {MAX_PORTS}", "really needs"),
        (f"1-{MAX_PORTS + 1}", f"more than {MAX_PORTS}", "really needs"),
    ],
)
def test_errors_say_what_to_write(spec: str, message: str, hint: str):
    with pytest.raises(UsageError, match=message) as caught:
        parse_ports([spec], LAYOUT)
    assert hint in caught.value.hint
    assert caught.value.exit_status == 2


def test_a_count_needs_a_layout():
    with pytest.raises(UsageError, match="no") as caught:
        parse_ports(["30"], None)
    assert "flaky_servers" in caught.value.hint
    assert parse_ports([":8080"], None) == (8080,)


def test_ports_are_shown_as_a_person_writes_them():
    assert ranges((8080, 4001, 4000, 4002, 4000, 9000, 0)) == "0, 4000-4002, 8080, 9000"
    assert ranges(()) == ""


def test_so_many_ports_and_no_more():
    assert len(parse_ports([f"1-{MAX_PORTS}"], LAYOUT)) == MAX_PORTS
