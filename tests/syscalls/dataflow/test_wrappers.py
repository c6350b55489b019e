"""The number as a parameter: followed to whoever calls, jumps or falls into the function, by names or without."""

import struct
from collections.abc import Callable

import pytest
from assembled import CODE, DATA, X86, Arm, called, program
from msgspec import structs

from binsafe.model import Slice, Symbol
from binsafe.syscalls import analyse
from binsafe.syscalls.controlflow.program import Program
from binsafe.syscalls.dataflow.wrappers import argument
from binsafe.syscalls.decoding.decode import Decoder
from binsafe.syscalls.machines.x86_64 import X86_64


def call_sites(slice_: Slice):
    """Call -> where it is made; the analysis must have told all of them."""
    result = analyse(slice_)
    assert result.unresolved == ()
    assert result.complete
    return {name: [int(site, 16) for site in sites] for name, sites in result.sites.items()}


def wrapper(assembler: X86, name: str = "wrapper", register: str = "rdi") -> None:
    assembler.label(name)
    assembler.copy("rax", register)
    assembler.syscall()
    assembler.ret()


@pytest.mark.parametrize("functions", [("start", "wrapper"), ("start",)], ids=["symbols", "stripped"])
@pytest.mark.parametrize("register", ["rax", "rdi", "rsi", "r10"])
def test_every_caller_gives_its_number(functions: tuple[str, ...], register: str):
    assembler = X86()
    assembler.mov(register, 1)
    first = assembler.here
    assembler.call("wrapper")
    assembler.mov(register, 39)
    second = assembler.here
    assembler.call("wrapper")
    assembler.ret()
    wrapper(assembler, register=register)
    assert call_sites(program(assembler, functions=functions)) == {"write": [first], "getpid": [second]}


def test_the_outermost_of_several_levels_is_the_site():
    assembler = X86()
    assembler.mov("rdi", 39)
    site = assembler.here
    assembler.call("outer")
    assembler.ret()
    assembler.label("outer")
    assembler.copy("rsi", "rdi")
    assembler.call("middle")
    assembler.ret()
    assembler.label("middle")
    assembler.copy("rdi", "rsi")
    assembler.jump("wrapper")
    wrapper(assembler)
    assert call_sites(program(assembler, functions=("start", "outer", "middle", "wrapper"))) == {"getpid": [site]}


def test_a_tail_jump_of_two_bytes_to_a_neighbour():
    assembler = X86()
    assembler.mov("rdi", 39)
    assembler.short_jump("wrapper")
    wrapper(assembler)
    assert called(program(assembler, functions=("start", "wrapper"))) == {"getpid"}


@pytest.mark.parametrize(
    ("between", "known"),
    [(b"", True), (b"\x90\x66\x90", True), (b"\x66\x0f\x1f\x00\x90", True), (b"\xcc\x90", False), (b"\0\0", False)],
    ids=["nothing", "nops", "long nops", "a trap", "zeros"],
)
def test_code_that_falls_into_a_label(between: bytes, known: bool):
    """Over what aligns the label, too."""
    assembler = X86()
    assembler.mov("rax", 39)
    assembler.put(between)
    assembler.label("label")
    assembler.syscall()
    assembler.ret()
    assert called(program(assembler, functions=("start", "label"))) == ({"getpid"} if known else set())


def test_a_jump_from_a_split_off_part_into_the_middle():
    assembler = X86()
    assembler.mov("rbx", 1)
    assembler.ret()
    assembler.label("function")
    assembler.mov("rax", 1)
    assembler.label("middle")
    assembler.syscall()
    assembler.ret()
    assembler.label("cold")
    assembler.mov("rax", 39)
    assembler.jump("middle")
    assert called(program(assembler, functions=("start", "function", "cold"))) == {"write", "getpid"}


def test_a_parameter_on_the_stack_as_in_gos_first_convention():
    assembler = X86()
    assembler.put(b"\x55\x48\x83\xec\x20")  # push rbp; sub rsp, 32
    assembler.put(b"\x48\xc7\x04\x24" + struct.pack("<I", 39))  # mov qword [rsp], 39
    assembler.call("wrapper")
    assembler.ret()
    assembler.label("wrapper")
    assembler.put(b"\x41\x54")  # push r12
    assembler.put(b"\x48\x8b\x44\x24\x10")  # mov rax, [rsp + 16]
    assembler.syscall()
    assembler.ret()
    assert called(program(assembler, functions=("start", "wrapper"))) == {"getpid"}


