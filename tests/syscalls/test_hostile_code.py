"""Bytes that were made to mislead or to cost time: an answer that says what it does not know, and soon."""

import os
import struct
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from assembled import CODE, DATA, X86, program, segment
from compiled import build, calls, library, needs_compiler
from hypothesis import given, settings
from hypothesis import strategies as st

from binsafe.formats import parse
from binsafe.limits import MAX_INSTRUCTIONS
from binsafe.model import Section
from binsafe.syscalls import analyse, summarise_library

BUDGET = 200_000


def exits() -> X86:
    assembler = X86()
    assembler.mov("rax", 60)
    assembler.syscall()
    return assembler


@pytest.mark.parametrize(
    "changes",
    [
        {"format": "pe"},
        {"arch": "riscv64"},
        {"linkage": "dynamic"},
        {"linkage": None},
        {"byte_order": "big"},
    ],
    ids=str,
)
def test_what_is_not_analysed_is_none_and_not_an_empty_list(changes: dict[str, str | None]):
    assert analyse(msgspec.structs.replace(program(exits()), **changes)) is None


def test_the_bytes_of_the_instruction_inside_another_one_are_no_site():
    assembler = X86()
    assembler.put(b"\xbf\x0f\x05\x0f\x05")  # mov edi, 0x050f050f
    assembler.mov("rax", 60)
    assembler.syscall()
    result = analyse(program(assembler))
    assert result.complete
    assert set(result.sites) == {"exit"}


def test_constants_in_the_executable_segment_are_no_code():
    assembler = exits()
    assembler.ret()
    assembler.put(b"\x0f\x05" * 8)
    assert analyse(program(assembler, constants=16)).complete
    assert not analyse(program(assembler)).complete


def test_a_site_at_the_very_end_of_the_file():
    assembler = exits()
    assert analyse(program(assembler)).sites == {"exit": (hex(CODE + 5),)}
    cut = program(assembler)
    half = msgspec.structs.replace(cut, data=cut.data[:-1])
    assert analyse(half).sites == {}


def test_code_that_decodes_to_nothing():
    assembler = X86()
    assembler.put(b"\x06" * 5000)  # push es: no instruction in 64-bit mode
    assembler.mov("rax", 60)
    assembler.syscall()
    assert set(analyse(program(assembler)).sites) == {"exit"}


def test_an_entry_point_outside_the_code_is_reported():
    result = analyse(msgspec.structs.replace(program(exits()), entry=DATA))
    assert not result.complete
    assert result.unresolved[0].address == hex(DATA)


def test_a_used_up_budget_is_reported_and_nothing_is_allowed_for_it():
    assembler = X86()
    for number in range(100):
        assembler.mov("rax", number)
        assembler.syscall()
    full = analyse(program(assembler))
    short = analyse(program(assembler), max_instructions=150)
    assert full.complete
    assert not short.complete
    assert "more than 150 instructions" in short.unresolved[-1].reason
    assert set(short.required) < set(full.required)


def test_a_huge_function_is_seen_in_windows_and_far_numbers_are_reported():
    assembler = X86()
    assembler.mov("rax", 39)
    assembler.syscall()
    assembler.mov("rbx", 60)
    assembler.put(b"\x90" * 3_000_000)
    assembler.copy("rax", "rbx")
    assembler.syscall()
    result = analyse(program(assembler))
    assert "getpid" in result.required
    assert ["very large function" in gap.reason for gap in result.unresolved] == [True]


def _squared() -> X86:
    assembler = X86()
    assembler.put(b"\xff\xe2" * 20_000)  # jmp rdx: each leads to each
    assembler.syscall()
    return assembler


def test_jumps_that_each_lead_to_each_are_paid_for_once():
    assembler = exits()
    assembler.put(b"\xff\xe2" * 200)  # jmp rdx
    assembler.syscall()
    found = analyse(program(assembler), max_instructions=BUDGET)
    assert found is not None
    assert ["would have to be decoded" in gap.reason for gap in found.unresolved] == [False] * len(found.unresolved)


def _all_sites() -> X86:
    assembler = X86()
    assembler.put(b"\x0f\x05" * 300_000)
    return assembler


def _all_calls() -> X86:
    assembler = X86()
    assembler.put(b"\xe8\0\0\0\0" * 100_000 + b"\x0f\x05")
    return assembler


