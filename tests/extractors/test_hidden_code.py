"""What a list of names or calls does not show: code that is made, packed, mapped beside the rest, or changed later."""

import random
from pathlib import Path

import msgspec
import pytest
from minimal_slices import DATA, TEXT, calls, code_in_a_page, importing
from network_verdicts import reasons, verdict_of

from binsafe.model import Section, Segment


@pytest.mark.parametrize("code", [b"\xb8\x29\0\0\0\x0f\x05", b"\xb8\x66\0\0\0\xbb\x01\0\0\0\xcd\x80"])
def test_code_that_no_section_has_runs_all_the_same(code: bytes):
    page = memoryview(b"\xc3".ljust(256, b"\0") + code)
    segment = Segment(
        name="LOAD", address=TEXT, memory_size=512, offset=0, file_size=len(page), readable=True, writable=False,
        executable=True,
    )  # fmt: skip
    section = Section(name=".text", address=TEXT, size=16, offset=0, executable=True)
    slice_ = importing("puts", data=page, segments=(segment,), sections=(section,))
    assert f"at {TEXT + len(page) - 2:#x}" in reasons(slice_)


CALLING_MMAP = b"\xb9\x22\0\0\0\xba%c\0\0\0\xe8\0\0\0\0"
"""mov ecx, MAP_PRIVATE | MAP_ANONYMOUS; mov edx, ...; call"""


CALL = 10


@pytest.mark.parametrize(("protection", "verdict"), [(7, "unknown"), (5, "unknown"), (3, "no")])
def test_code_that_is_made_while_it_runs_may_be_for_the_network(protection: int, verdict: str):
    slice_ = importing("mmap", data=memoryview(CALLING_MMAP % protection))
    [entry] = slice_.imports
    assert entry.address is not None
    sites = {entry.address: (DATA + CALL,)}
    assert verdict_of(slice_, sites=sites, syscalls=calls("mmap")) == verdict


def test_code_that_is_made_by_a_call_of_its_own_may_be_for_the_network():
    slice_ = importing("puts", data=memoryview(CALLING_MMAP % 7))
    known = calls("mmap", sites={"mmap": (hex(DATA + CALL),)})
    assert "makes code" in reasons(slice_, syscalls=known)


def test_data_without_any_order_may_be_code_that_is_not_unpacked_yet():
    noise = random.Random(1).randbytes(64 * 1024)
    assert "compressed or encrypted" in reasons(importing("puts", data=memoryview(noise)), syscalls=calls("read"))
    for ordinary in (noise[:20_000], bytes(64 * 1024), Path(__file__).read_bytes() * 20):
        assert verdict_of(importing("puts", data=memoryview(ordinary)), syscalls=calls("read")) == "no"


def test_calls_by_the_numbers_of_32_bit_programs_may_be_for_the_network():
    """socketcall(2) by ``int 0x80``: a list of 64-bit calls does not have it."""
    code = b"\xb8\x66\0\0\0\xbb\x01\0\0\0\x89\xe1\xcd\x80"
    section = Section(name=".text", address=DATA, size=len(code), offset=0, executable=True)
    slice_ = importing("puts", data=memoryview(code), sections=(section,))
    assert f"at {DATA + len(code) - 2:#x}" in reasons(slice_, syscalls=calls("read"))
    assert verdict_of(importing("puts", data=memoryview(code)), syscalls=calls("read")) == "no"  # that is no code


def test_what_is_mapped_beside_the_code_may_be_for_the_network():
    """A page is mapped whole: bytes before the segment's first one and behind its last one can be jumped to."""
    for at, size, place in ((256, 3840, 128), (0, 3900, 4000)):
        assert f"at {TEXT + place:#x}" in reasons(code_in_a_page(at, size), syscalls=calls("read"))
    assert verdict_of(code_in_a_page(0, 4096), syscalls=calls("read")) == "no"  # its own calls are in the list
    assert verdict_of(code_in_a_page(256, 3840, executable=False), syscalls=calls("read")) == "no"


def test_a_call_beside_the_code_whose_bytes_begin_another_one():
    """The kernel looks at no operand of ``svc``, whose bytes can be chosen so that one begins two bytes earlier."""
    page = bytearray(4096)
    page[126:132] = b"\x01\x00\x01\xd4\x00\xd4"
    slice_ = msgspec.structs.replace(code_in_a_page(256, 3840), arch="arm64", data=memoryview(page))
    assert f"at {TEXT + 128:#x}" in reasons(slice_, syscalls=calls("read"))


def test_code_that_can_be_written_may_become_something_else():
    assert "can be written" in reasons(code_in_a_page(0, 4096, writable=True), syscalls=calls("read"))
