"""Whatever the bytes are: an Image that keeps its promises, or NotAnalysable; and soon, in little memory."""

import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path

import executable_builders as build
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from binsafe.errors import NotAnalysable
from binsafe.formats import parse
from binsafe.model import Image

BASES = {
    "elf": bytes(build.elf()),
    "mach-o": bytes(build.macho()),
    "universal": build.universal(bytes(build.macho())),
    "pe": bytes(build.pe(certificate=bytes(64))),
}
INTERESTING = [
    0,
    1,
    0x7F,
    0x80,
    0xFF,
    0xFFFF,
    0x7FFF_FFFF,
    0x8000_0000,
    0xFFFF_FFFF,
    (1 << 63) - 1,
    1 << 63,
    (1 << 64) - 1,
]
HEADERS = {"elf": 0x300, "mach-o": 0x400, "universal": 0x40, "pe": 0x200}
"""How much of each file is headers: half of the mutations go there."""


def attempt(data: bytes) -> NotAnalysable | None:
    """Parse, and hold the result to what consumers rely on."""
    try:
        image = parse(memoryview(data))
    except NotAnalysable as refused:
        error = refused
    else:
        assert_bounds(image)
        return None
    assert str(error)
    assert str(error).isprintable()
    return error


def assert_bounds(image: Image) -> None:
    for found in image.slices:
        size = len(found.data)
        assert all(s.offset >= 0 and s.offset + s.file_size <= size for s in found.segments if s.file_size)
        assert all(s.offset is None or 0 <= s.offset <= s.offset + s.size <= size for s in found.sections)
        if found.signature_range is not None:
            assert sum(found.signature_range) <= size


@pytest.mark.parametrize("name", BASES)
def test_a_file_cut_anywhere_is_refused_or_whole_enough(name: str):
    """Only what no loader reads may be missing: then the file is still whole enough to run."""
    base = BASES[name]
    for length in [*range(0, 1200, 9), *range(1200, len(base), 997), len(base) - 1]:
        error = attempt(base[:length])
        if error is None:
            assert name == "elf"
            assert length >= 0x2000  # the section table begins there, behind all segments
            (found,) = parse(memoryview(base[:length])).slices
            assert [problem.split(": ")[:2] for problem in found.problems] == [
                ["section-table", "the table of sections"]
            ]
        elif length >= 64:
            assert error.finding in {"truncated", "malformed", "section-table"}


@pytest.mark.parametrize("target", ["linux/amd64", "darwin/arm64", "darwin/amd64", "windows/amd64"])
def test_real_programs_cut_at_many_places(standin: Callable[[str], Path], target: str):
    base = standin(target).read_bytes()
    places = [4, 16, 32, 64, 400, 0x1000, *(len(base) * part // 12 for part in range(1, 12))]
    refused = {place: attempt(base[:place]) for place in places}
    for place in (4, 16, 32, 64, 400, 0x1000, places[6], places[11]):
        assert refused[place] is not None, place


MUTATION = st.tuples(
    st.one_of(st.integers(0, 1 << 16), st.integers(0, 0x1FF)),
    st.sampled_from([1, 2, 4, 8]),
    st.one_of(st.sampled_from(INTERESTING), st.integers(0, (1 << 64) - 1), st.integers(0, 0x10000)),
)


@pytest.mark.parametrize("name", BASES)
@settings(max_examples=500, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
@given(mutations=st.lists(MUTATION, min_size=1, max_size=4), headers=st.booleans())
def test_a_file_bent_anywhere_ends_in_time_and_without_a_crash(
    name: str, mutations: list[tuple[int, int, int]], headers: bool
):
    data = bytearray(BASES[name])
    for place, width, value in mutations:
        at = place % (HEADERS[name] if headers else len(data) - 8)
        data[at : at + width] = (value & ((1 << 8 * width) - 1)).to_bytes(width, "little")
    start = time.process_time()
    attempt(bytes(data))
    assert time.process_time() - start < 5


@settings(max_examples=300, deadline=None, derandomize=True)
@given(
    start=st.sampled_from(
        [b"\x7fELF\x02\x01\x01", b"\xcf\xfa\xed\xfe\x0c\0\0\x01", b"\xca\xfe\xba\xbe\0\0\0\x02", b"MZ"]
    ),
    rest=st.binary(max_size=400),
)
def test_noise_behind_a_magic_number(start: bytes, rest: bytes):
    attempt(start + rest)


@pytest.mark.skipif(sys.platform != "linux", reason="ru_maxrss is in other units, and grows only, elsewhere")
def test_lies_about_counts_do_not_cost_memory():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for name, base in BASES.items():
        for at in range(16, HEADERS[name], 4):
            data = bytearray(base)
            data[at : at + 4] = b"\xff\xff\xff\x7f"
            attempt(bytes(data))
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 300 * 1024
