import msgspec
import pytest
from played import many, request

from bandit_runner.harness.results import result_row
from bandit_runner.intervals import nearest_rank
from bandit_runner.model import SCORINGS, UNKNOWN, Outcome, Scoring
from bandit_runner.runs import Tally


@pytest.mark.parametrize("scoring", SCORINGS.values())
def test_a_tally_says_what_the_attempts_say(scoring: Scoring):
    requests = many(500)
    row = result_row(requests, strategy="v4", tier="T1", scoring=scoring)
    tally = Tally().adding(requests)
    assert tally.requests == row.requests
    assert sum(tally.accepted) == row.accepted
    assert tally.accepted_within(3) == row.accepted_within_3
    assert tally.extra_attempts(scoring) == row.extra_attempts
    assert tally.score(scoring) == pytest.approx(row.score)
    assert tally.rate_limited == row.rate_limited
    assert sum(points * count for points, count in tally.points(scoring).items()) == pytest.approx(row.score)
    assert tally.attempts == sum(map(sum, tally.servers)) == sum(r.attempts for r in requests)


def test_quantiles_are_right_within_half_a_percent():
    requests = [msgspec.structs.replace(r, latency=0.0003 * 1.01**n) for n, r in enumerate(many(700))]
    tally = Tally().adding(requests)
    for percent in (1, 50, 99, 100):
        exact = nearest_rank([r.latency for r in requests], percent) * 1000
        assert tally.quantile_ms(percent) == pytest.approx(exact, rel=0.0051)
    assert Tally().quantile_ms(50) == UNKNOWN


def test_adding_in_pieces_and_summing_are_the_same():
    requests = many(300)
    whole = Tally().adding(requests)
    assert Tally().adding(requests[:120]).adding(requests[120:]) == whole
    assert Tally.sum([Tally().adding(requests[:120]), Tally().adding(requests[120:])]) == whole
    assert Tally.sum([]) == Tally()


def test_an_id_that_no_server_was_asked_about_counts_as_failed():
    tally = Tally().adding([request()])
    assert (tally.requests, tally.attempts, sum(tally.accepted)) == (1, 0, 0)


def test_one_unknown_makes_the_sum_unknown():
    known = Tally().adding([request(Outcome.RATE_LIMITED, Outcome.OK)])
    assert Tally.sum([known, Tally(limits_known=False)]).rate_limited == UNKNOWN
    assert known.rate_limited == 1


def test_it_survives_json():
    tally = Tally().adding(many(50))
    assert msgspec.json.decode(msgspec.json.encode(tally), type=Tally) == tally
