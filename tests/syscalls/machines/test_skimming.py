"""Numbers that bytes alone tell: the same that decoding tells, and none where more than those bytes would be needed."""

import random
import struct
from pathlib import Path

import msgspec
import pytest
from assembled import X86, called, program, reasons

from binsafe.formats import elf
from binsafe.formats.elf_linking import of_slice
from binsafe.model import Slice
from binsafe.syscalls.controlflow.program import Program
from binsafe.syscalls.decoding.decode import Decoder
from binsafe.syscalls.entries import Entries, entries
from binsafe.syscalls.machines import x86_64_skimming
from binsafe.syscalls.machines.x86_64 import X86_64

_BUDGET = 10**9
_LIBC = Path("/lib/x86_64-linux-gnu/libc.so.6")
_SITE = b"\x0f\x05"


def test_sizes_are_those_that_the_decoder_finds():
    numbers, decoder, known = random.Random(4), Decoder("x86_64", _BUDGET), 0
    rex = [b"", *(bytes([0x40 + bits]) for bits in (0, 1, 4, 5, 8, 9, 12, 13))]
    for prefix in (b"", b"\x66", b"\x64", b"\xf0", b"\xf3"):
        for opcode in (kind + bytes([number]) for kind in (b"", b"\x0f") for number in range(256)):
            for _ in range(24):
                code = prefix + numbers.choice(rex) + opcode + numbers.randbytes(13)
                size, begins = x86_64_skimming._size(code, 0), [0]
                x86_64_skimming._walk(code, begins, 1)
                assert begins == [0, size][: 1 + bool(size)], code.hex()
                if size:
                    known += 1
                    found = decoder.sweep(code[:size], 0)
                    assert [(each.size, each.mnemonic != ".byte") for each in found] == [(size, True)], code.hex()
    assert known > 5_000


class _Decoding(X86_64):
    """The same processor, of which nothing is told by bytes."""

    @staticmethod
    def set_numbers(*_: object) -> tuple[tuple[int, int, int], ...]:
        return ()


@pytest.mark.skipif(not _LIBC.is_file(), reason="needs glibc of x86-64")
def test_the_c_library_has_the_same_entries_without():
    def found(machine: X86_64) -> tuple[Entries, int]:
        slice_ = elf.read(memoryview(_LIBC.read_bytes())).slices[0]
        decoder = Decoder("x86_64", _BUDGET)
        return entries(Program(slice_, machine, decoder, of_slice(slice_))), _BUDGET - decoder.budget

    (told, less), (decoded, more) = found(X86_64()), found(_Decoding())
    assert told.numbers == decoded.numbers
    assert told.gaps == decoded.gaps
    assert set(told.sites) == set(decoded.sites)
    assert less < more


def _numbers(code: bytes) -> list[int]:
    return [number for number, _, _ in x86_64_skimming.set_numbers(code + _SITE + b"\xc3", [len(code)])]


@pytest.mark.parametrize(
    ("code", "number"),
    [
        ("f30f1efa b827000000", 39),
        ("31c0", 0),
        ("48c7c027000000", 39),
        ("b827000000 4531c0 ba01000000 4889fe 8b3f", 39),
        ("b8ca000000 4080f680 81e680000000 83c201 29fe 41c70000000000", 202),
        ("b801000000 b827000000", 39),
    ],
)
def test_a_number_is_told_that_is_set_before_a_site(code: str, number: int):
    assert _numbers(bytes.fromhex(code)) == [number]


@pytest.mark.parametrize(
    "code",
    [
        "41b827000000",  # mov r8d, 39
        "8bb827000000",  # mov edi, [rax + 39]
        "48b827000000",  # mov rax, of which the site's bytes are the rest
        "b827000000 4489c0",  # mov eax, r8d
        "b827000000 8b07",  # mov eax, [rdi]
        "b827000000 83c001",  # add eax, 1
        "b827000000 80f401",  # xor ah, 1
        "b827000000 e800000000",  # call
        "b827000000 7400",  # je
        "b827000000 58",  # pop rax
        "b827000000 4158",  # pop r8: it is not looked for
        "b827000000 0f05",  # another call, which returns something
        "c5f877 b827000000",  # vzeroupper: unusual
        "0000 b827000000",  # zeros
    ],
)
def test_no_number_is_told_that_something_else_sets(code: str):
    assert not _numbers(bytes.fromhex(code))


@pytest.mark.parametrize("behind", ["ffe0", "ff20", "c7f800000000"])
def test_nothing_is_told_of_functions_with_ways_that_bytes_do_not_show(behind: str):
    code = bytes.fromhex("b827000000 0f05") + bytes.fromhex(behind)
    assert not x86_64_skimming.set_numbers(code, [5])
    chance = bytes.fromhex("b827000000 0f05 e8ff201234 c3")  # the same bytes in a call's displacement
    assert len(x86_64_skimming.set_numbers(chance, [5])) == 1


@pytest.mark.parametrize("jump", ["short", "near"])
def test_a_jump_between_a_number_and_its_site_brings_another_one(jump: str):
    assembler = X86()
    assembler.mov("rax", 1)
    if jump == "short":
        assembler.to("between", 2, lambda here, there: b"\xeb" + struct.pack("<b", there - here - 2))
    else:
        assembler.to("between", 5, lambda here, there: b"\xe9" + struct.pack("<i", there - here - 5))
    assembler.mov("rax", 39)
    assembler.label("between")
    assembler.put(b"\x31\xff")  # xor edi, edi
    assembler.syscall()
    assembler.ret()
    assert called(_with_sizes(assembler)) == {"write", "getpid"}


def test_a_pointer_at_an_odd_place_that_bypasses_a_number_leaves_it_unknown():
    assembler = X86()
    assembler.mov("rax", 39)
    between = assembler.here
    assembler.put(b"\x31\xff")  # xor edi, edi
    assembler.syscall()
    assembler.ret()
    assert called(_with_sizes(assembler)) == {"getpid"}
    assert reasons(_with_sizes(assembler, data=b"\0\0\0" + struct.pack("<Q", between)))


def test_a_function_that_reads_its_own_address_may_go_on_anywhere_in_it():
    assembler = X86()
    assembler.put(b"\xe8\0\0\0\0\x59\x48\x01\xd1\x51\xc3")  # call $+5; pop rcx; add rcx, rdx; push rcx; ret
    assembler.mov("rax", 39)
    assembler.put(b"\x31\xff")
    assembler.syscall()
    assembler.ret()
    assert reasons(_with_sizes(assembler))


def _with_sizes(assembler: X86, data: bytes = b"") -> Slice:
    """The program, of which a table says where its function ends."""
    whole = program(assembler, data=data)
    symbols = (msgspec.structs.replace(whole.symbols[0], size=len(assembler.code())),)
    return msgspec.structs.replace(whole, symbols=symbols)
