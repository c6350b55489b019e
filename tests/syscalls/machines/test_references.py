"""Instructions that name an address relative to their own, wherever in a run of code they stand."""

import pytest

from binsafe.syscalls.decoding.code import CodeRange
from binsafe.syscalls.machines.edges import CALLED, LOADED, TAKEN
from binsafe.syscalls.machines.x86_64 import X86_64

TARGET = 0x2000


@pytest.mark.parametrize(
    ("opcode", "use"),
    [
        (b"\xff\x25", CALLED),  # the first stub of .plt.got is the first instruction of its section
        (b"\xff\x15", CALLED),
        (b"\x8d\x05", TAKEN),
        (b"\x48\x8d\x3d", TAKEN),
        (b"\x8b\x05", LOADED),
        (b"\x48\x8b\x0d", LOADED),
    ],
)
@pytest.mark.parametrize("in_front", [0, 1, 2, 5])
def test_an_address_is_seen_in_the_first_instruction_as_in_any_other(opcode: bytes, use: int, in_front: int):
    start = 0x1000
    after = start + in_front + len(opcode) + 4
    code = b"\x90" * in_front + opcode + (TARGET - after).to_bytes(4, "little", signed=True) + b"\xc3"
    sources, targets, uses = X86_64().references(CodeRange(start, memoryview(code)), fixed=False)
    found = dict(zip(targets.tolist(), zip(sources.tolist(), uses.tolist(), strict=True), strict=True))
    source, told = found[TARGET]
    assert told == use
    assert start + in_front <= source <= start + in_front + 1  # in front of REX.W or behind it


def test_a_distance_that_leads_out_of_all_memory_is_that_of_no_table():
    """As Chromium has it behind a `lea`: a constant in a `movabs` is any number."""
    code = bytes.fromhex("4c8d3df9ffffff 49bbffffffffffffff7f 4d01df") + b"\x90" * 64
    found = X86_64().references(CodeRange(0x1000, memoryview(code)), fixed=False)
    assert found.targets[found.uses == TAKEN].tolist() == [0x1000]
