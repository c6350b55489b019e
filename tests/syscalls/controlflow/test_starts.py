"""Where instructions and functions start, asked in the ways that cost less than to decode and to search."""

import random

import numpy as np
from assembled import CODE, X86, program

from binsafe.syscalls.controlflow.layout import Layout
from binsafe.syscalls.controlflow.program import Program
from binsafe.syscalls.decoding.decode import Decoder
from binsafe.syscalls.machines.x86_64 import X86_64

DECODED = 20_000


def taken_apart(code: bytes) -> Program:
    assembled = X86()
    assembled.put(code)
    return Program(program(assembled), X86_64(), Decoder("x86_64", DECODED))


def test_an_instruction_starts_where_it_does_when_all_is_decoded():
    code = random.Random(3).randbytes(600)
    addresses = range(CODE, CODE + len(code))
    expected = {at for at in addresses if taken_apart(code).place(at) is not None}
    assert {at for at in addresses if taken_apart(code).is_start(at)} == expected
    known = taken_apart(code)
    known.region(CODE)
    assert {at for at in addresses if known.is_start(at)} == expected
    assert not known.is_start(CODE - 1)


def test_of_what_is_behind_an_address_nothing_is_decoded_to_know_whether_an_instruction_starts_there():
    found = taken_apart(b"\x90" * 10_000)
    before = found.decoder.budget
    assert found.is_start(CODE + 10)
    assert before - found.decoder.budget < 30


def test_a_function_goes_on_over_what_a_call_by_chance_leads_to():
    """Whoever asked for its first half before its second one was told that it ends there, in an instruction."""
    code = b"\x48\xb8\xe8\x1a\0\0\0\0\0\0" + b"\x90" * 22 + b"\xba\x90\x90\x90\x90\xc3"  # mov edx, 0x90909090
    found = taken_apart(code)
    assert found.layout.begins(np.array([CODE + 0x21])).all()
    region = found.region(CODE)
    assert region is not None
    assert region.end == CODE + len(code)


def test_many_addresses_are_starts_where_each_is():
    chance = random.Random(5)
    starts = np.array(sorted(chance.sample(range(1000, 9000), 300)), np.int64)
    layout = Layout(starts, starts + 1, np.zeros(300, np.bool_), starts[:0], starts)
    for low, high in ((0, 10_000), (3000, 3400), (9500, 9900)):
        addresses = np.array(chance.choices(range(low, high), k=2000), np.int64)
        assert (layout.begins(addresses) == (layout.exact(addresses) >= 0)).all()
    assert layout.begins(starts).all()
    assert not len(layout.begins(starts[:0]))


def test_who_asks_for_many_addresses_of_one_region_has_it_decoded_once():
    found = taken_apart(b"\x90" * 5_000)
    assert all(found.is_start(CODE + at) for at in range(4_000, 5_000))
    assert found.decoder.budget > DECODED - 2 * 5_100


def test_what_functions_read_is_asked_anew_once_one_has_grown():
    """Its callers read what it reads, so that nothing is kept of them either."""
    found = taken_apart(b"\x90" * 8 + b"\xc3")
    found.onward[CODE, "rbx"] = ()
    found.forget(CODE + 4)
    assert not found.onward
