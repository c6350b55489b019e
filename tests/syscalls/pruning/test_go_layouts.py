"""What older versions of Go leave in a program, written as they wrote it: their compilers are not to be had here."""

import struct

import pytest
from assembled import CODE, DATA, X86, Arm
from go_layouts import MAPS, VARIABLES, analysed, words

CHROOT, EXIT, FCNTL, GETPID, PIPE, SWAPOFF = 161, 60, 72, 39, 22, 168
STARTING = ("os/exec.(*Cmd).Start", "os.StartProcess", "os.startProcess", "syscall.forkExec")
CHILD = "syscall.forkAndExecInChild1"
TYPE, FIELDS, NAMES, MASK = (DATA + at for at in (0x200, 0x260, 0x300, 0x340))


def attributes(*, wide: bool) -> dict[int, bytes]:
    """The type ``syscall.SysProcAttr``; in ``wide`` names the length has two bytes."""
    names = [b"\x01" + b"\0" * wide + bytes([len(name)]) + name for name in (b"Chroot", b"Credential")]
    return {
        TYPE: words(160, 144, 25 << 56, 0, MASK, 0, 0, FIELDS),
        FIELDS: words(NAMES, 0, 0, NAMES + len(names[0]), 0, 16),
        NAMES: b"".join(names),
        MASK: b"\x05\0\x02",
        MAPS: b"\x08\0\0",
    }


def starting(code: X86, *labels: str, named_by: str | None = None) -> None:
    """What ``main.main`` starts a program by, whose child makes a call for an attribute; one may name some labels."""
    for name, callee in zip(STARTING, (*STARTING[1:], CHILD), strict=True):
        code.label(name)
        for label in labels if name == named_by else ():
            code.lea(label)
        code.call(callee)
        code.ret()
    code.label(CHILD)
    code.mov("rax", CHROOT)
    code.syscall()
    code.ret()


@pytest.mark.parametrize(("wide", "counters"), [(True, False), (False, False), (False, True)])
def test_types_and_maps_are_read_as_each_version_wrote_them(*, wide: bool, counters: bool):
    code, other = X86(), X86()
    for each in (code, other):
        each.label("main.main")
        each.call(STARTING[0])
    other.labels["type"] = TYPE
    other.lea("type")
    for each in (code, other):
        each.ret()
        starting(each)
    data = attributes(wide=wide)
    assert "chroot" not in analysed(code, data, counters=counters).required
    assert "chroot" in analysed(other, data, counters=counters).required
    assert "chroot" in analysed(code, {**data, TYPE: bytes(64)}, counters=counters).required


ZERO = VARIABLES + 16
SMALL = {TYPE: words(32, 24, 25 << 56, 0, MASK, 0, 0, FIELDS), MASK: b"\x05", MAPS: b"\x08\x14\0"}
"""A type of four words, the first and third of them pointers, and variables that may be of it at `ZERO` and behind."""


@pytest.mark.parametrize(
    ("is_made", "named_by", "other", "held"),
    [
        (False, "syscall.forkExec", None, 0),
        (True, "os.StartProcess", None, 0),
        (True, None, None, 0),
        (True, "syscall.forkExec", ZERO, 0),
        (True, "syscall.forkExec", ZERO + 8, 0),
        (True, "syscall.forkExec", None, ZERO),
        (True, "syscall.forkExec", None, ZERO + 24),
    ],
    ids=["zero", "another's", "nobody's", "of-both", "a-field", "pointed-to", "a-field-pointed-to"],
)
def test_a_variable_that_may_hold_attributes_is_the_zero_one(
    is_made: bool, named_by: str | None, other: int | None, held: int
):
    code = X86()
    code.labels.update(first=ZERO, second=ZERO + 64, other=other or ZERO)
    code.label("main.main")
    code.call(STARTING[0])
    if other is not None:
        code.lea("other")
    code.ret()
    starting(code, *(("first", "second") if named_by else ()), named_by=named_by)
    found = analysed(code, {**attributes(wide=False), **SMALL, VARIABLES + 0xC0: words(held)})
    assert ("chroot" in found.required) is is_made


