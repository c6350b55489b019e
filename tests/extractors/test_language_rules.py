import pytest
from minimal_slices import defining, importing, minimal, subject, with_section

from binsafe.extractors import language
from binsafe.model import GoBuild, Library, Slice


def language_of(slice_: Slice, **known: object):
    return language.extract(subject(slice_, **known)).value


@pytest.mark.parametrize(
    ("slice_", "expected"),
    [
        (with_section(".dep-v0", b""), "rust"),
        (minimal(b"panicked at /rustc/" + b"0" * 40 + b"/library/core/src/panicking.rs"), "rust"),
        (defining("_ZN4core3fmt5write17h0123456789abcdefE"), "rust"),
        (defining("_ZN3Foo3barEv"), "c++"),
        (importing("_Znwm"), "c++"),
        (minimal(libraries=(Library(name="/usr/lib/libc++.1.dylib", kind="load"),)), "c++"),
        (with_section("__swift5_types", b""), "swift"),
        (with_section("__objc_classlist", b""), "objc"),
        (minimal(b"..ghczmprim_GHCziTypes_True_closure"), "haskell"),
        (minimal(format="pe", traits={"dotnet": True}), "dotnet"),
        (importing("puts"), "c"),
        (with_section(".comment", b"GCC: (Debian 12.2.0) 12.2.0\0"), "c"),
        (minimal(libraries=(Library(name="VCRUNTIME140.dll", kind="load"),)), "c"),
    ],
)
def test_each_compiler_leaves_its_trace(slice_: Slice, expected: str):
    assert language_of(slice_) == expected


def test_go_is_go_even_with_c_in_it():
    assert language_of(importing("puts"), go=GoBuild(version="go1.22")) == "go"


def test_without_a_trace_it_is_unknown_and_says_so():
    found = language.extract(subject(minimal(b"nothing to see here")))
    assert found.value == "unknown"
    assert [finding.id for finding in found.findings] == ["language-unknown"]
