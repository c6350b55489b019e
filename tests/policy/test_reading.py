"""Policy files: what is written is read back; what is not understood to the last key is refused with its path."""

import json
import re
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from json_values import replaced, values
from made_reports import make_report, make_slice

from binsafe import baselines
from binsafe.errors import BaselineError
from binsafe.model.policy import GrantKind
from binsafe.policy import Request, derive, read_policy

Damage = Callable[[Any], None]
"""Changes a policy document in one place."""

REQUEST = Request(read=("/data",), write=("/out",), connect=("localhost:5432",), environment=(("LANG", "C"),))


def encoded(arch: str = "x86_64", system: str = "linux"):
    report = make_report(make_slice(arch=arch, system=system))
    return derive(report, baselines.load("flaky_servers"), REQUEST)


TEXT = msgspec.json.encode(encoded()).decode()
INDEX = {(grant.kind, grant.object): i for i, grant in reversed(list(enumerate(encoded().grants)))}


@pytest.mark.parametrize(("arch", "system"), [("x86_64", "linux"), ("arm64", "linux"), ("arm64", "macos")])
def test_what_derive_makes_is_read_back(arch: str, system: str):
    policy = encoded(arch, system)
    assert read_policy(msgspec.json.encode(policy).decode(), "p.json") == policy


def grant(kind: GrantKind, name: str):
    return lambda document: document["grants"][INDEX[kind, name]]


def setting(where: Callable[[Any], Any], key: str, value: object):
    def damage(document: Any):
        where(document)[key] = value

    return damage


@pytest.mark.parametrize(
    ("damage", "path", "message"),
    [
        (setting(lambda d: d, "comment", "x"), "$", "unknown field `comment`"),
        (setting(lambda d: d, "schema", "binsafe.policy/2"), "$.schema", "unknown schema"),
        (setting(lambda d: d["artifact"], "sha256", "12"), "$.artifact.sha256", "no SHA-256"),
        *(
            (setting(lambda d: d["artifact"], "name", name), "$.artifact.name", "no name of a file")
            for name in ("", "bin/", "a/..", "a\0b", "\ud800", "n" * 256)
        ),
        (setting(lambda d: d["artifact"], "user", "root"), "$.artifact.user", "unknown key"),
        (setting(lambda d: d["artifact"], "arch", "mips"), "$.artifact.arch", "no table"),
        (setting(lambda d: d, "grants", {}), "$.grants", "Expected `array`"),
        (setting(grant("listen", "127.0.0.1:4000"), "kind", "all"), ".kind", "Invalid enum value"),
        (setting(grant("listen", "127.0.0.1:4000"), "object", "127.0.0.1:70000"), ".object", "no port"),
        (setting(grant("listen", "127.0.0.1:4000"), "object", "0.0.0.0:4000"), ".object", "no loopback address"),
        (setting(grant("listen", "127.0.0.1:4000"), "object", "127.0.0.1:04000"), ".object", "no port"),
        (setting(grant("listen", "127.0.0.1:4000"), "object", "127.0.0.1:4001"), "", "granted twice"),
        (setting(grant("listen", "127.0.0.1:4000"), "access", "udp"), ".access", "no protocol"),
        (setting(grant("listen", "127.0.0.1:4000"), "port", 4000), ".port", "unknown key"),
        (setting(grant("read", "/data"), "object", "data"), ".object", "not absolute"),
        (setting(grant("read", "/data"), "object", "/data/"), ".object", "plain form"),
        (setting(grant("read", "/data"), "when", [{"argument": 0, "values": [0]}]), ".when", "no conditions"),
        (setting(grant("environment", "LANG"), "object", "A B"), ".object", "no environment variable"),
        (setting(grant("limit", "core"), "object", "cores"), ".object", "unknown limit"),
        (setting(grant("limit", "core"), "access", "much"), ".access", "no limit"),
        (setting(grant("syscall", "brk"), "object", "brrk"), ".object", "no system call 'brrk'"),
        (setting(grant("syscall", "brk"), "object", "connect"), ".object", "cannot be granted"),
        (setting(grant("syscall", "brk"), "object", "ioctl"), "", "ioctl"),
        (setting(grant("syscall", "mmap"), "when", []), ".when", "says something else"),
        (setting(grant("syscall", "mmap"), "access", ""), ".when", "says something else"),
        (setting(grant("syscall", "mmap"), "access", "arg2 = 0"), ".access: column 6", "unexpected"),
        (setting(grant("syscall", "mmap"), "access", "arg2 & PROT_EXEC == PROT_EXEC"), ".when", "something else"),
        (setting(grant("syscall", "mmap"), "object", "brk"), "", "granted twice"),
        (setting(grant("syscall", "bind"), "object", "read"), "", "granted twice"),
    ],
)
def test_damage_is_refused_with_its_path(damage: Damage, path: str, message: str):
    document = json.loads(TEXT)
    damage(document)
    with pytest.raises(BaselineError, match=message) as caught:
        read_policy(json.dumps(document), "p.json")
    assert re.match(r"p\.json:\d+:\d+: \$", str(caught.value))
    assert path in str(caught.value)
    assert caught.value.hint
    assert caught.value.exit_status == 2


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "p.json:1:1: .*no JSON"),
        ("[]", "Expected `object`"),
        ("{", "p.json:1:2: .*no JSON"),
        ('{"schema": NaN}', "NaN"),
        (TEXT.replace('"baseline"', '"schema":"binsafe.policy/1","baseline"', 1), "stands twice"),
        ("[" * 100_000, "nested too deeply"),
        ('{"a":' * 100_000, "nested too deeply"),
        ("9" * 5_000, "number too long"),
    ],
)
def test_what_is_no_policy_at_all(text: str, message: str):
    with pytest.raises(BaselineError, match=message):
        read_policy(text, "p.json")


def test_the_place_is_that_of_the_element_at_fault():
    text = json.dumps(json.loads(TEXT), indent=1).replace('"127.0.0.1:4000"', '"127.0.0.1:0x"')
    line = next(number for number, content in enumerate(text.splitlines(), 1) if "0x" in content)
    with pytest.raises(BaselineError, match="no port") as caught:
        read_policy(text, "p.json")
    assert str(caught.value).startswith(f"p.json:{line}:14: ")


@given(st.data(), values)
def test_any_value_anywhere_is_a_policy_or_a_baseline_error(data: st.DataObject, value: object):
    document = replaced(data, TEXT, value)
    try:
        understood = msgspec.to_builtins(read_policy(json.dumps(document), "p.json"))
    except BaselineError:
        return
    assert understood.keys() >= document.keys()
