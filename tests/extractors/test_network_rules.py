import msgspec
import pytest
from go_tables import go_slice, table
from minimal_slices import DATA, TEXT, calls, code_in_a_page, defining, importing, minimal, subject
from network_verdicts import operations, reasons, verdict_of

from binsafe.extractors import network, texts
from binsafe.extractors.networknames import NETWORK
from binsafe.formats.cli_metadata import Member, Metadata
from binsafe.formats.gopclntab import functions
from binsafe.limits import MAX_EVIDENCE
from binsafe.model import Import, Library, Section, Severity, Slice, Syscalls, Unresolved
from binsafe.syscalls import analyse


@pytest.mark.parametrize(
    ("name", "operation"),
    [
        ("socket", "socket"),
        ("connect@GLIBC_2.2.5", "connect"),
        ("connect$NOCANCEL", "connect"),
        ("accept4", "accept"),
        ("sendmmsg", "send"),
        ("recvfrom", "receive"),
        ("WSASocketW", "socket"),
        ("getaddrinfo", "resolve"),
        ("OBJC_CLASS_$_NSURLSession", "connect"),
        ("pcap_open_live", "raw"),
    ],
)
def test_an_imported_function_proves_the_operation_with_its_address(name: str, operation: str):
    evidence = operations(importing("puts", name))[operation]
    assert (evidence.via, evidence.address, evidence.symbol) == ("import", "0x402008", name)


def test_macos_puts_an_underscore_before_every_name():
    evidence = operations(importing("_puts", "_connect$NOCANCEL", format="mach-o"))["connect"]
    assert evidence.symbol == "_connect$NOCANCEL"
    assert verdict_of(importing("puts", "_connect")) == "no"  # elsewhere that is a name of somebody's own


_NAMED = Import(name="_write", library="/usr/lib/libSystem.B.dylib", address=0x40_2000)
_OF_SYSTEM = (Library(name="/usr/lib/libSystem.B.dylib", kind="load"),)


def macos(*names: str, **changes: object) -> Slice:
    """A macOS program that imports these names from libSystem."""
    imports = tuple(
        msgspec.structs.replace(_NAMED, name=name, address=0x40_2000 + 8 * n) for n, name in enumerate(names)
    )
    whole = {"format": "mach-o", "arch": "arm64", "system": "macos", "imports": imports, "libraries": _OF_SYSTEM}
    return minimal(**{**whole, **changes})


@pytest.mark.parametrize(
    ("slice_", "reason"),
    [
        (macos("_write", "_xpc_connection_create_mach_service"), "what _xpc_connection_create_mach_service does"),
        (macos("_write", "___connect_nocancel"), "functions that it imports call connect_nocancel"),
        (macos("_write", "_bootstrap_look_up"), "by bootstrap_look_up it can ask other programs"),
        (macos("_write", "_vm_protect"), "what it asks vm_protect for may be memory that can be executed"),
        (macos("_write", libraries=(Library(name="@loader_path/libSystem.B.dylib", kind="load"),)), "may do it on the"),
    ],
    ids=["unknown", "private", "messages", "memory", "another libSystem"],
)
def test_only_functions_that_are_known_keep_macos_programs_from_the_network(slice_: Slice, reason: str):
    assert verdict_of(macos("_write"), syscalls=analyse(macos("_write"))) == "no"
    assert reason in reasons(slice_, syscalls=analyse(slice_))


@pytest.mark.parametrize(("call", "verdict"), [("execve", "unknown"), ("connectx", "yes"), ("socket_delegate", "yes")])
def test_calls_that_a_macos_program_makes_past_libsystem_count(call: str, verdict: str):
    made = calls("write", call, sites={call: ("0x401000",)}, open_set=("/usr/lib/dyld",), complete=False)
    assert verdict_of(macos("_write"), syscalls=made) == verdict
    assert verdict_of(macos("_write")) == "unknown"  # nobody has looked


def test_code_that_a_macos_program_keeps_among_its_constants():
    slice_ = code_in_a_page(0, 4096)
    svc = memoryview(bytes(128) + b"\x01\x10\x00\xd4" + bytes(3964))
    section = Section(name="__text", address=TEXT, size=128, offset=0, executable=True)
    hidden = macos("_write", data=svc, segments=slice_.segments, sections=(section,))
    assert f"at {TEXT + 128:#x}, beside its code" in reasons(hidden, syscalls=analyse(hidden))
    shown = msgspec.structs.replace(hidden, sections=(msgspec.structs.replace(section, size=4096),))
    assert verdict_of(shown, syscalls=analyse(shown)) == "no"  # what code does is in the list of calls


