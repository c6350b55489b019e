"""macOS: calls behind imports, and calls that a program makes itself; nothing unknown is left out in silence."""

from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec
import pytest
from assembled import CODE, X86, Arm, program

from binsafe.formats import parse
from binsafe.model import Import, Library, Slice
from binsafe.syscalls import analyse
from binsafe.syscalls.darwin.tables import table

LIBSYSTEM = "/usr/lib/libSystem.B.dylib"


def macho(code: X86 | Arm, *imports: str, library: str | None = LIBSYSTEM, arch: str | None = None) -> Slice:
    """A slice of the code that imports these functions, or a static one if there are none."""
    return msgspec.structs.replace(
        program(code),
        format="mach-o",
        system="macos",
        arch=arch or code.arch,
        linkage="dynamic" if imports else "static",
        libraries=(Library(name=library, kind="needed"),) if imports and library else (),
        imports=tuple(
            Import(name=name, library=library, address=0x50_0000 + 6 * at) for at, name in enumerate(imports)
        ),
    )


def arm(*numbers: int, immediate: int = 0x80) -> Arm:
    code = Arm()
    for number in numbers:
        if number < 0:
            code.word(0x9280_0010 | ~number << 5)  # movn x16, #~number
        else:
            code.mov(16, number)
        code.word(0xD400_0001 | immediate << 5)
    code.ret()
    return code


def intel(*numbers: int) -> X86:
    code = X86()
    for number in numbers:
        code.mov("rax", number)
        code.syscall()
    code.ret()
    return code


def idle() -> X86:
    code = X86()
    code.ret()
    return code


@pytest.mark.parametrize("arch", ["arm64", "arm64e"])
def test_numbers_of_arm64_are_in_x16_and_negative_ones_are_traps_of_mach(arch: str) -> None:
    found = analyse(macho(arm(4, -31, 3), arch=arch))
    assert found is not None
    assert (found.abi, found.required) == ("darwin-arm64", ("mach_msg_trap", "read", "write"))
    assert found.sites["write"] == (hex(CODE + 4),)
    assert found.complete
    assert not found.open_set


def test_the_upper_byte_of_an_x86_number_is_its_class() -> None:
    found = analyse(macho(intel(0x0200_0004, 0x0100_001F, 4, 0x0300_0003)))
    assert found is not None
    assert (found.abi, found.required) == ("darwin-x86_64", ("mach_msg_trap", "write"))


@pytest.mark.parametrize("immediate", [0, 1, 0x80, 0xFFFF])
def test_the_kernel_ignores_the_immediate_of_svc_and_so_do_we(immediate: int) -> None:
    found = analyse(macho(arm(59, immediate=immediate)))
    assert found is not None
    assert found.required == ("execve",)


def test_an_indirect_call_has_its_number_in_an_argument() -> None:
    found = analyse(macho(arm(0)))
    assert found is not None
    assert [place.address for place in found.unresolved] == [hex(CODE + 4)]
    assert not found.complete


def test_a_number_that_cannot_be_told_is_reported_with_its_place() -> None:
    code = Arm()
    code.word(0xF940_0010)  # ldr x16, [x0]
    code.word(0xD400_1001)
    found = analyse(macho(code))
    assert found is not None
    assert found.unresolved
    assert not found.complete


@pytest.mark.parametrize(
    ("symbol", "arch", "calls"),
    [
        ("_read", "arm64", {"read"}),
        ("_read$NOCANCEL", "x86_64", {"read_nocancel"}),
        ("_write$NOCANCEL$UNIX2003", "x86_64", {"write_nocancel"}),
        ("_stat", "x86_64", {"stat"}),
        ("_stat$INODE64", "x86_64", {"stat64"}),
        ("_stat", "arm64", {"stat64"}),
        ("_waitpid", "arm64", {"wait4"}),
        ("___sysctl", "arm64", {"sysctl"}),
        ("_semaphore_wait", "arm64", {"semaphore_wait_trap"}),
        ("_task_for_pid", "arm64", {"task_for_pid"}),
        ("_strlen", "arm64", set()),
        ("_recv", "arm64", {"recvfrom"}),
        ("_exit", "arm64", {"exit"}),
        ("__exit", "arm64", {"exit"}),
        ("_no_such_function", "arm64", None),
    ],
)
def test_the_calls_behind_a_function(symbol: str, arch: str, calls: set[str] | None) -> None:
    assert table().behind(symbol, arch) == calls