_SECOND, _LAST = DATA + 8 * 34, DATA + 0x7FF
"""Where the module has the address of the map of variables without initial values, and where its segment ends."""


@pytest.mark.parametrize(
    ("is_made", "data"),
    [
        (False, {}),
        (True, {TYPE: words(32, 24, 17 << 56, 0, MASK, 0, 0, FIELDS)}),
        (True, {TYPE: words(32, 0, 25 << 56, 0, MASK, 0, 0, FIELDS)}),
        (True, {TYPE: words(1 << 60, 24, 25 << 56, 0, MASK, 0, 0, FIELDS)}),
        (True, {TYPE: words(32, 24, 25 << 56, 0, 8, 0, 0, FIELDS)}),
        (True, {DATA: bytes(300)}),
        (True, {MAPS: b"\x07\0\0"}),
        (True, {_SECOND: words(8)}),
        (True, {_SECOND: words(_LAST), _LAST: b"\x08"}),
        (True, {_SECOND: words(MAPS + 8), MAPS + 8: b"\x08\x14\0"}),
    ],
    ids=[
        "whole", "no-structure", "no-pointers", "huge", "no-mask", "no-module", "short-map", "one-map", "cut-off",
        "in-the-second-map",
    ],
)  # fmt: skip
def test_what_is_not_understood_of_types_and_maps_proves_nothing(is_made: bool, data: dict[int, bytes]):
    code = X86()
    code.label("main.main")
    code.call(STARTING[0])
    code.ret()
    starting(code)
    found = analysed(code, {**attributes(wide=False), **SMALL, MAPS: b"\x08\0\0", **data})
    assert ("chroot" in found.required) is is_made


@pytest.mark.parametrize("name", [*STARTING[1:], CHILD])
def test_whoever_starts_a_program_in_another_way_may_give_it_attributes(name: str):
    code = X86()
    code.label("main.main")
    code.call(STARTING[0])
    code.call(name)
    code.ret()
    starting(code)
    assert "chroot" in analysed(code, attributes(wide=False)).required


def calling(number: int) -> X86:
    code = X86()
    code.label("main.main")
    code.mov("rax", number)
    code.call("syscall.Syscall")
    code.ret()
    code.label("syscall.Syscall")
    code.syscall()
    code.ret()
    return code


def test_the_table_of_functions_takes_no_address():
    assert analysed(calling(GETPID)).complete
    assert not analysed(calling(GETPID), table=False).complete


def test_nor_do_numbers_of_the_table_that_look_like_one():
    code = calling(GETPID)
    number = {VARIABLES: words(code.labels["syscall.Syscall"])}
    assert analysed(code, number, extent=(DATA, VARIABLES + 8)).complete
    assert not analysed(code, number, extent=(DATA, VARIABLES)).complete


def test_another_word_that_holds_a_function_does():
    code = calling(GETPID)
    assert not analysed(code, {VARIABLES: words(code.labels["syscall.Syscall"])}).complete


@pytest.mark.parametrize(
    ("instruction", "complete"),
    [
        (b"\x48\xc7\x40\x10\x40\0\0\0", True),  # mov qword ptr [rax + 0x10], 0x40
        (b"\x48\x8d\x0d\x40\x10\x40\0", True),  # lea rcx, [rip + 0x401040]
        (b"\xb9\x40\x10\x40\0", False),  # mov ecx, 0x401040
        (b"\x48\x8d\x0c\x05\x40\x10\x40\0", False),  # lea rcx, [rax + 0x401040]
    ],
)
def test_bytes_that_are_the_address_of_a_function_by_chance_name_none(instruction: bytes, *, complete: bool):
    code = X86()
    code.label("main.main")
    code.mov("rax", GETPID)
    code.call("syscall.Syscall")
    code.put(instruction)
    code.ret()
    code.put(b"\x90" * (CODE + 0x40 - code.here))
    code.label("syscall.Syscall")
    code.syscall()
    code.ret()
    assert (CODE + 0x40).to_bytes(4, "little") in instruction
    assert analysed(code).complete is complete


