"""Work beside the command: its result or its error comes where it is asked for."""

import threading

import pytest

from binsafe.cli.beside import beside


def test_it_runs_meanwhile_and_returns_what_it_made():
    go = threading.Event()
    outcome = beside(lambda: go.wait(10))
    go.set()
    assert outcome() is True


def test_its_error_is_raised_where_the_result_is_asked_for():
    outcome = beside(lambda: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        outcome()
