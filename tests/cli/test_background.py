"""Work beside the command: its result or its error comes where it is asked for."""

import threading

import pytest

from binsafe.cli.background import in_background


def test_it_runs_meanwhile_and_returns_what_it_made():
    go = threading.Event()
    outcome = in_background(lambda: go.wait(10))
    go.set()
    assert outcome() is True


def test_its_error_is_raised_where_the_result_is_asked_for():
    outcome = in_background(lambda: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        outcome()
