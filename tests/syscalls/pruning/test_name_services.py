"""What glibc looks up by name in its static programs, and what its resolver is linked for without being asked."""

from pathlib import Path

import pytest
from compiled import build, needs_compiler

from binsafe.formats import parse
from binsafe.syscalls import analyse

pytestmark = needs_compiler

_USERS = "#include <pwd.h>\nint main(int n, char **v) { return !getpwuid(n); }"
_HOSTS = "#include <netdb.h>\nint main(int n, char **v) { return !gethostbyname(v[0]); }"
_NETWORKS = "#include <netdb.h>\nint main(int n, char **v) { return !getnetbyname(v[0]); }"
_BY_NAME = """
    const char name[] __attribute__((used)) = "gethostbyname4_r";
    #include <pwd.h>
    int main(int n, char **v) { return !getpwuid(n); }"""
_TITLE = """
    static const char title[] __attribute__((used)) = "_nss_dns_gethostbyname4_r";
    #include <pwd.h>
    %s
    int main(int n, char **v) { %s; return !getpwuid(n); }"""
"""Linkers let a name that is the end of a longer text begin in it."""
_BY_END = _TITLE % ("", '__asm__ volatile("" :: "r"(title + 9))')
_BY_POINTER = _TITLE % ("const char *kept __attribute__((used)) = title + 9;", "")
_RESOLVER = {"sendmmsg", "getpeername"}
"""Made by the resolver alone."""


def _made(folder: Path, source: str, *options: str) -> set[str]:
    """Calls of the program itself, without those of the services that it may load."""
    path = build(folder, "program", source, "-w", *options)
    found = analyse(parse(memoryview(path.read_bytes())).slices[0])
    assert found is not None
    return set(found.required)


@pytest.mark.parametrize("options", [("-static", "-no-pie"), ("-static-pie",)], ids=["static", "static-pie"])
def test_the_resolver_is_left_out_where_users_alone_are_looked_up(tmp_path: Path, options: tuple[str, ...]):
    found = _made(tmp_path, _USERS, *options)
    assert "connect" in found  # of the name service cache daemon
    assert not found & _RESOLVER


@pytest.mark.parametrize(
    "source", [_HOSTS, _NETWORKS, _BY_NAME, _BY_END, _BY_POINTER], ids=["hosts", "networks", "name", "end", "pointer"]
)
def test_and_is_there_where_hosts_or_networks_may_be(tmp_path: Path, source: str):
    assert _made(tmp_path, source, "-static-pie") >= _RESOLVER