def test_calls_behind_imports_stand_at_the_stub() -> None:
    found = analyse(macho(idle(), "_getpid", "_strlen"))
    assert found is not None
    assert found.required == ("getpid",)
    assert found.sites == {"getpid": ("0x500000",)}


def test_what_is_not_known_is_named_and_never_complete() -> None:
    found = analyse(macho(idle(), "_getpid", "_brand_new_function"))
    assert found is not None
    assert found.open_set == ("/usr/lib/dyld", "function _brand_new_function")
    assert not found.complete


def test_another_library_may_have_its_own_write() -> None:
    found = analyse(macho(idle(), "_write", library="@rpath/libevil.dylib"))
    assert found is not None
    assert found.required == ()
    assert found.open_set == ("/usr/lib/dyld", "@rpath/libevil.dylib")


def test_the_flat_name_space_may_mean_libsystem() -> None:
    found = analyse(macho(idle(), "_write", library=None))
    assert found is not None
    assert found.required == ("write",)


def test_syscall_as_a_function_can_make_every_call() -> None:
    found = analyse(macho(idle(), "_syscall"))
    assert found is not None
    assert [place.address for place in found.unresolved] == ["0x500000"]


def test_a_flood_of_unknown_functions_is_counted_not_listed() -> None:
    found = analyse(macho(idle(), *(f"_unknown{number}" for number in range(10_000))))
    assert found is not None
    assert len(found.open_set) < 60
    assert found.open_set[-1] == "9,950 more functions"


def test_own_calls_are_not_hidden_behind_many_imports() -> None:
    callers = ("_socket", "_getaddrinfo", "_syslog", "_getifaddrs", "_gethostbyname", "_getnameinfo", "_res_query",
               "_if_nametoindex", "_getservbyname", "_openlog")  # fmt: skip
    found = analyse(macho(intel(0x0200_0061), *callers))
    assert found is not None
    assert found.sites["socket"][0] == hex(CODE + 5)


def test_an_object_file_is_not_linked_yet() -> None:
    assert analyse(msgspec.structs.replace(macho(idle()), linkage=None)) is None


def test_the_data_names_only_calls_that_it_numbers() -> None:
    known = table()
    for function, calls in known.functions.items():
        assert calls <= known.names, function
    assert len(known.bsd) + len(known.mach) == len(known.names)
    assert (known.bsd[59], known.bsd[544], known.mach[45]) == ("execve", "ulock_wait2", "task_for_pid")


@pytest.mark.parametrize(("target", "abi"), [("darwin/arm64", "darwin-arm64"), ("darwin/amd64", "darwin-x86_64")])
def test_the_standin_calls_through_libsystem_only(standin: Callable[[str], Path], target: str, abi: str) -> None:
    [slice_] = parse(memoryview(standin(target).read_bytes())).slices
    found = analyse(slice_)
    assert found is not None
    assert found.abi == abi
    assert {"socket", "bind", "listen", "accept", "kevent", "kqueue", "bsdthread_create", "mmap"} <= {*found.required}
    assert not {"ptrace", "task_for_pid", "fork", "posix_spawn", "mount", "setuid"} & {*found.required}
    assert found.unresolved == ()
    assert [name for name in found.open_set if name.startswith("function")] == [
        "function _xpc_date_create_from_current"
    ]
    _stubs_are_imports(slice_, found.sites)


def _stubs_are_imports(slice_: Slice, sites: Mapping[str, tuple[str, ...]]) -> None:
    stubs = {hex(entry.address) for entry in slice_.imports if entry.address is not None}
    assert {place for places in sites.values() for place in places} <= stubs
