"""What is remembered of load, however many attempts there are, beside sums that are made here."""

import math

import numpy as np
import pytest

from bandit_runner.strategies.strain import MOST, SPANS, Packed, Strain

PRIOR = (2.0, 1.2)
RATE = 4000
ATTEMPTS = [(number % 3 % 2, number / RATE) for number in range(20 * MOST)]
"""(server, seconds): of three in a row the second goes to server 1."""


def written(attempts: list[tuple[int, float]]) -> Packed:
    strain = Strain(2, PRIOR)
    for arm, now in attempts:
        strain.write(arm, now, 1.0, accepted=True)
    strain.weigh()
    return strain.pack()


def test_of_thousands_of_attempts_a_second_all_are_load():
    packed = written(ATTEMPTS)
    for arm, loads in enumerate(np.frombuffer(packed.loads).reshape(2, -1)):
        times = [now for server, now in ATTEMPTS if server == arm]
        assert packed.asked[arm] == times[-1]
        expected = [sum(math.exp((now - times[-1]) / span) for now in times) for span in SPANS]
        assert loads.tolist() == pytest.approx(expected)


def test_who_else_was_asked_in_between_changes_nothing_about_a_server():
    some = ATTEMPTS[:MOST]
    mixed, in_turn = written(some), written(sorted(some))
    for field in ("tried", "rested", "spoken"):
        one, other = (np.frombuffer(getattr(packed, field), np.float32) for packed in (mixed, in_turn))
        assert one.tolist() == pytest.approx(other.tolist())
    assert len({np.frombuffer(mixed.accepted)[arm] for arm in (0, 1)}) == 2


def test_a_clock_that_starts_again_leaves_a_load_that_can_be():
    strain = Strain(1, PRIOR)
    for number in range(3 * MOST):
        strain.write(0, number / RATE + (5000 if number < 2 * MOST else 0), 1.0, accepted=True)
    strain.weigh()
    assert (np.frombuffer(strain.pack().loads) <= 3 * MOST).all()
