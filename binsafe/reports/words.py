"""The report's short words as a person says them."""

from collections.abc import Mapping
from types import MappingProxyType

from binsafe.model import Severity

_Words = Mapping[str, str]

FORMATS: _Words = MappingProxyType({"mach-o": "Mach-O", "elf": "ELF", "pe": "PE"})
SYSTEMS: _Words = MappingProxyType(
    {"macos": "macOS", "ios": "iOS", "linux": "Linux", "windows": "Windows", "freebsd": "FreeBSD"}
    | {"openbsd": "OpenBSD", "netbsd": "NetBSD", "solaris": "Solaris", "haiku": "Haiku"}
)
LANGUAGES: _Words = MappingProxyType(
    {
        "go": "Go",
        "rust": "Rust",
        "c": "C",
        "c++": "C++",
        "swift": "Swift",
        "objc": "Objective-C",
        "zig": "Zig",
        "haskell": "Haskell",
        "dotnet": ".NET",
        "java": "Java",
        "dart": "Dart",
        "ocaml": "OCaml",
        "nim": "Nim",
        "d": "D",
        "fortran": "Fortran",
        "ada": "Ada",
        "pascal": "Pascal",
    }
)
SIGNATURES: _Words = MappingProxyType(
    {
        "none": "none: it is not signed",
        "linker": "by the linker only, which proves nothing about who made it",
        "adhoc": "ad hoc, which proves nothing about who made it",
        "developer-id": "Apple Developer ID",
        "apple": "Apple",
        "other": "somebody's own certificate",
        "authenticode": "Authenticode",
    }
)
CERTIFICATES: _Words = MappingProxyType(
    {
        "mac-app-store": "Apple's App Store",
        "ios-app-store": "Apple's App Store",
        "mac-app-distribution": "a certificate of Apple's for apps that go into its App Store",
        "ios-app-distribution": "a certificate of Apple's for apps that go into its App Store",
        "mac-development": "a certificate of Apple's for its developer's own devices",
        "ios-development": "a certificate of Apple's for its developer's own devices",
        "developer-id-installer": "Apple Developer ID, for installers",
    }
)
"""What ``other`` signatures are made with, where Apple says so."""
HELD: _Words = MappingProxyType(
    {
        "valid": "; it holds: these are the bytes that were signed",
        "invalid": "; it does NOT hold: the findings say why",
        "unknown": " is what it claims; not all of that could be verified",
    }
)
CAPABILITIES: _Words = MappingProxyType(
    {
        "execute": "start other programs",
        "persistence": "write where programs are started from at login or boot",
        "keychain": "ask for stored passwords and keys",
        "screen": "look at the screen",
        "camera": "use the camera",
        "microphone": "listen to the microphone",
        "debug": "look into or take over other processes",
        "load-library": "load code at run time",
        "modify-code": "make memory executable that it has written",
        "packed": "unpack itself: its code is hidden until it runs",
    }
)
SEVERITY_ROLES: Mapping[Severity, str] = MappingProxyType(
    {Severity.MEDIUM: "caution", Severity.HIGH: "danger", Severity.CRITICAL: "danger"}
)
"""Severity -> the style of what has it."""