def piping(caller: str) -> X86:
    code = X86()
    code.label("main.main")
    code.call(caller)
    code.ret()
    code.label(caller)
    code.call("syscall.pipe")
    code.ret()
    code.label("syscall.pipe")
    code.mov("rax", PIPE)
    code.syscall()
    code.ret()
    return code


def test_an_old_pipe_is_made_only_for_who_asks_for_it():
    assert "pipe" not in analysed(piping("os.Pipe")).required
    assert "pipe" in analysed(piping("main.pipe")).required


@pytest.mark.parametrize(
    ("calls", "ends"),
    [
        ((), False),
        (("runtime.LockOSThread",), True),
        (("runtime.startTemplateThread",), True),  # LockOSThread, inlined
    ],
)
def test_a_thread_ends_where_anybody_but_the_waiter_for_signals_locks_it(calls: tuple[str, ...], *, ends: bool):
    code = X86()
    code.label("main.main")
    for name in (*calls, "runtime.ensureSigM.func1", "runtime.mexit"):
        code.call(name)
    code.ret()
    for name, callee in (
        ("runtime.ensureSigM.func1", "runtime.LockOSThread"),
        ("runtime.LockOSThread", "runtime.startTemplateThread"),
        ("runtime.mexit", "runtime.exitThread"),
    ):
        code.label(name)
        code.call(callee)
        code.ret()
    code.label("runtime.startTemplateThread")
    code.ret()
    code.label("runtime.exitThread")
    code.mov("rax", EXIT)
    code.syscall()
    code.ret()
    assert ("exit" in analysed(code, {NAMES: b"runtime.LockOSThread\0"}).required) is ends


READER = "golang.org/x/sys/unix.fcntl"


def reading(name: str) -> X86:
    code = X86()
    code.label("main.main")
    code.call(name)
    code.ret()
    code.label(name)
    code.labels["number"] = VARIABLES
    code.to("number", 7, lambda here, there: b"\x48\x8b\x05" + struct.pack("<i", there - here - 7))
    code.syscall()
    code.ret()
    return code


