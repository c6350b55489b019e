"""What glibc's own code is known by on ways that are never taken: where a part of that is missing the call counts."""

from pathlib import Path

import pytest
from compiled import bare, calls, needs_compiler

pytestmark = needs_compiler

_OF_GLIBC = '; .section .rodata; .asciz \\"GLIBC_TUNABLES\\"; .text'


def _function(name: str, text: str) -> str:
    return f"; .p2align 4; .type {name},@function; {name}: {text}; .size {name},.-{name}"


def _made(folder: Path, text: str) -> set[str]:
    found = calls(bare(folder, text + _OF_GLIBC))
    assert found.complete
    return set(found.required)


_STARTS = _function(
    "starts", "call *(%rdi); lock decl 4(%rsi); jne 1f; mov $231,%eax; syscall; 1: mov $60,%eax; syscall; hlt"
)
"""What calls ``main``, and ends the first thread where there is another."""
_SECOND = _function("second", "call starts; ret")


@pytest.mark.parametrize(
    ("ends", "text"),
    [
        (False, "call starts; hlt" + _STARTS),
        (False, "call first; hlt" + _function("first", "call starts; ret") + _STARTS),
        (True, "call first; hlt" + _function("first", "call second; ret") + _SECOND + _STARTS),
        (True, "call starts; hlt" + _STARTS.replace("lock decl", "decl")),
        (True, "mov $56,%eax; mov $0x10000,%edi; syscall; call starts; hlt" + _STARTS),
        (True, "mov (%rsp),%rdi; mov $56,%eax; syscall; call starts; hlt" + _STARTS),
        (True, "mov $435,%eax; syscall; call starts; hlt" + _STARTS),
        (False, "mov $56,%eax; mov $0x11,%edi; syscall; call starts; hlt" + _STARTS),
    ],
    ids=["at-once", "by-another", "further-away", "not-counted", "thread", "unknown-flags", "clone3", "process"],
)
def test_the_first_thread_ends_where_there_are_others_or_it_is_not_the_start(tmp_path: Path, ends: bool, text: str):
    assert ("exit" in _made(tmp_path, text)) is ends


_ASKS = _function("asks", "mov $143,%eax; syscall; ret")
_INITIALISES = _function(
    "initialises",
    "mov (%rdi),%eax; and $0x30000000,%eax; cmp $0x20000000,%eax; jne 1f; call asks; "
    "1: mov (%rdi),%edx; and $0xf000fff,%edx; ret",
)
"""As ``pthread_mutex_init`` compares the protocol of an attribute, and leaves its other bits."""


@pytest.mark.parametrize(
    ("part", "other"),
    [
        ("", ""),
        ("cmp $0x20000000,%eax", "test $0x20000000,%eax"),
        ("and $0x30000000,%eax", "nop"),
        ("and $0x30000000,%eax", "and $0x30000000,%ecx"),
        ("and $0x30000000,%eax", "and $0x30000000,%eax; inc %ecx; inc %ecx; inc %ecx; inc %ecx"),
        ("and $0xf000fff,%edx", "and $0xf000ff0,%edx"),
    ],
    ids=["all", "compared", "masked", "the-same", "near", "other-bits"],
)
def test_a_mutex_asks_for_priorities_where_it_is_not_surely_of_glibc(tmp_path: Path, part: str, other: str):
    initialises = _INITIALISES.replace(part, other) if part else _INITIALISES
    found = _made(tmp_path, "call initialises; hlt" + initialises + _ASKS)
    assert ("sched_getparam" in found) is bool(part)