def _sites_behind_jumps() -> X86:
    """To each site leads nothing but a jump that is computed, which may be each of them."""
    assembler = X86()
    for _ in range(150):
        assembler.put(b"\x48\x8d\x1d\6\0\0\0\x48\x83\xc3\5\xff\xe3\x0f\x05")  # lea rbx, [rip]; add rbx; jmp rbx
    return assembler


def _timed(code: X86, budget: int) -> tuple[bool, float]:
    """Whether the list is complete, and the processor's seconds that it took."""
    slice_ = program(code)
    began = time.process_time()
    return analyse(slice_, max_instructions=budget).complete, time.process_time() - began


@pytest.mark.parametrize("make", [_squared, _all_sites, _all_calls, _sites_behind_jumps])
def test_the_budget_bounds_the_time(make: Callable[[], X86]):
    plain = X86()
    plain.put(b"\x90" * BUDGET * 2)
    plain.syscall()
    complete, seconds = _timed(make(), BUDGET)
    assert not complete
    assert seconds < 20 * _timed(plain, BUDGET)[1]


def test_thousands_of_numbers_in_one_function_take_so_many_times_one():
    few, many = X86(), X86()
    few.put(b"\xb8\x27\0\0\0\x0f\x05" * 1_000)  # mov eax, 39; syscall
    many.put(b"\xb8\x27\0\0\0\x0f\x05" * 8_000)
    assert _timed(many, MAX_INSTRUCTIONS)[1] < 14 * _timed(few, MAX_INSTRUCTIONS)[1]


def test_the_budget_bounds_the_search_through_tables():
    """A function of nothing but jumps through tables, each of which may begin at each of hundreds of addresses.

    Each leads to the next, in between the address and the jump, so that this may go through all tables before.
    """
    assembler, distances = X86(), b""
    for number in range(300):
        table = DATA + 4 * number
        assembler.put(b"\x48\x8d\x15" + (table - assembler.here - 7).to_bytes(4, "little", signed=True))
        behind = assembler.here + (16 if number < 299 else 9)
        distances += (behind - table).to_bytes(4, "little", signed=True)
        # lea rdx, [rip + table]; movsxd rax, [rdx + rax*4]; add rax, rdx; jmp rax
        assembler.put(b"\x48\x63\x04\x82\x48\x01\xd0\xff\xe0")
    assembler.mov("rax", 41)
    assembler.syscall()
    slice_ = program(assembler, data=distances, writable=False)
    began = time.process_time()
    result = analyse(slice_, max_instructions=BUDGET)
    assert not result.complete
    assert "instructions would have to be decoded" in result.unresolved[0].reason
    assert not result.arguments
    assert time.process_time() - began < 20


def test_thousands_of_segments_over_the_same_bytes():
    base = program(exits(), data=bytes(1 << 20))
    many = tuple(segment(DATA + 2 * i * len(base.data), 0, len(base.data), executable=True) for i in range(4096))
    result = analyse(msgspec.structs.replace(base, segments=(*base.segments, *many)), max_instructions=BUDGET)
    assert not result.complete


@pytest.mark.parametrize("address", [1 << 57, 1 << 63, (1 << 64) - 16, (1 << 64) - 1])
def test_addresses_that_no_program_can_have(address: int):
    base = program(exits())
    wild = segment(address, 0, len(base.data), executable=True)
    sections = (Section(name=".eh_frame_hdr", address=address, size=1 << 63, offset=0),)
    result = analyse(msgspec.structs.replace(base, segments=(wild,), sections=sections, entry=address))
    assert not result.complete


@needs_compiler
@pytest.mark.parametrize("field", ["segment", "init"])
def test_addresses_that_no_library_can_have(field: str, tmp_path: Path):
    source = 'const char names[] = "libgcc_s.so.1"; void entry(void) {}'
    data = bytearray(library(tmp_path, "wild", source, "-nostdlib", "-Wl,-init,entry").read_bytes())
    if field == "init":
        at = next(n for n in range(0, len(data), 8) if data[n : n + 8] == struct.pack("<Q", 12) and data[n + 9])
        data[at + 15] |= 0x80
    else:
        segments = (64 + 56 * n for n in range(data[56]))
        at = next(n for n in segments if data[n : n + 8] == struct.pack("<II", 1, 5))
        data[at + 22 : at + 24] = b"\xff\xff"
    assert summarise_library(memoryview(bytes(data))) is not None