def test_bytes_that_look_like_a_call_are_no_caller():
    assembler = X86()
    assembler.mov("rdi", 39)
    assembler.call("wrapper")
    assembler.mov("rdi", 1)
    assembler.to("wrapper", 10, lambda here, there: b"\x48\xb9\xe8" + struct.pack("<i", there - here - 7) + bytes(3))
    assembler.ret()
    wrapper(assembler)
    assert called(program(assembler, functions=("start", "wrapper"))) == {"getpid"}


def test_a_call_that_never_returns_is_no_way_to_what_follows():
    assembler = X86()
    assembler.mov("rax", 39)
    assembler.jump("go")
    assembler.call("crash")
    assembler.label("go")
    assembler.syscall()
    assembler.ret()
    assembler.label("crash")
    assembler.call("trap")
    assembler.put(b"\xcc")
    assembler.label("trap")
    assembler.put(b"\x0f\x0b")
    assert called(program(assembler, functions=("start", "crash", "trap"))) == {"getpid"}


def _pointed_at(assembler: X86) -> dict[str, bytes]:
    wrapper(assembler)
    return {"data": struct.pack("<Q", assembler.labels["wrapper"])}


def _loaded(assembler: X86) -> dict[str, bytes]:
    assembler.lea("wrapper")
    assembler.put(b"\x48\x89\xf8")  # mov rax, rdi
    assembler.ret()
    wrapper(assembler)
    return {}


def _named(assembler: X86) -> dict[str, bytes]:
    assembler.to("wrapper", 5, lambda _, there: b"\xbf" + struct.pack("<I", there))  # mov edi, wrapper
    assembler.ret()
    wrapper(assembler)
    return {}


@pytest.mark.parametrize(("take", "place"), [(_pointed_at, DATA), (_loaded, CODE + 10), (_named, CODE + 11)])
def test_a_wrapper_whose_address_is_taken_is_reported_with_the_place(
    take: Callable[[X86], dict[str, bytes]], place: int
):
    assembler = X86()
    assembler.mov("rdi", 39)
    assembler.call("wrapper")
    options = take(assembler)
    result = analyse(program(assembler, functions=("start", "wrapper"), **options))
    assert not result.complete
    assert "getpid" in result.required
    assert [gap.address for gap in result.unresolved] == [hex(assembler.labels["wrapper"])]
    assert result.unresolved[0].reason.endswith(f"taken at {place:#x}")


def test_an_address_that_two_instructions_spell_by_chance_is_not_taken():
    assembler = X86()
    assembler.mov("rdi", 39)
    assembler.call("wrapper")
    assembler.to("wrapper", 5, lambda _, there: b"\x04" + struct.pack("<I", there))  # add al, ..; adc [rax], al
    assembler.ret()
    size = assembler.here - CODE
    wrapper(assembler)
    slice_ = program(assembler, functions=("start", "wrapper"))
    sized = (Symbol(name="start", address=CODE, size=size), Symbol(name="wrapper", address=CODE + size, size=9))
    assert called(structs.replace(slice_, symbols=sized)) == {"getpid"}
    assert not analyse(slice_).complete  # what is not known to be a function may be anything


def test_a_wrapper_that_nothing_leads_to_makes_no_call():
    assembler = X86()
    assembler.mov("rax", 60)
    assembler.syscall()
    assembler.ret()
    wrapper(assembler)
    assert called(program(assembler, functions=("start", "wrapper"))) == {"exit"}


def test_one_unknown_caller_makes_the_list_incomplete_and_allows_nothing_more():
    assembler = X86()
    assembler.mov("rdi", 39)
    assembler.call("wrapper")
    assembler.put(b"\x48\x8b\x3e")  # mov rdi, [rsi]
    unknown = assembler.here - 3
    assembler.call("wrapper")
    assembler.ret()
    wrapper(assembler)
    result = analyse(program(assembler, functions=("start", "wrapper")))
    assert not result.complete
    assert [gap.address for gap in result.unresolved] == [hex(unknown)]
    assert set(result.sites) == {"getpid"}


@pytest.mark.parametrize("functions", [("start", "wrapper"), ("start",)], ids=["symbols", "stripped"])
def test_arm64_callers_and_tail_jumps(functions: tuple[str, ...]):
    assembler = Arm()
    assembler.mov(0, 64)
    first = assembler.here
    assembler.call("wrapper")
    assembler.mov(0, 172)
    second = assembler.here
    assembler.jump("wrapper")
    assembler.label("wrapper")
    assembler.copy(8, 0)
    assembler.syscall()
    assembler.ret()
    assert call_sites(program(assembler, functions=functions)) == {"write": [first], "getpid": [second]}


