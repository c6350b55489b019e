"""The table of what each system enforces: every grant and denial is in it, nothing is claimed that does not hold."""

from made_policies import call, grant, make_policy, whole_cap

from binsafe.model import Denial
from binsafe.renderers.explaining import explain


def test_every_kind_of_grant_has_its_row():
    rows = explain(
        make_policy(
            grant("execute", "artifact"),
            *(grant("listen", f"127.0.0.1:{port}", "tcp") for port in (4000, 4001, 5000)),
            grant("connect", "example.org:443", "tcp"),
            grant("connect", "127.0.0.1:5432", "tcp", reason="a database"),
            grant("read", "/data"),
            grant("environment", "LANG", "C"),
            grant("limit", "core", "0"),
            grant("limit", "nproc", "256", reason="another"),
            call("read"),
            denied=(Denial(capability="connect out", reason="r"), Denial(capability="system call bpf", reason="s")),
        )
    )
    by_what = {row.what: row for row in rows}
    assert by_what["listen on 4000-4001, 5000"].macos == "these ports, on every address"
    assert by_what["listen on 4000-4001, 5000"].linux == "these ports, on 127.0.0.1"
    assert by_what["connect to example.org:443"].macos == "this port of every host"
    assert by_what["connect to 127.0.0.1:5432"].macos == "this port, on every address of this machine"
    assert by_what["connect to 127.0.0.1:5432"].linux == "exactly this, made outside"
    assert by_what["limit core 0"].macos == by_what["limit nproc 256"].linux == "set by the launcher"
    assert by_what["limit nproc 256"].macos.startswith("not set")
    assert by_what["not: connect out"].macos.startswith("held")
    assert by_what["not: system call bpf"].macos == "not filtered"
    assert by_what["not: system call bpf"].fallback == "held by seccomp"
    assert all(row.reason and row.macos and row.linux and row.fallback for row in rows)


def test_system_calls_share_the_row_of_their_group():
    rows = [row for row in explain(whole_cap()) if "system call" in row.what]
    assert 8 < len(rows) < 20
    assert any(": memory, 4 of them by arguments" in row.what for row in rows)