@needs_compiler
def test_a_relocation_of_a_symbol_that_is_not_there(tmp_path: Path):
    """``r_info`` of ``Elf64_Rela`` has the symbol's number in its upper half; the loader would read far outside."""
    path = build(tmp_path, "program", "int acct(const char *); int main(void) { return acct(0); }", "-Wl,-z,lazy")
    data = bytearray(path.read_bytes())
    section = parse(memoryview(data)).slices[0].section(".rela.plt")
    assert section is not None
    assert section.offset
    data[section.offset + 12 : section.offset + 16] = b"\xff\xff\xff\x7f"
    path.write_bytes(data)
    assert "exit_group" in calls(path).required


def test_an_unwind_index_that_lies_about_its_length():
    base = program(
        exits(), data=bytes((1, 0x1B, 0x03, 0x3B)) + bytes(4) + struct.pack("<I", 0xFFFF_FFFF) + b"\xff" * 21
    )
    section = Section(name=".eh_frame_hdr", address=DATA, size=33, offset=len(base.data) - 33)
    assert analyse(msgspec.structs.replace(base, sections=(*base.sections, section))).complete


@settings(max_examples=60, deadline=None)
@given(st.binary(min_size=1, max_size=600), st.sampled_from(["x86_64", "arm64"]), st.integers(0, (1 << 64) - 1))
def test_any_bytes_give_an_answer(data: bytes, arch: str, address: int):
    base = program(exits())
    slice_ = msgspec.structs.replace(
        base,
        arch=arch,
        data=memoryview(data),
        entry=CODE,
        segments=(
            segment(CODE, 0, len(data), executable=True),
            segment(address, len(data) // 2, 1 << 62, executable=True),
        ),
        sections=(),
    )
    result = analyse(slice_, max_instructions=BUDGET)
    assert result.complete is (not result.unresolved)
    assert set(result.sites) <= set(result.required)


def test_random_code_ends():
    data = os.urandom(1 << 18)
    base = program(exits())
    slice_ = msgspec.structs.replace(
        base, data=memoryview(data), segments=(segment(CODE, 0, len(data), executable=True),), sections=()
    )
    assert analyse(slice_, max_instructions=BUDGET) is not None


@pytest.mark.parametrize("between", [b"", b"\x15\0\0\0\xd8\xf7", b"\x15\0\0\0\xd8\xf4"], ids=["nothing", "junk", "hlt"])
def test_a_site_that_zeros_run_into_is_data_and_makes_no_gap(between: bytes):
    code = exits()
    code.ret()
    code.put(bytes(8) + between + b"\x0f\x05" + b"\xc3")  # as in the tables in front of GHC's functions
    found = analyse(program(code))
    assert found is not None
    assert found.complete
    assert set(found.sites) == {"exit"}


@pytest.mark.parametrize("between", [b"\xeb\x08" + bytes(8), bytes(8) + b"\xff\xe0"], ids=["jumped over", "a jump"])
def test_a_site_of_an_unknown_number_behind_code_that_zeros_run_into_leaves_a_gap(between: bytes):
    code = X86()
    code.put(between + b"\x0f\x05\xc3")
    assert not analyse(program(code)).complete


@pytest.mark.parametrize("site", [b"\x0f\x05", b"\xcd\x80"], ids=["syscall", "int 0x80"])
def test_a_site_that_nothing_runs_into_and_zeros_follow_is_data_and_makes_no_gap(site: bytes):
    """The first number in a table in front of a function of GHC's."""
    table = site + b"\x01" + bytes(5) + b"\x1e" + bytes(3)
    code = exits()
    code.ret()
    code.put(b"\x66\x90" + table)
    assert analyse(program(code)).complete
    code = exits()
    code.put(table)
    assert not analyse(program(code)).complete


def test_of_a_program_too_large_for_its_budget_what_was_found_is_kept():
    code = exits()
    for number in (1, 3, 39):
        code.mov("rax", number)
        code.syscall()
    code.put(b"\x90" * 5000)
    for _ in range(200):
        code.put(b"\x01\xc8\x0f\x05")
    found = analyse(program(code), max_instructions=60_000)
    assert found is not None
    assert not found.complete
    assert {"exit", "write", "close", "getpid"} <= set(found.required)