@pytest.mark.parametrize(("left", "words"), [(0, "e."), (1, "e; and 1 more reason."), (2, "e; and 2 more reasons.")])
def test_reasons_that_are_left_out_are_counted(left: int, words: str):
    assert network._cannot_tell([*"abcdefg"][: 5 + left], []).detail.endswith(words)


def test_sending_without_opening_a_socket_is_no_proof():
    assert "is given" in reasons(importing("puts", "send", "recv"))


def test_directions_are_what_the_program_can_do():
    found = network.extract(subject(importing("socket", "bind", "listen", "connect"))).value
    assert (found.verdict, found.directions) == ("yes", ("listen", "connect"))


def test_reading_and_writing_files_is_no_network():
    assert verdict_of(importing("read", "write", "open", "puts")) == "no"


def test_a_static_program_may_do_what_it_likes():
    assert "statically" in reasons(minimal(linkage="static"))
    assert "statically" in reasons(minimal(linkage="static-pie"))


def test_names_in_a_static_program_are_those_of_the_c_library():
    evidence = operations(defining("main", "__libc_connect", linkage="static"))["connect"]
    assert (evidence.via, evidence.symbol) == ("function", "__libc_connect")


def test_a_dynamic_program_may_call_its_own_function_send():
    assert verdict_of(importing("puts", symbols=defining("send").symbols)) == "no"


@pytest.mark.parametrize(
    ("names", "what"),
    [
        (("dlopen", "dlsym", "syscall", "LoadLibraryA", "GetProcAddress"), "get at functions that it does not name"),
        (("execvp", "posix_spawn", "system", "CreateProcessW"), "start programs"),
    ],
)
def test_functions_or_programs_that_others_supply_may_use_the_network(names: tuple[str, ...], what: str):
    assert all(f"by {name} it can {what}" in reasons(importing("puts", name)) for name in names)


def test_reasons_of_one_kind_are_one_reason():
    said = reasons(importing("puts", "dlopen", "dlsym", "execvp"))
    assert "by dlopen or dlsym it can get at functions" in said
    libraries = tuple(Library(name=name, kind="load") for name in "ABCDE")
    assert "but A, B, C and 2 more may do it" in reasons(minimal(imports=(Import(name="a"),), libraries=libraries))


def test_a_library_may_be_given_functions_by_what_loads_it():
    assert "loads it" in reasons(importing("puts", kind="bundle"))


def test_name_services_may_ask_a_server():
    assert "getpwnam" in reasons(importing("getpwnam"))


def test_a_library_may_do_it_for_the_program():
    libraries = (Library(name="libc.so.6", kind="needed"), Library(name="libfetch.so.1", kind="needed"))
    slice_ = minimal(imports=(Import(name="fetch_it"),), libraries=libraries)
    assert "libfetch.so.1" in reasons(slice_)


@pytest.mark.parametrize("name", ["./libc.so.6", "/tmp/libc.so.6", "libc.evil.so", "libm.so.evil", "libdl.net.so.2"])
def test_a_library_with_nearly_the_name_of_a_plain_one_may_do_it(name: str):
    """One with a path is loaded from there, and nobody knows what stands there."""
    slice_ = minimal(imports=(Import(name="puts"),), libraries=(Library(name=name, kind="needed"),))
    assert f"{name} may do it" in reasons(slice_)


def test_calls_of_the_kernel_that_were_not_looked_at_may_be_for_the_network():
    """As scans leave them out: a socket that is made by ``syscall`` has no name."""
    code = b"\xb8\x29\0\0\0\x0f\x05"
    section = Section(name=".text", address=DATA, size=len(code), offset=0, executable=True)
    slice_ = importing("puts", data=memoryview(code), sections=(section,))
    assert f"what stands at {DATA + 5:#x} may be one" in reasons(slice_)
    assert verdict_of(slice_, syscalls=calls("read")) == "no"  # it is in the list
    assert verdict_of(importing("puts", data=memoryview(code))) == "no"  # that is no code
    i386 = importing("puts", data=memoryview(b"\x65\xff\x15\x10\0\0\0"), sections=(section,), arch="i386")
    assert "may be one" in reasons(i386)
    assert "was not looked at" in reasons(importing("puts", arch="riscv64"))


def test_windows_programs_need_no_names():
    """Any address in a library that is loaded leads to all that the process has."""
    plain = (Library(name="KERNEL32.dll", kind="load"),)
    slice_ = minimal(
        format="pe", system="windows", imports=(Import(name="ExitProcess", address=DATA),), libraries=plain
    )
    assert "functions that it does not name" in reasons(slice_)


