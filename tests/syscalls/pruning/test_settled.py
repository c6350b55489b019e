"""Code behind branches that what all callers pass decides, as in musl's ``pipe2`` and ``clock_nanosleep``."""

from pathlib import Path

import pytest
from compiled import freestanding, needs_compiler

pytestmark = needs_compiler

_PIPE2 = """
OUTLINE static long older(long fds) { return call(22, fds, 0, 0); }
OUTLINE static long pipe2(long fds, int flags) {
    if (!flags) return older(fds);
    long result = call(293, fds, flags, 0);
    return result == -38 ? older(fds) : result;
}
OUTLINE static long one(long n) { return pipe2(n, 02000000); }
%s
"""
_SLEEP = """
OUTLINE static long sleep_on(int clock, int flags, long time) {
    return clock || flags ? call(230, clock, flags, time) : call(35, time, 0, 0);
}
OUTLINE static long run(long n) { return sleep_on(%s, 0, n) + sleep_on(0, %s, n + 1); }
"""


@pytest.mark.parametrize(
    ("made", "run"),
    [
        (False, "OUTLINE static long run(long n) { return one(n) + pipe2(n + 1, 04000); }"),
        (True, "OUTLINE static long run(long n) { return one(n) + pipe2(n + 1, 0); }"),
        (True, "OUTLINE static long run(long n) { return one(n) + pipe2(n, n); }"),
        (True, "OUTLINE static long run(long n) { return one(n) + older(n); }"),
        (
            True,
            "long (*volatile f)(long, int) = pipe2; OUTLINE static long run(long n) { return one(n) + f(n, n); }",
        ),
    ],
    ids=["flags", "no-flags", "unknown", "itself", "through-pointer"],
)
def test_an_older_call_is_made_by_who_asks_for_it(tmp_path: Path, made: bool, run: str):
    found = freestanding(tmp_path, _PIPE2 % run)
    assert "pipe2" in found.required
    assert ("pipe" in found.required) is made


@pytest.mark.parametrize(
    ("clock", "flags", "expected"),
    [("0", "0", {"nanosleep"}), ("0", "1", {"clock_nanosleep", "nanosleep"}),
     ("n", "0", {"clock_nanosleep", "nanosleep"})],
)  # fmt: skip
def test_two_arguments_decide(tmp_path: Path, clock: str, flags: str, expected: set[str]):
    found = freestanding(tmp_path, _SLEEP % (clock, flags))
    assert {"clock_nanosleep", "nanosleep"} & set(found.required) == expected
