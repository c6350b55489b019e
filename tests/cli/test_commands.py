"""How a command line is run, whatever the command."""

import gc
import io
import threading
from pathlib import Path

import click
import pytest

from binsafe.cli.commands import run
from binsafe.cli.entry import conduct
from binsafe.errors import UsageError


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


@pytest.mark.parametrize("error", [UsageError("wrong", hint="do it right"), KeyboardInterrupt()])
def test_what_was_printed_before_an_error_is_written(monkeypatch: pytest.MonkeyPatch, error: BaseException):
    written = io.BytesIO()
    monkeypatch.setattr("sys.stdout", io.TextIOWrapper(written))

    def action() -> None:
        print("half of it")
        raise error

    assert conduct(action, "command") != 0
    assert written.getvalue() == b"half of it\n"


def test_a_thread_that_cannot_be_started_is_a_limit_and_not_a_fault(capsys: pytest.CaptureFixture[str]):
    def action() -> None:
        before = threading.stack_size(1 << 46)  # which no machine has
        try:
            threading.Thread(target=print).start()
        finally:
            threading.stack_size(before)

    assert conduct(action, "command") == 2
    assert "ulimit -u" in capsys.readouterr().err


def test_a_home_folder_that_the_system_does_not_know_is_no_fault(capsys: pytest.CaptureFixture[str]):
    """As in a container for a user without a name, where HOME is not set."""
    assert conduct(lambda: Path("~nobody.of.that.name").expanduser(), "command") == 2
    assert "HOME=" in capsys.readouterr().err


@pytest.mark.parametrize("missing", ["/proc/none", "/dev/none"])
def test_a_system_without_its_folders_is_told_what_it_lacks(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], missing: str
):
    monkeypatch.setattr("os.devnull", missing)
    assert conduct(lambda: 0, "command") == 2
    assert f"there is no {missing} here\n  hint: mount" in capsys.readouterr().err
