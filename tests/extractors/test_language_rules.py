import pytest
from minimal_slices import defining, importing, minimal, subject, with_section

from binsafe.extractors import language, texts
from binsafe.extractors.runtimenames import DOTNET_BUNDLE, RUNTIME_TEXTS
from binsafe.model import GoBuild, Library, Slice


def language_of(slice_: Slice, **known: object):
    return language.extract(subject(slice_, texts=texts.find(slice_, RUNTIME_TEXTS), **known)).value


@pytest.mark.parametrize(
    ("slice_", "expected"),
    [
        (with_section(".dep-v0", b""), "rust"),
        (minimal(b"..RUST_BACKTRACE.."), "rust"),
        (defining("_ZN4core3fmt5write17h0123456789abcdefE"), "rust"),
        (defining("_ZN3Foo3barEv"), "c++"),
        (importing("_Znwm"), "c++"),
        (minimal(libraries=(Library(name="/usr/lib/libc++.1.dylib", kind="load"),)), "c++"),
        (with_section("__swift5_types", b""), "swift"),
        (with_section("__objc_classlist", b""), "objc"),
        (minimal(b"..com.oracle.svm.core.VM=GraalVM CE 25.."), "java"),
        (defining("kDartVmSnapshotInstructions"), "dart"),
        (minimal(b"..GHCRTS.."), "haskell"),
        (minimal(b"..OCAMLRUNPARAM.."), "ocaml"),
        (minimal(b"..fatal.nim.."), "nim"),
        (minimal(libraries=(Library(name="libgphobos.so.3", kind="needed"),)), "d"),
        (importing("_gfortran_set_args"), "fortran"),
        (minimal(libraries=(Library(name="libgnat-12.so", kind="needed"),)), "ada"),
        (defining("__gnat_ada_main_program_name"), "ada"),
        (with_section(".fpcdata", b""), "pascal"),
        (minimal(b"..attempt to unwrap error: {s}"), "zig"),
        (minimal(b"\0" * 8 + DOTNET_BUNDLE), "dotnet"),
        (minimal(b"..DotNetRuntimeDebugHeader"), "dotnet"),
        (defining("?Run@Isolate@v8@@QEAAXXZ"), "c++"),
        (minimal(b"....?AVexception@std@@...?AVWindow@@"), "c++"),
        (minimal(b"....?AVtype_info@@\0.?AVexception@std@@\0.?AVbad_exception@std@@\0GCONV_PATH"), "c"),
        (minimal(format="pe", traits={"toolchain": "Microsoft linker 14.38"}), "c"),
        (minimal(b"..GCONV_PATH.."), "c"),
        (minimal(format="pe", traits={"dotnet": True}), "dotnet"),
        (importing("puts"), "c"),
        (with_section(".comment", b"GCC: (Debian 12.2.0) 12.2.0\0"), "c"),
        (minimal(libraries=(Library(name="VCRUNTIME140.dll", kind="load"),)), "c"),
    ],
)
def test_each_compiler_leaves_its_trace(slice_: Slice, expected: str):
    assert language_of(slice_) == expected


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("RC4_set_key", "c"),
        ("RIPEMD160_Init", "c"),
        ("RNG_seed", "c"),
        ("ZSTD_compress", "c"),
        ("ZombieProcessError", "c"),
        ("_RNvCsdBezzDwma51_7mycrate3foo", "rust"),
        ("_RINvNtC3std3mem8align_ofdE", "rust"),
        ("_ZN4core3fmt17h0123456789abcdefE.llvm.42", "rust"),
        ("_Z3foov", "c++"),
        ("_ZSt4cout", "c++"),
        ("_ZTVN10__cxxabiv117__class_type_infoE", "c++"),
        ("_ZdlPv", "c++"),
        ("$s4main3fooyyF", "swift"),
    ],
)
def test_names_in_c_that_begin_as_others_are_spelt_are_c(name: str, expected: str):
    assert language_of(importing(name)) == expected
    assert language_of(importing(f"_{name}", format="mach-o")) == expected


def test_go_is_go_even_with_c_in_it():
    assert language_of(importing("puts"), go=GoBuild(version="go1.22")) == "go"


def test_what_most_names_are_spelt_in_counts_not_what_one_library_is_written_in():
    """Node.js links a library in Rust, and many a program in Rust one in C++."""
    cxx, rust = [f"_ZN4node{n}Foo3barEv" for n in range(900)], [f"_ZN4core3fmt17h{n:016x}E" for n in range(30)]
    mixed = minimal(b"..RUST_BACKTRACE..", symbols=defining(*cxx, *rust).symbols)
    assert language_of(mixed) == "c++"
    few = minimal(b"..RUST_BACKTRACE..", symbols=defining(*cxx[:30], *rust).symbols)
    assert language_of(few) == "rust"


def test_swift_for_an_earlier_system_brings_its_runtime_along():
    swift, runtime = [f"$s4main3fo{n}yyF" for n in range(30)], [f"_ZN5swift8Demangle{n}FooEv" for n in range(90)]
    sections = with_section("__swift5_types", b"").sections
    assert language_of(minimal(sections=sections, symbols=defining(*swift, *runtime).symbols)) == "swift"
    assert language_of(minimal(sections=sections, symbols=defining(*swift[:8], *runtime).symbols)) == "c++"


def test_a_library_in_c_plus_plus_with_a_window_of_macos_is_no_objective_c():
    sections = with_section("__objc_classlist", b"").sections
    drawing = [f"__ZN2Qt6Window{n}drawEv" for n in range(9)]
    window = ["_objc_msgSend", "_OBJC_CLASS_$_NSWindow", "-[View draw]"]
    few = minimal(format="mach-o", sections=sections, symbols=defining(*drawing, *window[:2]).symbols)
    assert language_of(few) == "c++"
    most = minimal(format="mach-o", sections=sections, symbols=defining(*drawing, *window).symbols)
    assert language_of(most) == "objc"


def test_without_a_trace_it_is_unknown_and_says_so():
    found = language.extract(subject(minimal(b"nothing to see here")))
    assert found.value == "unknown"
    assert [finding.id for finding in found.findings] == ["language-unknown"]
