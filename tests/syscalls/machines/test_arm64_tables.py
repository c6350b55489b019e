"""Jump tables of arm64, in all forms that compilers give them, and what branches depend on."""

from collections.abc import Callable

import pytest
from assembled import CODE, DATA, Arm, program
from msgspec import structs

from binsafe.model import Symbol
from binsafe.syscalls import analyse
from binsafe.syscalls.decoding.decode import Decoder
from binsafe.syscalls.machines.arithmetic import MASK, compute
from binsafe.syscalls.machines.arm64 import Arm64

TABLE = "table"
AT_MOST_1, BEYOND = 0x7100_041F, "hi"  # cmp w0, #1
ADD_SXTB, ADD_SXTH, ADD_SXTW = 0x8B22_8862, 0x8B22_A862, 0x8B22_C862  # add x2, x3, w2, sxtb #2
ADD_4, ADD = 0x8B02_0862, 0x8B02_0062  # add x2, x3, x2, lsl #2
BR = 0xD61F_0040  # br x2


def relative(load: int, add: int) -> Callable[[Arm], None]:
    """An entry, added to the address of ``first``."""

    def dispatch(arm: Arm) -> None:
        arm.page(1, TABLE)
        arm.add_in_page(1, 1, TABLE)
        arm.word(load)
        arm.adr(3, "first")
        arm.word(add)
        arm.word(BR)

    return dispatch


def from_table(arm: Arm) -> None:
    """An entry, added to the table's own address."""
    arm.page(4, TABLE)
    arm.nop()
    arm.add_in_page(3, 4, TABLE)
    arm.word(0xB8A0_7862)  # ldrsw x2, [x3, x0, lsl #2]
    arm.word(ADD)
    arm.word(BR)


def absolute(arm: Arm) -> None:
    arm.page(1, TABLE)
    arm.add_in_page(1, 1, TABLE)
    arm.word(0xF860_7822)  # ldr x2, [x1, x0, lsl #3]
    arm.word(BR)


FORMS = {
    "gcc, bytes": (relative(0x3860_4822, ADD_SXTB), 1, 4),  # ldrb w2, [x1, w0, uxtw]
    "gcc, halfwords": (relative(0x7860_5822, ADD_SXTH), 2, 4),  # ldrh w2, [x1, w0, uxtw #1]
    "gcc, words": (relative(0xB860_5822, ADD_SXTW), 4, 4),  # ldr w2, [x1, w0, uxtw #2]
    "llvm, bytes": (relative(0x3860_6822, ADD_4), 1, 4),  # ldrb w2, [x1, x0]
    "llvm, halfwords": (relative(0x7860_7822, ADD_4), 2, 4),  # ldrh w2, [x1, x0, lsl #1]
    "llvm, words": (relative(0xB8A0_7822, ADD), 4, 1),  # ldrsw x2, [x1, x0, lsl #2]
    "from the table": (from_table, 4, 1),
    "go": (absolute, 8, 1),
}


