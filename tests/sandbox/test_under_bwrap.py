"""The rendered bubblewrap script, run: what the program inside can do and what it cannot."""

import json
import shutil
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from widest import widest_policy

from binsafe.intake import Found, Snapshot
from binsafe.model import Grant
from binsafe.renderers import render

pytestmark = [
    pytest.mark.sandbox,
    pytest.mark.skipif(shutil.which("bwrap") is None, reason="bubblewrap is not installed"),
]


@pytest.fixture
def run(probe: Path, tmp_path: Path) -> Callable[..., dict[str, str]]:
    def start(*attempts: str, ports: tuple[int, ...] = (), **changes: tuple[Grant, ...]) -> dict[str, str]:
        with Snapshot.take(Found("probe", probe)) as snapshot:
            policy = widest_policy(snapshot, ports, **changes)
        script = tmp_path / "profile.sh"
        script.write_text(render(policy, "bwrap", binary=str(probe), allow_partial=bool(ports)).text)
        done = subprocess.run(
            ["sh", str(script), *attempts],
            capture_output=True,
            text=True,
            check=False,
            timeout=20,
            stdin=subprocess.DEVNULL,
        )
        assert done.returncode == 0, done.stderr
        return {line["attempt"]: line["error"] for line in map(json.loads, done.stdout.splitlines())}

    return start


def test_folders_of_modules_are_there(run: Callable, tmp_path: Path):
    """Or Python has no encodings and ends at once."""
    (tmp_path / "module.py").write_text("x")
    read = f"read={tmp_path}/module.py"
    modules = Grant(kind="read", object=str(tmp_path), access="library", reason="pack python: its modules")
    assert run(read, grants=(modules,)) == {read: ""}


def test_what_may_only_be_read_stays_so_in_a_folder_that_may_be_written(run: Callable, tmp_path: Path):
    inner = tmp_path / "data" / "between" / "inner"
    inner.mkdir(parents=True)
    read = Grant(kind="read", object=str(inner), reason="test")
    write = Grant(kind="write", object=str(tmp_path / "data"), reason="test")
    attempts = [f"write={folder}/new" for folder in (inner, inner.parent, inner.parents[1])]
    moves = f"rename={inner.parent},{tmp_path}/data/elsewhere"
    answers = run(*attempts, moves, grants=(read, write))
    assert "read-only" in answers[attempts[0]]
    assert answers[attempts[1]] == answers[attempts[2]] == ""
    assert "busy" in answers[moves]


def test_files_are_those_that_are_granted(run: Callable, tmp_path: Path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data/file").write_text("x")
    (tmp_path / "secret").write_text("x")
    granted = (Grant(kind="read", object=str(tmp_path / "data"), reason="test"),)
    wanted = f"read={tmp_path}/data/file"
    refused = [
        f"read={tmp_path}/secret",
        "read=/etc/passwd",
        "read=/proc/1/environ",
        f"write={tmp_path}/data/new",
        "write=/x",
    ]
    answers = run(wanted, *refused, grants=granted)
    assert answers[wanted] == ""
    assert all(answers[each] for each in refused), answers


def test_the_network_is_empty_and_the_filter_stands(run: Callable):
    with socket.create_server(("127.0.0.1", 0)) as outside:
        target = "{}:{}".format(*outside.getsockname())
        refused = [
            f"connect={target}",
            f"udp={target}",
            "unix=@x",
            "socket=2,2,0",
            "socket=40,1,0",
            "write-exec",
            "option=41,57",
        ]
        answers = run(*refused, "variables")
    assert all(answers[each] for each in refused), answers
    assert answers["variables"] in {"", "PWD=/"}  # bwrap sets it with --chdir


def test_a_shared_network_lets_it_listen_and_not_connect(run: Callable, free_port: Callable):
    port = free_port()
    with socket.create_server(("127.0.0.1", 0)) as outside:
        target = "connect={}:{}".format(*outside.getsockname())
        answers = run(f"listen=127.0.0.1:{port}", target, ports=(port,))
    assert answers[f"listen=127.0.0.1:{port}"] == ""
    assert answers[target]
