"""Addresses that arm64 computes in two steps, however far apart, and by whichever way code comes to the second."""

import sys
from collections.abc import Callable

import pytest
from assembled import CODE, Arm, program

from binsafe.syscalls import analyse
from binsafe.syscalls.controlflow.program import Program
from binsafe.syscalls.decoding.code import Code
from binsafe.syscalls.decoding.decode import Decoder
from binsafe.syscalls.machines.arm64 import Arm64
from binsafe.syscalls.machines.edges import LOADED, LOADED_WIDE


def _far(assembler: Arm) -> None:
    assembler.page(19, "wrapper")
    assembler.nop(300)
    assembler.add_in_page(0, 19, "wrapper")


def _in_another_block(assembler: Arm) -> None:
    """The page is used behind the code that overwrites it: a branch leads around that."""
    assembler.page(9, "wrapper")
    assembler.jump_if_zero(1, "cold")
    assembler.mov(9, 5)
    assembler.ret()
    assembler.label("cold")
    assembler.add_in_page(0, 9, "wrapper")


def _over_a_call(assembler: Arm) -> None:
    assembler.page(20, "wrapper")
    assembler.call("other")
    assembler.nop(40)
    assembler.add_in_page(0, 20, "wrapper")


def _over_a_call_in_any_register(assembler: Arm) -> None:
    """GCC knows which registers a function uses that it has seen (``-fipa-ra``)."""
    assembler.page(9, "wrapper")
    assembler.call("other")
    assembler.add_in_page(0, 9, "wrapper")


def _behind_a_jump_with_a_key(assembler: Arm) -> None:
    assembler.jump_if_zero(1, "cold")
    assembler.page(9, "wrapper")
    assembler.word(0xD71F_0841)  # braa x2, x1
    assembler.mov(9, 5)
    assembler.ret()
    assembler.label("cold")
    assembler.nop(20)
    assembler.add_in_page(0, 9, "wrapper")


def _in_halves(assembler: Arm) -> None:
    """The large code model: ``movz x0, #low; nop; movk x0, #high, lsl #16``."""
    assembler.to("wrapper", 4, lambda _, there: (0xD280_0000 | (there & 0xFFFF) << 5).to_bytes(4, "little"))
    assembler.nop()
    assembler.to("wrapper", 4, lambda _, there: (0xF2A0_0000 | there >> 16 << 5).to_bytes(4, "little"))


def _in_halves_the_upper_one_first(assembler: Arm) -> None:
    assembler.to("wrapper", 4, lambda _, there: (0x52A0_0000 | there >> 16 << 5).to_bytes(4, "little"))
    assembler.to("wrapper", 4, lambda _, there: (0x7280_0000 | (there & 0xFFFF) << 5).to_bytes(4, "little"))


def _near(assembler: Arm) -> None:
    assembler.page(0, "wrapper")
    assembler.add_in_page(0, 0, "wrapper")


@pytest.mark.parametrize(
    "take",
    [
        _near, _far, _in_another_block, _over_a_call, _over_a_call_in_any_register, _behind_a_jump_with_a_key,
        _in_halves, _in_halves_the_upper_one_first,
    ],
)  # fmt: skip
def test_an_address_is_taken_however_far_its_halves_are_apart(take: Callable[[Arm], None]):
    assembler = Arm()
    assembler.mov(0, 64)
    assembler.call("wrapper")
    take(assembler)
    assembler.word(0xF900_0020)  # str x0, [x1]
    assembler.ret()
    assembler.label("other")
    assembler.ret()
    assembler.wrapper()
    found = analyse(program(assembler, functions=("start", "other", "wrapper")))
    assert found is not None
    assert any("whose address is taken" in gap.reason for gap in found.unresolved)


def test_what_was_overwritten_on_the_only_way_names_nothing():
    """Stubs of a linkage table use one register in turn: none of them names what the next one does."""
    assembler = Arm()
    for label in ("first", "second"):
        assembler.page(16, label)
        assembler.add_in_page(16, 16, label)
        assembler.word(0xD61F_0200)  # br x16
    assembler.nop(100)
    assembler.label("first")
    assembler.nop()
    assembler.label("second")
    assembler.ret()
    assembler.nop(200)  # what both offsets in the page make is in the code, too
    slice_ = program(assembler)
    found = Arm64().references(Code(slice_).ranges[0], fixed=True)
    pairs = set(zip(found.sources.tolist(), found.targets.tolist(), strict=True))
    assert pairs == {(CODE, assembler.labels["first"]), (CODE + 12, assembler.labels["second"])}


@pytest.mark.parametrize(("fixed", "taken"), [(True, True), (False, False)])
def test_a_number_is_an_address_only_in_code_that_has_addresses_as_numbers(fixed: bool, taken: bool):
    """In Go's, 100,000 was the address of a function."""
    assembler = Arm()
    assembler.label("wrapper")
    _in_halves(assembler)
    found = Arm64().references(Code(program(assembler)).ranges[0], fixed=fixed)
    assert (CODE in found.targets) is taken