def test_a_program_that_imports_nothing_has_its_ways():
    assert "imports" in reasons(minimal())


def test_dotnet_programs_call_through_metadata():
    slice_ = importing("_CorExeMain", format="pe", traits={"dotnet": True})
    assert ".NET" in reasons(slice_)


def test_a_function_of_sockets_that_dotnet_is_told_to_look_up_proves_it():
    managed = Metadata(runtime="v4.0.30319", members=(), natives=(Member("ws2_32!connect", 0x40_3000),))
    slice_ = importing("_CorExeMain", format="pe", traits={"dotnet": True})
    evidence = operations(slice_, managed=managed)["connect"]
    assert (evidence.symbol, evidence.address) == ("ws2_32!connect", "0x403000")


@pytest.mark.parametrize("text", [b"ws2_32.dll", b"WS2_32.dll", "ws2_32.dll".encode("utf-16-le"), b"/etc/resolv.conf"])
def test_texts_alone_make_it_unknown_and_never_yes(text: bytes):
    slice_ = importing("puts", data=memoryview(b"...." + text))
    found = network.extract(subject(slice_, texts=texts.find(slice_, NETWORK.texts)))
    assert found.value.verdict == "unknown"
    [operation] = found.value.operations
    assert (operation.evidence[0].via, found.value.directions) == ("string", ())


def test_system_calls_prove_the_network_with_the_address_of_the_site():
    known = calls("socket", "connect", "read", sites={"connect": ("0x401010", "0x401020")})
    found = operations(minimal(linkage="static"), syscalls=known)
    assert found["connect"].address == "0x401010"
    assert found["connect"].via == "syscall"
    assert found["socket"].address is None


def test_all_system_calls_known_and_none_for_the_network_is_a_proof():
    assert verdict_of(minimal(linkage="static"), syscalls=calls("read", "write")) == "no"


@pytest.mark.parametrize(
    "known",
    [
        calls("read", complete=False),
        calls("read", open_set=("dlopen: unknown",)),
        calls("read", "io_uring_setup"),
        calls("read", "execve"),
    ],
)
def test_a_list_of_system_calls_with_a_hole_is_no_proof(known: Syscalls):
    assert verdict_of(minimal(linkage="static"), syscalls=known) == "unknown"


def test_go_functions_prove_the_network():
    slice_ = go_slice(table("1.20"))
    evidence = operations(slice_, functions=functions(slice_))["connect"]
    assert (evidence.via, evidence.address) == ("function", "0x401080")
    assert evidence.symbol == "net.(*netFD).connect"


def test_a_go_program_without_such_functions_is_not_free_of_network():
    slice_ = go_slice(table("1.20").replace(b"net.(*netFD).connect", b"math.(*netFD).connec"))
    assert "Go programs" in reasons(slice_, functions=functions(slice_))


def test_evidence_is_capped_and_the_total_is_told():
    imports = tuple(Import(name="connect", address=DATA + index) for index in range(100, 0, -1))
    [operation] = network.extract(subject(minimal(imports=imports))).value.operations
    assert operation.evidence_total == 100
    assert [evidence.address for evidence in operation.evidence] == [hex(DATA + i) for i in range(1, MAX_EVIDENCE + 1)]


def test_that_it_can_is_told_as_a_finding_with_evidence():
    [finding] = network.extract(subject(importing("socket", "connect"))).findings
    assert (finding.id, finding.severity) == ("network", Severity.INFO)
    assert [evidence.symbol for evidence in finding.evidence] == ["socket", "connect"]


def test_a_structure_that_could_not_be_read_whole_may_hide_names():
    assert verdict_of(importing("puts")) == "no"
    damaged = importing("puts", problems=("malformed: LIEF finds no imports",))
    assert "names may be missing" in reasons(damaged)


def test_a_call_whose_number_is_not_known_may_be_for_the_network():
    known = calls("read", complete=False, unresolved=(Unresolved(address="0x401010", reason="it is computed"),))
    assert "could not all be told" in reasons(importing("puts"), syscalls=known)


@pytest.mark.parametrize("absent", ["/tmp/evil/ld.so: not found", "./audit.so: not found"])
def test_a_loader_or_an_auditor_that_is_not_here_may_do_anything(absent: str):
    assert absent in reasons(importing("puts"), syscalls=calls("read", complete=False, open_set=(absent,)))