def test_the_number_of_fcntl_is_read_from_a_variable_by_way_of_its_page():
    code = Arm()
    code.label("main.main")
    code.call(READER)
    code.ret()
    code.label(READER)
    code.labels["number"] = VARIABLES
    code.page(27, "number")
    code.word(0xF940_0368 | (VARIABLES & 0xFFF) // 8 << 10)  # ldr x8, [x27, number]
    code.syscall()
    code.ret()
    found = analysed(code, {VARIABLES: words(25)})
    assert found.complete
    assert "fcntl" in found.required
    assert not analysed(code, {VARIABLES: words(FCNTL)}).complete


def test_the_number_of_fcntl_is_read_from_a_variable():
    found = analysed(reading(READER), {VARIABLES: words(FCNTL)})
    assert found.complete
    assert "fcntl" in found.required


@pytest.mark.parametrize("read", [False, True])
def test_of_the_arguments_of_a_call_whose_number_is_read_nothing_is_known(read: bool):
    """etcd passes others than the runtime to ``syscall.FcntlFlock``, and these were said to be all."""
    code = reading(READER)
    if not read:
        code = X86()
        code.label("main.main")
    code.label("runtime.fcntl")
    code.mov("rax", FCNTL)
    code.mov("rsi", 3)
    code.syscall()
    code.ret()
    found = analysed(code, {VARIABLES: words(FCNTL)})
    assert found.complete
    assert ("fcntl" in found.arguments) is not read


@pytest.mark.parametrize(("name", "number"), [(READER, SWAPOFF), ("main.fcntl", FCNTL), (READER, FCNTL | 1 << 32)])
def test_another_variable_may_hold_any_number(name: str, number: int):
    assert not analysed(reading(name), {VARIABLES: words(number)}).complete


@pytest.mark.parametrize(
    ("opcode", "text", "told"),
    [
        (b"\x48\x8b\x0d", b"syscall.FcntlFlock\0", True),
        (b"\x48\x8b\x0d", b"golang.org/x/sys/unix.FcntlFlock\0", True),
        (b"\x48\x8b\x0d", b"main.FcntlFlock2\0", False),
        (b"\x48\x89\x0d", b"syscall.FcntlFlock\0", False),
        (b"\x48\x8d\x0d", b"syscall.FcntlFlock\0", False),
    ],
    ids=["syscall", "x/sys", "another", "written", "taken"],
)
def test_the_number_of_fcntl_is_read_where_the_function_is_inlined(opcode: bytes, text: bytes, told: bool):
    """As in SQLite's locks of ``github.com/ncruces/go-sqlite3/vfs``."""
    code = reading("main.lock")
    code.label("main.other")
    code.to("number", 7, lambda here, there: opcode + struct.pack("<i", there - here - 7))
    code.ret()
    found = analysed(code, {VARIABLES: words(FCNTL), NAMES: text})
    assert found.complete is told
    assert "fcntl" in found.required or not told


@pytest.mark.parametrize(("callee", "told"), [("runtime.morestack_noctxt.abi0", True), ("main.fatal", False)])
def test_a_function_that_begins_again_with_more_stack_has_the_same_parameters(callee: str, told: bool):
    """``mmsgSyscall`` of sing-box, with the number as its first parameter, which its prologue spills and reloads."""
    code = X86()
    code.label("main.main")
    code.mov("rax", FCNTL)
    code.call("main.syscall")
    code.ret()
    code.label("main.syscall")
    code.put(b"\x49\x3b\x66\x10\x74\x17")  # cmp rsp, [r14 + 16]; je more
    code.put(b"\x48\x83\xec\x58\x48\x8d\x4c\x24\x10\x74\x07")  # sub rsp, 88; lea rcx, [rsp + 16]; je fails
    code.syscall()
    code.put(b"\x48\x83\xc4\x58\xc3")  # add rsp, 88; ret
    code.call("main.index")  # fails:
    code.put(b"\x48\x89\x44\x24\x08")  # more: mov [rsp + 8], rax
    code.call(callee)
    code.put(b"\x48\x8b\x44\x24\x08")  # mov rax, [rsp + 8]
    code.jump("main.syscall")
    for name in (callee, "main.index"):
        code.label(name)
        code.put(b"\x0f\x0b")  # ud2
    found = analysed(code, {})
    assert found.complete is told
    assert "fcntl" in found.required


@pytest.mark.parametrize(("called", "complete"), [("main.next", True), ("runtime.gcWriteBarrier", False)])
def test_a_function_of_gos_leaves_no_address_in_a_register_unless_it_is_one_that_keeps_all(called: str, complete: bool):
    """What ``utf8.DecodeRune`` returns in rbx was added to a counter: it was taken for a closure's code before that."""
    code = calling(GETPID)
    code.label("main.add")
    code.to("main.closure", 7, lambda here, there: b"\x48\x8d\x1d" + struct.pack("<i", there - here - 7))  # lea rbx
    code.call(called)
    code.put(b"\x48\x8d\x34\x19")  # lea rsi, [rcx + rbx]
    code.ret()
    for each in (called, "main.closure"):
        code.label(each)
        code.ret()
    code.put(bytes(64))  # scans end before the last bytes of code
    found = analysed(code)
    assert found.complete == complete
    assert "getpid" in found.required