def test_many_pages_that_are_kept_are_looked_after_together():
    """Go keeps tens of thousands: a tool of 40 MB took 16 s for them, one by one."""
    assembler = Arm()
    assembler.label("start")
    for _ in range(1_000):
        assembler.page(9, "start")
        assembler.nop(20)
    code = Code(program(assembler)).ranges[0]
    calls = 0

    def count(*_: object) -> None:
        nonlocal calls
        calls += 1

    sys.setprofile(count)
    try:
        Arm64().references(code, fixed=False)
    finally:
        sys.setprofile(None)
    assert calls < 20_000


@pytest.mark.parametrize(
    ("word", "distance", "use"),
    [
        (0xF940_0921, 16, LOADED),  # ldr x1, [x9, #16]
        (0xB940_0921, 8, LOADED),  # ldr w1, [x9, #8]
        (0xFD40_0921, 16, LOADED),  # ldr d1, [x9, #16]
        (0x3DC0_0921, 32, LOADED_WIDE),  # ldr q1, [x9, #32]: Clang copies two pointers so
        (0xA941_0921, 16, LOADED_WIDE),  # ldp x1, x2, [x9, #16]
        (0xAD41_0921, 32, LOADED_WIDE),  # ldp q1, q2, [x9, #32]
        (0xA97F_0921, -16, LOADED_WIDE),  # ldp x1, x2, [x9, #-16]
    ],
    ids=hex,
)
def test_a_load_from_a_page_counts_in_its_own_size(word: int, distance: int, use: int):
    assembler = Arm()
    assembler.page(9, "start")
    assembler.word(word)
    assembler.label("start")
    found = Arm64().references(Code(program(assembler)).ranges[0], fixed=True)
    assert (found.targets.tolist(), found.uses.tolist()) == ([(CODE & ~0xFFF) + distance], [use])


def _named(middle: Callable[[Arm], None]) -> bool:
    """Whether ``adrp x9`` is thought to name what is added to another page in the same register, far behind it."""
    assembler = Arm()
    assembler.page(9, "start")
    middle(assembler)
    assembler.nop(40)
    assembler.label("end")
    assembler.add_in_page(0, 9, "target")
    assembler.ret()
    assembler.label("target")
    assembler.ret()
    assembler.label("start")
    seen = Program(program(assembler), Arm64(), Decoder("arm64", 10_000))
    target = assembler.labels["target"]
    assert CODE in [source for source, _, _ in seen.references.into(target, target + 1)]
    return CODE in list(seen.taken.naming(target, target + 1))


def _overwritten(assembler: Arm) -> None:
    assembler.jump_if_zero(1, "kept")
    assembler.mov(9, 0)
    assembler.jump("end")
    assembler.label("kept")
    assembler.mov(9, 1)


def _branched(assembler: Arm) -> None:
    assembler.jump_if_zero(1, "end")
    assembler.mov(9, 0)
    assembler.ret()


def _copied(assembler: Arm) -> None:
    assembler.copy(10, 9)
    assembler.jump_if_zero(1, "end")
    assembler.mov(9, 0)


def _left(assembler: Arm) -> None:
    """Where another function goes on with the page."""
    assembler.labels["elsewhere"] = CODE + 0x1000
    assembler.jump_if_zero(1, "elsewhere")
    assembler.mov(9, 0)


@pytest.mark.parametrize(
    ("middle", "named"), [(_overwritten, False), (_branched, True), (_copied, True), (_left, True)]
)
def test_a_page_names_what_is_added_to_it_on_some_way(middle: Callable[[Arm], None], *, named: bool):
    assert _named(middle) == named


@pytest.mark.parametrize("away", [5, 6, 7])
def test_no_function_starts_between_two_instructions(away: int):
    """A word of memory happens to be such an address: all that follows would be read out of step."""
    assembler = Arm()
    assembler.mov(8, 64)
    assembler.nop(3)
    assembler.syscall()
    assembler.ret()
    found = analyse(program(assembler, data=(CODE + away).to_bytes(8, "little")))
    assert found is not None
    assert found.complete
    assert set(found.sites) == {"write"}


def test_a_load_without_an_offset_names_the_address_that_was_completed_before():
    """So Go's assembler loads a variable in three instructions, before Go 1.20 the number of ``fcntl``."""
    code = Arm()
    code.page(27, "variable")
    code.add_in_page(27, 27, "variable")
    code.word(0xF940_0360)  # ldr x0, [x27]
    code.ret()
    code.labels["variable"] = 0x40_8128
    here = Program(program(code), Arm64(), Decoder("arm64", 1000))
    load = here.place(CODE + 8)
    assert load is not None
    assert here.named_at(load) == (0x40_8128,)
