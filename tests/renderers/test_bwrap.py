"""The script for bubblewrap: what it binds, what it refuses to say; tests/sandbox/test_bwrap.py runs it."""

import base64
import re
import shlex

import msgspec
import pytest
from bpf_machine import simulate
from hypothesis import given
from hypothesis import strategies as st
from made_policies import call, grant, make_policy, whole_cap

from binsafe.errors import CannotExpress
from binsafe.model import Denial, Policy
from binsafe.model.policy import PolicyFile
from binsafe.renderers import render
from binsafe.syscalls import tables

ALLOW, EPERM, ENOSYS = 0x7FFF_0000, 0x0005_0001, 0x0005_0026
KILL = 0x8000_0000


def options(policy: Policy, **settings: bool):
    """The words of all `set` lines, in the order of the final command."""
    text = render(policy, "bwrap", binary="/opt/p", **settings).text
    lines = [line.removeprefix("set -- ") for line in text.splitlines() if line.startswith("set -- ")]
    return [word for line in reversed(lines) for word in shlex.split(line) if word != "$@"]


def filter_of(text: str):
    (encoded,) = re.findall(r"<<'END'\n(.*?)\nEND\n", text, re.DOTALL)
    return base64.b64decode(encoded)


def test_what_is_bound_and_nothing_else():
    words = " ".join(options(make_policy(grant("read", "/data"), grant("write", "/out d"), grant("write", "scratch"))))
    assert "--ro-bind /data /data" in words
    assert "--bind /out d /out d" in words
    assert "--tmpfs /scratch" in words
    assert "--ro-bind $binary $program" in words
    assert "--proc" not in words
    assert words.index("--remount-ro /") > words.index("--bind")
    assert words.endswith("-- $program")
    assert {"--unshare-net", "--unshare-pid", "--clearenv", "--new-session", "--die-with-parent"} <= set(words.split())


def test_libraries_lie_where_the_loader_looks_for_them():
    policy = make_policy()
    file = PolicyFile(opened_as="/lib64/ld.so", path="/usr/lib/ld-2.so", sha256="a" * 64, execute=True)
    artifact = msgspec.structs.replace(policy.artifact, files=(file,))
    assert "--ro-bind /usr/lib/ld-2.so /lib64/ld.so" in " ".join(
        options(msgspec.structs.replace(policy, artifact=artifact))
    )


def test_ports_are_refused_or_open_the_hosts_network():
    policy = make_policy(grant("listen", "127.0.0.1:4000", "tcp"))
    with pytest.raises(CannotExpress, match="no words for ports"):
        render(policy, "bwrap")
    profile = render(policy, "bwrap", allow_partial=True)
    assert "--unshare-net" not in profile.text
    assert any("any port can be bound" in gap.reason for gap in profile.gaps)
    with pytest.raises(CannotExpress, match="cannot name"):
        render(make_policy(grant("connect", "localhost:1", "tcp")), "bwrap")


def test_the_filter_decides_alone():
    x86 = tables.AUDIT_ARCH["x86_64"]
    numbers = tables.numbers("x86_64")
    program = filter_of(render(whole_cap(), "bwrap").text)

    def answer(name: str, *arguments: int):
        return simulate(program, x86, numbers[name], (*arguments, 0, 0, 0, 0, 0, 0)[:6])

    assert answer("read") == ALLOW
    assert answer("execve") == ALLOW
    assert answer("execveat") == answer("bind") == EPERM
    assert answer("socket", 1, 1, 0) == EPERM
    assert answer("socket", 2, 1, 0) == ALLOW
    assert answer("ptrace") == answer("clone3") == ENOSYS
    assert simulate(program, tables.AUDIT_ARCH["arm64"], 1, (0,) * 6) == KILL
    shared = filter_of(
        render(make_policy(call("bind"), grant("listen", "127.0.0.1:1", "tcp")), "bwrap", allow_partial=True).text
    )
    assert simulate(shared, x86, numbers["bind"], (0,) * 6) == ALLOW


@given(st.text(max_size=40))
def test_no_reason_name_or_path_becomes_a_command(words: str):
    denial = Denial(capability=words, reason=words)
    plain = render(make_policy(), "bwrap").text.splitlines()
    text = render(make_policy(denied=(denial,)), "bwrap").text
    assert [line for line in text.splitlines() if not line.startswith("# could")] == plain


def test_a_path_with_quotes_stays_one_word():
    assert "/a';touch x;'" in options(make_policy(grant("read", "/a';touch x;'")))


def test_programs_that_it_may_start_are_found_by_their_names():
    (words,) = (
        line.split()
        for line in render(make_policy(grant("execute", "/usr/bin/ls")), "bwrap").text.splitlines()
        if "--clearenv" in line
    )
    assert "/usr/bin" in words[words.index("PATH") + 1].split(":")
