"""Texts that a runtime or compiler cannot help leaving in what it makes, stripped or not."""

DOTNET_BUNDLE = bytes.fromhex("8b1202b96a612038727b930214d7a03213f5b9e6efae3318ee3b2dce24b36aae")
"""Stands in each .NET host behind the place of its bundle (SHA-256 of ".net core bundle"; ``bundle_marker.cpp``)."""
DOTNET_NATIVE = b"DotNetRuntimeDebugHeader"
"""What .NET's native compiler and its single-file host export for debuggers."""
GRAALVM = b"com.oracle.svm.core.VM="
"""How Java that GraalVM compiled ahead of time says which GraalVM that was (``VM.java``)."""
GHC_OPTIONS = b"GHCRTS"
OCAML_OPTIONS = b"OCAMLRUNPARAM"
RUST_OPTIONS = b"RUST_BACKTRACE"
"""Variables that the runtimes of GHC, OCaml and Rust read when they start or panic."""
NIM_SOURCES = b"fatal.nim"
ZIG_PANIC = b"attempt to unwrap error"
LIBSTDCXX_END, LIBCXX_END = b"terminate called after throwing", b"libc++abi: "
"""What the two C++ libraries say of an exception that nobody catches."""
MSVC_TYPES = b".?AV"
"""How Microsoft's compiler begins the name of a class at run time."""
GLIBC_CHARSETS, MUSL_LOADER = b"GCONV_PATH", b"/etc/ld-musl-"
"""What C libraries read that are linked in."""

RUNTIME_TEXTS = (
    DOTNET_BUNDLE, DOTNET_NATIVE, GRAALVM, GHC_OPTIONS, OCAML_OPTIONS, RUST_OPTIONS, NIM_SOURCES, ZIG_PANIC,
    LIBSTDCXX_END, LIBCXX_END, MSVC_TYPES, GLIBC_CHARSETS, MUSL_LOADER,
)  # fmt: skip
