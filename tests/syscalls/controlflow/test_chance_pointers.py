"""Words of memory that look like the address of a label by chance, and those that are one.

The label stands between a number and its call, so that another number could be brought there; in programs for arm64,
which lie at small addresses, each kind was met several times.
"""

import sys
from pathlib import Path

import pytest
from compiled import bare, calls, needs_compiler

pytestmark = [
    needs_compiler,
    pytest.mark.skipif(sys.platform != "linux", reason="Linux programs are compiled"),
]

_LABELLED = (
    ".type _start,@function; mov $39,%%eax; .p2align %d; 2: syscall; hlt; .size _start,.-_start; .section %s; .text"
)
_AT = 0x41_2300
"""A multiple of 256, as the label's address then is."""


@pytest.mark.parametrize(
    ("section", "complete"),
    [
        ('.gcc_except_table,\\"a\\"; .p2align 3; .quad 2b', True),
        ('.gcc_except_table,\\"a\\"; .p2align 3; .byte 1; .quad 2b', True),
        (".rodata; .p2align 3; .quad 2b", False),
        (".rodata; .p2align 3; .byte 1; .quad 2b", False),
    ],
    ids=["handlers", "handlers-odd", "pointer", "packed"],
)
def test_what_says_where_exceptions_are_caught_holds_no_addresses(section: str, complete: bool, tmp_path: Path):
    assert calls(bare(tmp_path, _LABELLED % (0, section))).complete is complete


_COMMON = "8: .long 1f-0f; 0: .long 0; .byte 1; .asciz %s; .uleb128 1; .sleb128 -8; .byte 16; %s; .p2align 2; 1: "
_FRAME = ".long 1f-0f; 0: .long 0b-8b, _start-., 16; .byte 0, 0, 15, %s; 1:"


@pytest.mark.parametrize(
    ("frames", "complete"),
    [
        (_COMMON % ('\\"zR\\"', ".byte 1, 0x1b") + _FRAME % "9, 3; .quad 2b", True),
        (_COMMON % ('\\"zPR\\"', ".byte 10, 0; .quad 2b; .byte 0x1b") + _FRAME % "1, 0", False),
        (_COMMON % ('\\"R\\"', ".byte 0x1b") + _FRAME % "9, 3; .quad 2b", False),
    ],
    ids=["frames", "a function that the unwinder calls", "not understood"],
)
def test_what_says_how_to_unwind_holds_the_addresses_of_its_own_functions_alone(
    frames: str, complete: bool, tmp_path: Path
):
    text = _LABELLED % (0, f'.eh_frame,\\"a\\"; .p2align 3; {frames}')
    found = calls(bare(tmp_path, text))
    assert (set(found.sites), found.complete) == ({"getpid"}, complete)


@pytest.mark.parametrize(
    ("words", "complete"),
    [(".long 0x43, 0x45, 0, 0x47", True), (".long 0x43, 0x450000, 0, 0", False), (".byte 1; .quad 2b; .byte 3", False)],
    ids=["letter", "half aligned", "packed"],
)
def test_a_wide_character_is_no_address_with_the_zeros_before_it(words: str, complete: bool, tmp_path: Path):
    found = calls(bare(tmp_path, _LABELLED % (16, f".rodata; .p2align 3; {words}"), "-Wl,-Ttext=0x440000"))
    assert found.complete is complete
    assert set(found.sites) == {"getpid"}


@pytest.mark.parametrize(
    ("words", "complete"),
    [
        (f".quad 0x1234, {_AT >> 8:#x}", True),
        (f".quad 0x1234, {_AT >> 8:#x} + (1 << 56)", False),
        (".byte 1, 2, 3, 4, 5, 6, 7; .quad 2b; .byte 1", False),
        (".byte 1, 2, 3, 4, 5; .quad 2b", False),
    ],
    ids=["number", "more", "packed", "packed elsewhere"],
)
def test_a_number_in_an_aligned_word_is_no_address_with_the_zero_before_it(words: str, complete: bool, tmp_path: Path):
    text = _LABELLED % (8, f".rodata; .p2align 3; {words}")
    found = calls(bare(tmp_path, text, f"-Wl,-Ttext={_AT - 0x100:#x}"))
    assert found.complete is complete
    assert set(found.sites) == {"getpid"}


def test_a_functions_address_counts_though_it_looks_like_a_number(tmp_path: Path):
    """In a packed structure, as ``f`` is called by who reads it there."""
    text = (
        ".type _start,@function; mov $39,%edi; call f; hlt; .size _start,.-_start; .p2align 8; .type f,@function; "
        f"f: mov %edi,%eax; syscall; ret; .size f,.-f; .section .rodata; .p2align 3; .quad 1, {_AT >> 8:#x}; .text"
    )
    found = calls(bare(tmp_path, text, f"-Wl,-Ttext={_AT - 0x100:#x}"))
    assert not found.complete