def switch(form: str, *, bound: tuple[int, ...] = (AT_MOST_1,), entries: tuple[str, ...] = ("first", "second", "site")):
    """``n = acct; if (k <= 1) switch (k) { case 0: n = swapon; case 1: syscall(n); }``; what follows is no entry.

    It leads to the call with the number that is there before: ``swapoff``.
    """
    dispatch, size, unit = FORMS[form]
    arm = Arm()
    arm.labels[TABLE] = DATA
    arm.mov(8, 225)
    arm.mov(9, 89)
    for word in bound:
        arm.word(word)
    if bound == (AT_MOST_1,):
        arm.jump_if(BEYOND, "out")
    dispatch(arm)
    arm.label("first")
    arm.mov(9, 224)
    arm.label("second")
    arm.copy(8, 9)
    arm.label("site")
    arm.syscall()
    arm.label("out")
    arm.word(0xD420_0000)  # brk
    origin = {"go": 0, "from the table": DATA}.get(form, arm.labels["first"])
    data = b"".join(((arm.labels[entry] - origin) // unit).to_bytes(size, "little", signed=True) for entry in entries)
    made = program(arm, data=data, writable=False)
    whole = Symbol(name="start", address=CODE, size=len(arm.code()))  # else what is pointed to may begin functions
    return analyse(structs.replace(made, symbols=(whole,)))


@pytest.mark.parametrize("form", FORMS)
def test_a_table_leads_to_its_cases_and_ends_where_the_comparison_says(form: str):
    found = switch(form)
    assert found.complete == (form != "go")  # what follows is a pointer then: other code may go there by it
    assert set(found.sites) == {"acct", "swapon"}


def test_a_table_may_count_from_where_the_next_function_begins():
    """GCC counts from behind the jump, which may be the last instruction of its function."""
    arm = Arm()
    arm.labels[TABLE] = DATA
    arm.mov(8, 89)
    arm.jump("dispatch")
    arm.label("case")
    arm.syscall()
    arm.word(0xD420_0000)  # brk
    arm.label("dispatch")
    arm.word(AT_MOST_1)
    arm.jump_if(BEYOND, "first")
    relative(0x3860_4822, ADD_SXTB)(arm)
    arm.label("first")
    arm.mov(8, 93)
    arm.syscall()
    arm.word(0xD420_0000)
    entry = ((arm.labels["case"] - arm.labels["first"]) // 4).to_bytes(1, "little", signed=True)
    found = analyse(program(arm, functions=("start", "first"), data=2 * entry, writable=False))
    assert found.complete
    assert set(found.sites) == {"acct", "exit"}


def test_a_label_from_which_a_table_counts_may_be_what_another_table_leads_to():
    """``goto *labels[i]; first: goto *(&&first + distances[i])``: to read either asked for the other, without end."""
    arm = Arm()
    arm.labels |= {"labels": DATA, TABLE: DATA + 16}
    arm.adr(11, "first")
    arm.page(1, "labels")
    arm.add_in_page(1, 1, "labels")
    arm.word(0xF860_7822)  # ldr x2, [x1, x0, lsl #3]
    arm.word(BR)
    arm.label("first")
    arm.mov(8, 89)
    arm.page(4, TABLE)
    arm.add_in_page(4, 4, TABLE)
    arm.word(0xB8A5_7882)  # ldrsw x2, [x4, x5, lsl #2]
    arm.word(0x8B02_0162)  # add x2, x11, x2
    arm.word(BR)
    arm.label("second")
    arm.mov(8, 224)
    arm.label("site")
    arm.syscall()
    arm.word(0xD420_0000)  # brk
    labels = b"".join(arm.labels[label].to_bytes(8, "little") for label in ("first", "second"))
    away = b"".join((arm.labels[label] - arm.labels["first"]).to_bytes(4, "little") for label in ("second", "site"))
    whole = Symbol(name="start", address=CODE, size=len(arm.code()))
    found = analyse(structs.replace(program(arm, data=labels + away, writable=False), symbols=(whole,)))
    assert {"acct", "swapon"} <= found.sites.keys()


@pytest.mark.parametrize("form", FORMS)
def test_without_a_comparison_all_that_may_be_entries_counts(form: str):
    assert set(switch(form, bound=(0xD503_201F,)).sites) == {"acct", "swapon", "swapoff"}


@pytest.mark.parametrize(("form", "beyond"), [("gcc, halfwords", False), ("llvm, bytes", False), ("go", True)])
def test_a_table_ends_where_something_else_begins(form: str, *, beyond: bool):
    """``adr x5, table + 2 entries``, and no comparison: whole addresses lead to no code anyway where they are none."""
    distance = DATA + 2 * FORMS[form][1] - CODE - 8
    adr = 0x1000_0005 | (distance & 3) << 29 | (distance >> 2) << 5
    assert ("swapoff" in switch(form, bound=(adr,)).sites) == beyond


@pytest.mark.parametrize("word", [0x9240_0000, 0xD341_0400, 0x5303_0C00], ids=["and", "ubfx", "ubfx of 32 bits"])
def test_a_number_of_one_bit_has_two_entries(word: int):
    """``and x0, x0, #1`` and ``ubfx x0, x0, #1, #1``."""
    assert set(switch("llvm, words", bound=(word,)).sites) == {"acct", "swapon"}


@pytest.mark.parametrize(
    ("load", "add", "distance"),
    [
        (0x3860_4822, ADD_SXTB, -4),
        (0x3860_4822, ADD_SXTW, 0x3FC),
        (0x3860_4822, ADD_4, 0x3FC),
        (0x7860_5822, ADD_SXTB, -4),
    ],
)
def test_an_entry_has_a_sign_only_where_it_is_extended_as_one(load: int, add: int, distance: int):
    """Also where a part of it is added: the first byte of a halfword."""
    arm = Arm()
    arm.labels |= {TABLE: DATA, "first": CODE}
    relative(load, add)(arm)
    instructions = Decoder("arm64", 100).sweep(arm.code(), CODE)
    entry, summands = Arm64().entry(instructions, 2), Arm64().summands(instructions, 4)
    assert entry is not None
    assert summands is not None
    assert compute(0xFF, (*entry.operations, *summands[1].operations)) == distance & MASK


@pytest.mark.parametrize(("word", "known"), [(0x8B42_0862, False), (0x8B02_0862, True)], ids=["lsr #2", "lsl #2"])
def test_what_is_shifted_to_the_right_is_not_added_as_if_to_the_left(word: int, *, known: bool):
    """``add x2, x3, x2, lsr #2``."""
    arm = Arm()
    arm.word(word)
    assert (Arm64().summands(Decoder("arm64", 100).sweep(arm.code(), CODE), 0) is not None) == known


def test_a_comparison_of_another_register_says_nothing():
    assert "swapoff" in switch("go", bound=(0x7100_043F, 0x5400_00E8)).sites  # cmp w1, #1; b.hi


def made(test: Callable[[Arm], None], passed: int) -> set[str]:
    """What ``sleep(passed)`` makes: ``clock_nanosleep`` where the branch is taken, else ``nanosleep``."""
    arm = Arm()
    arm.mov(0, passed)
    arm.call("sleep")
    arm.word(0xD420_0000)  # brk
    arm.label("sleep")
    test(arm)
    arm.mov(8, 101)
    arm.syscall()
    arm.ret()
    arm.label("taken")
    arm.mov(8, 115)
    arm.syscall()
    arm.ret()
    found = analyse(program(arm, functions=("start", "sleep")))
    assert found.complete
    return set(found.sites)


def flags(word: int, condition: str) -> Callable[[Arm], None]:
    def test(arm: Arm) -> None:
        arm.word(word)
        arm.jump_if(condition, "taken")

    return test


def tbnz(here: int, there: int) -> bytes:
    """``tbnz w0, #3``."""
    return (0x3718_0000 | (there - here) // 4 << 5).to_bytes(4, "little")


@pytest.mark.parametrize(
    ("test", "taken", "not_taken"),
    [
        (flags(0x7100_0C1F, "hi"), 4, 3),  # cmp w0, #3
        (flags(0xF100_0C1F, "lt"), 2, 3),  # cmp x0, #3
        (flags(0xF100_0C1F, "eq"), 3, 2),
        (flags(0x7100_0C02, "hs"), 3, 2),  # subs w2, w0, #3
        (flags(0x721D_001F, "ne"), 8, 7),  # tst w0, #8
        (lambda arm: arm.jump_if_zero(0, "taken"), 0, 1),
        (lambda arm: arm.to("taken", 4, tbnz), 8, 7),
    ],
    ids=["hi", "lt", "eq", "subs", "tst", "cbz", "tbnz"],
)  # fmt: skip
def test_what_a_constant_decides_is_known(test: Callable[[Arm], None], taken: int, not_taken: int):
    assert made(test, taken) == {"clock_nanosleep"}
    assert made(test, not_taken) == {"nanosleep"}


@pytest.mark.parametrize("word", [0x7980_5008, 0x3100_0C1F, 0x6B21_001F], ids=["ldrsh x8, [x0, #40]", "cmn", "uxtb"])
def test_what_sets_no_flags_or_compares_otherwise_decides_nothing(word: int):
    assert made(flags(word, "eq"), 3) == {"clock_nanosleep", "nanosleep"}


def test_a_label_of_a_writable_table_is_a_way_though_what_stands_before_goes_on_into_it():
    arm = Arm()
    arm.labels[TABLE] = DATA
    arm.page(1, TABLE)
    arm.add_in_page(1, 1, TABLE)
    arm.mov(8, 172)
    arm.word(0xF860_D820)  # ldr x0, [x1, w0, sxtw #3]
    arm.word(0xD61F_0000)  # br x0
    first = arm.here
    arm.mov(8, 173)
    second = arm.here
    arm.syscall()
    arm.mov(8, 93)
    arm.syscall()
    slice_ = program(arm, data=first.to_bytes(8, "little") + second.to_bytes(8, "little") + bytes(8))
    found = analyse(structs.replace(slice_, symbols=(Symbol(name="start", address=CODE, size=arm.here - CODE),)))
    assert found is not None
    assert {"getpid", "getppid"} <= set(found.required)