def test_arm64_address_computed_in_two_instructions():
    assembler = Arm()
    assembler.to("wrapper", 4, lambda _, __: struct.pack("<I", 0x9000_0001))  # adrp x1, this page
    assembler.to("wrapper", 4, lambda _, there: struct.pack("<I", 0x9100_0021 | (there & 0xFFF) << 10))
    assembler.ret()
    assembler.label("wrapper")
    assembler.copy(8, 0)
    assembler.syscall()
    assembler.ret()
    result = analyse(program(assembler, functions=("start", "wrapper")))
    assert [gap.address for gap in result.unresolved] == [hex(assembler.labels["wrapper"])]
    assert hex(CODE) in result.unresolved[0].reason


def test_evidence_is_capped_and_calls_are_not():
    assembler = X86()
    for _ in range(20):
        assembler.mov("rax", 39)
        assembler.syscall()
    assert len(call_sites(program(assembler))["getpid"]) == 8


@pytest.mark.parametrize("real", [False, True])
def test_a_call_by_chance_into_an_instruction_starts_no_function(real: bool):
    code = X86()
    code.call("f")
    code.put(b"\x48\xb8")  # movabs rax: its constant has the bytes of a call
    code.to("inside", 5, lambda here, there: b"\xe8" + (there - here - 5).to_bytes(4, "little", signed=True))
    code.put(b"\0\0\0\xc3")
    if real:
        code.call("inside")
    code.label("f")
    code.put(b"\xb8\x3c")
    code.label("inside")
    code.put(b"\0\0\0")
    code.syscall()
    code.ret()
    assert ("exit" in set(analyse(program(code)).sites)) is not real


def test_a_start_is_forgotten_where_finding_out_has_others_forgotten_before_it():
    """A call by chance stands in a region that itself begins where one leads by chance."""
    code = X86()

    def by_chance(label: str) -> None:
        code.put(b"\x48\xb8")  # movabs rax: its constant has the bytes of a call
        code.to(label, 5, lambda here, there: b"\xe8" + (there - here - 5).to_bytes(4, "little", signed=True))
        code.put(b"\0\0\0")

    for label in ("f", "g", "h"):
        code.call(label)
    by_chance("inside f")
    code.ret()
    code.label("f")
    code.put(b"\xb8\x01")
    code.label("inside f")
    code.put(b"\0\0\0")
    by_chance("inside g")
    code.ret()
    code.label("g")
    code.put(b"\xb8\x3c")
    code.label("inside g")
    code.put(b"\0\0\0")
    code.syscall()
    code.ret()
    code.label("h")
    code.mov("rax", 39)
    code.syscall()
    code.ret()
    assert {"exit", "getpid"} <= set(analyse(program(code)).sites)


def test_a_number_is_told_beside_one_whose_way_has_no_end():
    code = X86()
    for step in range(60):
        code.jump_if_zero(f"step {step}")
        code.label(f"step {step}")
    code.label("far")
    code.syscall()
    code.mov("rdi", 39)
    code.label("near")
    code.syscall()
    code.ret()
    taken_apart = Program(program(code), X86_64(), Decoder("x86_64", 20_000))
    places = [taken_apart.place(code.labels[label]) for label in ("near", "far")]
    for order in (places, places[::-1]):
        found = argument(taken_apart, order, "rdi", steps=0)
        assert {number.value for number in found.numbers} == {39}
        assert [gap.reason for gap in found.gaps] == ["the number is set too far away"]


def test_nothing_leads_into_two_instructions_of_padding_before_a_function_that_only_a_jump_names():
    """As in musl without symbols, where ``__syscall_cp`` is nothing but a jump (``src/thread/__syscall_cp.c``)."""
    assembler = X86()
    assembler.mov("rdi", 39)
    assembler.call("wrapper")
    assembler.ret()
    assembler.put(b"\x66\x2e\x0f\x1f\x84" + bytes(5) + b"\x66\x90")  # nop word ptr cs:[rax + rax], xchg ax, ax
    wrapper(assembler, "inner")
    assembler.label("wrapper")
    assembler.jump("inner")
    assert called(program(assembler, functions=("start", "wrapper"))) == {"getpid"}


@pytest.mark.parametrize(
    ("between", "told"),
    [
        (b"\xc3", True),
        (b"\xc4\xe2\x79\xe6\x08\xc3", False),
        (b"\xeb\x01\xb9\x90\x90\x90\x90\xc3", False),
    ],
    ids=["in step", "behind an instruction that is not known", "beside a way into the middle of one"],
)
def test_a_function_that_nothing_calls_passes_nothing(between: bytes, told: bool):
    """As musl's ``__syscall_cp`` in Zig's programs, where what it jumps to is called in its place."""
    assembler = X86()
    assembler.mov("rdi", 39)
    assembler.call("inner")
    assembler.ret()
    wrapper(assembler, "inner")
    assembler.put(between)
    assembler.jump("inner")
    found = analyse(program(assembler))
    assert "getpid" in found.sites
    assert found.complete is told
