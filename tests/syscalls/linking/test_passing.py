"""Numbers between files, in summaries made by hand."""

import msgspec
from small_files import library

from binsafe.syscalls.linking.exports import Export
from binsafe.syscalls.linking.passing import numbers
from binsafe.syscalls.linking.summary import Name, Passed, Step, Summary, Wrapper

REGISTERS = ("rdi", "rsi")


def wrapping(name: str, *, to: str | None = None, add: int = 0, register: str = "rdi") -> Summary:
    steps = (Step("add", add),) if add else ()
    made = library(exports=(Export(name, None, True, 0x1000, 0, 1),), imports=(Name(to, None, False),) if to else ())
    return msgspec.structs.replace(made, wrappers=(Wrapper(0x1000, register, steps, to, "rdi" if to else ""),))


def passing(name: str, value: int | None, register: str = "rdi") -> Summary:
    made = library(imports=(Name(name, None, False),))
    return msgspec.structs.replace(made, passed=(Passed(name, register, 0, 0x1000, value),))


def test_arithmetic_is_done_in_every_file_on_the_way():
    files = [passing("outer", 5), wrapping("outer", to="inner", add=2), wrapping("inner", add=10)]
    found = numbers(files, frozenset({("outer", "rdi"), ("inner", "rdi")}), REGISTERS)
    assert [value for value, _, _ in found.known] == [17]
    assert not found.gaps


def test_what_was_not_watched_is_a_gap_until_it_is():
    found = numbers([library(imports=(Name("inner", None, False),)), wrapping("inner")], frozenset(), REGISTERS)
    assert found.watched == {("inner", "rdi")}
    assert [file for file, _, _, _ in found.gaps] == [0]


def test_another_register_than_the_number_s_is_no_number():
    found = numbers([passing("inner", 5, "rsi"), wrapping("inner")], frozenset({("inner", "rdi")}), REGISTERS)
    assert not found.known


def test_two_that_count_up_for_each_other_end_in_a_gap():
    one, other = wrapping("one", to="other", add=1), wrapping("other", to="one", add=1)
    files = [msgspec.structs.replace(one, wrappers=(*one.wrappers, Wrapper(0x1000, "rdi", ()))), other]
    found = numbers(files, frozenset({("one", "rdi"), ("other", "rdi")}), REGISTERS)
    assert any("too many steps" in reason for _, _, _, reason in found.gaps)


def test_what_is_passed_to_a_wrapper_that_is_looked_up_by_its_name_is_not_known():
    asking = library(imports=(Name("dlsym", None, False),))
    looked_up = (Passed("dlsym", "rsi", 0, 0x1000, 0x2000, name) for name in ("inner", "other"))
    files = [msgspec.structs.replace(asking, passed=tuple(looked_up)), wrapping("inner")]
    assert [reason for *_, reason in numbers(files, frozenset(), REGISTERS).gaps] == [
        "the number that is passed to inner is not known"
    ]
