"""macOS programs that call the kernel past libSystem are found out; what libSystem does for them is no network."""

from minimal_slices import calls, importing, minimal, subject

from binsafe.extractors import network, syscalls
from binsafe.model import Import, Unresolved

MACOS = {"format": "mach-o", "arch": "arm64", "system": "macos"}


def test_a_socket_made_past_libsystem_is_network():
    found = subject(minimal(**MACOS), syscalls=calls("socket", complete=False, sites={"socket": ("0x401000",)}))
    assert network.extract(found).value.verdict == "yes"
    [finding] = syscalls.extract(found).findings
    assert finding.id == "direct-system-calls"
    assert "It calls" in finding.title
    assert [(place.symbol, place.address) for place in finding.evidence] == [("socket", "0x401000")]


def test_what_libsystem_calls_for_a_function_is_no_network():
    stub = importing("_syslog", **MACOS)
    [entry] = stub.imports
    sites = {"connect_nocancel": (hex(entry.address or 0),), "connect": (hex(entry.address or 0),)}
    found = subject(stub, syscalls=calls("connect", "connect_nocancel", complete=False, sites=sites))
    assert network.extract(found).value.verdict != "yes"
    assert syscalls.extract(found).findings == ()


def test_a_direct_call_of_unknown_number_may_be_network():
    stub = minimal(**MACOS, imports=(Import(name="_getpid", address=0x40_2000, library="/usr/lib/libSystem.B.dylib"),))
    unknown = (Unresolved(address="0x401004", reason="the number is in memory"),)
    found = subject(stub, syscalls=calls(complete=False, unresolved=unknown))
    assert network.extract(found).value.verdict == "unknown"
    [finding] = syscalls.extract(found).findings
    assert finding.id == "direct-system-calls"
    assert "may call" in finding.title  # Node's x86-64 programs hold tables of numbers between their code
    quiet = subject(stub, syscalls=calls(complete=False, open_set=("/usr/lib/dyld",)))
    assert network.extract(quiet).value.verdict == "no"
