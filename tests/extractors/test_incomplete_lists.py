"""What is said of a list of system calls that may be too short."""

from minimal_slices import calls, minimal, subject

from binsafe.extractors import syscalls
from binsafe.limits import MAX_EVIDENCE


def test_what_is_loaded_is_said_once_however_many_places_do_it():
    """gdb does it at 135: two screens."""
    at = [f"dlopen: a name that is computed, at {place:#x}" for place in range(16, 32)]
    other = [f"dlopen: lib{number}.so" for number in range(MAX_EVIDENCE + 2)]
    open_set = (*at[:8], "dlsym: f, at libx.so:0x1", *at[8:], *other)
    [finding] = syscalls.extract(subject(minimal(), syscalls=calls(complete=False, open_set=open_set))).findings
    assert "dlopen: a name that is computed, at 0x10 and 15 more; dlsym: f, at libx.so:0x1; " in finding.detail
    assert "; dlopen: lib5.so; and 4 more." in finding.detail
    assert "lib6.so" not in finding.detail
