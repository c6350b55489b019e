"""How a command line is run, whatever the command."""

import gc

import click
import pytest

from binsafe.cli.commands import run


@click.command()
def command() -> int:
    return 3


def test_the_end_looks_for_no_cycles_in_what_was_loaded(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("sys.argv", ["command"])
    try:
        with pytest.raises(SystemExit) as ended:
            run(command, "command")
        assert ended.value.code == 3
        assert len(gc.get_objects()) < 100
    finally:
        gc.unfreeze()
