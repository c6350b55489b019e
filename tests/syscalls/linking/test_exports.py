"""The columns of what a file defines: whatever is asked of them, it is what objects would say."""

from collections.abc import Callable

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from binsafe.syscalls.linking import exports as module
from binsafe.syscalls.linking.exports import Export, Exports

NAMES = st.sampled_from(["read", "_nss_files_x", "_nss_dns_x", "x_nss_", "_nss", "réad", "_", "a" * 200])
EXPORTS = st.builds(
    Export,
    NAMES,
    st.sampled_from([None, "GLIBC_2.2.5", "V2"]),
    st.booleans(),
    st.integers(0, 1 << 61),
    st.integers(0, 9),
    st.integers(0, 9),
)


@given(st.lists(EXPORTS, max_size=30))
def test_what_is_asked_for_is_what_was_put_in(made: list[Export]):
    found = Exports.of(made)
    assert [*found] == made
    assert len(found) == len(made)
    assert [*found.texts()] == [each.name for each in made]
    assert [*found.spans()] == [(each.first, each.last) for each in made]
    assert [*found.named({"read", "réad"})] == [each for each in made if each.name in {"read", "réad"}]
    assert [*found.starting("_nss_")] == [each for each in made if each.name.startswith("_nss_")]
    assert ("_nss" in found) == any(each.name == "_nss" for each in made)
    wanted = {each.address for each in made[::2]}
    assert [*found.at(wanted)] == [each for each in made if each.address in wanted]
    assert [*found.at(set())] == []


def test_names_are_looked_at_in_pieces():
    made = [Export(f"function_{number}", None, True, number, number, number + 1) for number in range(30_000)]
    found = Exports.of(made)
    assert len(found.names) > 4 * module._PIECE
    assert [*found] == made
    assert [each.first for each in found.named({"function_29999", "function_7"})] == [7, 29_999]


def test_it_is_kept_and_read_back():
    made = Exports.of([Export("read", "V", True, 1, 2, 3)])
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(made), type=Exports) == made


@pytest.mark.parametrize("column", ["names", "marks", "addresses", "firsts", "lasts"])
@pytest.mark.parametrize(
    "damaged", [lambda whole: whole[:-1], lambda whole: whole + b"\0\0\0\0\0\0\0\0", lambda _: b""]
)
def test_what_was_kept_and_does_not_fit_together_is_refused(column: str, damaged: Callable[[bytes], bytes]):
    made = Exports.of([Export("read", "V", True, 1, 2, 3), Export("write", None, True, 2, 3, 4)])
    refused(made, column, damaged(getattr(made, column)))


def test_texts_that_are_none_and_versions_that_are_not_there_are_refused():
    made = Exports.of([Export("read", "V", True, 1, 2, 3)])
    refused(made, "names", b"\0r\xff\0")
    refused(made, "versions", ())


def refused(made: Exports, column: str, instead: object) -> None:
    fields = {field: getattr(made, field) for field in made.__struct_fields__}
    with pytest.raises(msgspec.ValidationError):
        msgspec.msgpack.decode(msgspec.msgpack.encode([*(fields | {column: instead}).values()]), type=Exports)
