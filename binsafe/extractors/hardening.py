"""Which mitigations the program was built with. A header that does not say gives "unknown", never "absent"."""

import posixpath
import re
from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType

from binsafe.extractors.language import is_dotnet
from binsafe.extractors.names import plain_name, words
from binsafe.extractors.subject import Extracted, Subject
from binsafe.formats.symbols import may_name
from binsafe.model import Finding, Severity, Slice
from binsafe.model.facts import Mitigation
from binsafe.paths import is_inside

_CANARY = words("__stack_chk_fail __stack_chk_guard __stack_chk_fail_local")
_OF_CANARIES = "__stack_chk_"
_VALIDATION_OFF = "com.apple.security.cs.disable-library-validation"
_DYLD_VARIABLES = "com.apple.security.cs.allow-dyld-environment-variables"
_WRITABLE_BY_ALL = ("/tmp", "/var/tmp", "/dev/shm", "/private/tmp", "/Users/Shared")  # noqa: S108 - never written
_CURRENT = ("/proc/self/cwd", "/proc/thread-self/cwd")
_OF_THE_SYSTEM = ("/usr/lib/", "/System/Library/")
_SHOWN_PATHS = 4
_ORIGINS = re.compile(r"/|\$ORIGIN(?![A-Za-z0-9_])|\$\{ORIGIN\}|@(?:executable|loader)_path(?:/|$)")
"""How a place to look for libraries begins that does not depend on where the program is started (``$ORIGINAL`` is a
folder's name: glibc's ``is_dst``, dyld's ``Loader.cpp``)."""
_FORTIFIABLE = words(
    "asprintf confstr dprintf explicit_bzero fgets fgets_unlocked fgetws fgetws_unlocked fprintf fread fread_unlocked"
    " fwprintf getcwd getdomainname getgroups gethostname getlogin_r gets getwd longjmp mbsnrtowcs mbsrtowcs mbstowcs"
    " memccpy memcpy memmove mempcpy memset obstack_printf obstack_vprintf poll ppoll pread pread64 printf ptsname_r"
    " read readlink readlinkat realpath recv recvfrom snprintf sprintf stpcpy stpncpy strcat strcpy strlcat strlcpy"
    " strncat strncpy swprintf syslog ttyname_r vasprintf vdprintf vfprintf vfwprintf vprintf vsnprintf vsprintf"
    " vswprintf vsyslog vwprintf wcpcpy wcpncpy wcrtomb wcscat wcscpy wcslcat wcslcpy wcsncat wcsncpy wcsnrtombs"
    " wcsrtombs wcstombs wctomb wmemcpy wmemmove wmempcpy wmemset wprintf"
)
"""Functions that have a checking twin (``__memcpy_chk``), by glibc's ``bits/*2.h`` and Apple's ``secure/_*.h``."""
_CHECKS = words("fdelt_chk fdelt_warn open_2 open64_2 openat_2 openat64_2 mq_open_2")
"""Checks without such a twin, of ``FD_SET`` and of a file's mode: they, too, are there only where it was asked for."""


def extract(subject: Subject) -> Extracted[dict[str, Mitigation]]:
    """Mitigation -> state, by the rules of the slice's format, and a finding for data that can be executed."""
    value = {name: rule(subject) for name, rule in RULES[subject.slice.format].items()}
    found = (*_executable_data(subject.slice), *_library_path(subject.slice), *_dyld_environment(subject.slice))
    return Extracted(value, found)


def _trait(name: str) -> Callable[[Subject], Mitigation]:
    """A mitigation that the header states as such."""
    return lambda subject: _state(subject.slice.traits.get(name))


def _not_trait(name: str) -> Callable[[Subject], Mitigation]:
    """A mitigation whose absence the header states."""

    def rule(subject: Subject) -> Mitigation:
        stated = subject.slice.traits.get(name)
        return "unknown" if stated is None else _state(not stated)

    return rule


def _state(stated: object) -> Mitigation:
    if stated is None:
        return "unknown"
    return "present" if stated else "absent"


def _elf_nx(subject: Subject) -> Mitigation:
    """Whether its stack is data: other systems than these two decide that themselves, whatever the file says."""
    obeyed = subject.slice.system in {"linux", "freebsd"}
    return _not_trait("executable_stack")(subject) if obeyed else "not-applicable"


def _relro(subject: Subject) -> Mitigation:
    """Full only where the loader binds everything (``-z now``) before it write-protects the table."""
    slice_ = subject.slice
    if slice_.traits.get("relro") is None:
        return "unknown"
    if not slice_.traits["relro"]:
        return "absent"
    if slice_.linkage != "dynamic":
        return "present"
    return "present" if slice_.traits.get("bind_now") and slice_.traits.get("relro_got") else "partial"


def _canary(subject: Subject) -> Mitigation:
    """Whether functions check their stack frames; a static program without names does not say, nor an object file."""
    if subject.is_go:
        return "not-applicable"
    slice_ = subject.slice
    if any(plain_name(entry.name, slice_.format) in _CANARY for entry in slice_.imports):
        return "present"
    looked_at = slice_.symbols if may_name(slice_.symbols, _OF_CANARIES) else ()
    if any(plain_name(symbol.name, slice_.format) in _CANARY for symbol in looked_at):
        return "present"
    named = slice_.linkage == "dynamic" or (slice_.linkage is not None and slice_.symbols)
    return "absent" if named else "unknown"


def _fortify(subject: Subject) -> Mitigation:
    """Whether calls that can overflow go to their checking twins: all, some or none of them."""
    if subject.is_go:
        return "not-applicable"
    slice_ = subject.slice
    names = {plain_name(entry.name, slice_.format).lstrip("_") for entry in slice_.imports}
    checked = {name for name in names if name.endswith("_chk") and name.removesuffix("_chk") in _FORTIFIABLE}
    checked |= names & _CHECKS
    unchecked = names & _FORTIFIABLE
    if not names and slice_.linkage != "dynamic":
        return "unknown"
    if checked:
        return "partial" if unchecked else "present"
    return "absent" if unchecked else "not-applicable"


def _managed(rule: Callable[[Subject], Mitigation]) -> Callable[[Subject], Mitigation]:
    """A mitigation of native code: Go's and .NET's own code has no use for it."""
    return lambda subject: "not-applicable" if subject.is_go or is_dotnet(subject.slice) else rule(subject)


def _high_entropy(subject: Subject) -> Mitigation:
    """ASLR over the whole of a 64-bit address space."""
    if subject.slice.bits == 32:
        return "not-applicable"
    flag, moved = (subject.slice.traits.get(name) for name in ("high_entropy_va", "dynamic_base"))
    return "absent" if moved is False else _state(flag)


def _safe_seh(subject: Subject) -> Mitigation:
    """A table of exception handlers: only 32-bit x86 keeps them on the stack."""
    return _state(subject.slice.traits.get("safe_seh")) if subject.slice.arch == "i386" else "not-applicable"


def _guard_cf(subject: Subject) -> Mitigation:
    """Control Flow Guard checks calls against a table: the flag without it checks nothing of this file's own."""
    flag, table = (subject.slice.traits.get(name) for name in ("guard_cf", "guard_table"))
    return "partial" if flag and table is False else _state(flag)


def _of_processors(*arches: str, trait: str) -> Callable[[Subject], Mitigation]:
    """A mitigation that only some processors have."""
    stated = _trait(trait)
    return lambda subject: stated(subject) if subject.slice.arch in arches else "not-applicable"


def _library_validation(subject: Subject) -> Mitigation:
    """Whether macOS loads libraries only of the same team or of Apple (Apple, "Hardened Runtime")."""
    flags, entitlements = subject.signature.flags, subject.signature.entitlements or {}
    if "library-validation" in flags:
        return "present"
    return _state("runtime" in flags and not entitlements.get(_VALIDATION_OFF))


def _restricted(subject: Subject) -> Mitigation:
    """Whether dyld ignores its environment variables, which can load any library into a program."""
    flags, entitlements = subject.signature.flags, subject.signature.entitlements or {}
    asked = "restrict" in flags or ("runtime" in flags and not entitlements.get(_DYLD_VARIABLES))
    return _state(asked or bool(subject.slice.traits.get("restrict")))


def _hardened_runtime(subject: Subject) -> Mitigation:
    return "present" if "runtime" in subject.signature.flags else "absent"


def _pointer_authentication(subject: Subject) -> Mitigation:
    if subject.slice.arch not in {"arm64", "arm64e"}:
        return "not-applicable"
    return _state(subject.slice.arch == "arm64e")


RULES: Mapping[str, Mapping[str, Callable[[Subject], Mitigation]]] = MappingProxyType(
    {
        "elf": MappingProxyType(
            {
                "pie": _trait("pie"),
                "nx": _elf_nx,
                "relro": _relro,
                "canary": _canary,
                "fortify": _fortify,
                "ibt": _of_processors("x86_64", "i386", trait="ibt"),
                "shadow_stack": _of_processors("x86_64", "i386", trait="shadow_stack"),
                "bti": _of_processors("arm64", trait="bti"),
                "pac": _of_processors("arm64", trait="pac"),
            }
        ),
        "mach-o": MappingProxyType(
            {
                "pie": _trait("pie"),
                "nx": _not_trait("allow_stack_execution"),
                "canary": _canary,
                "fortify": _fortify,
                "hardened_runtime": _hardened_runtime,
                "library_validation": _library_validation,
                "restricted": _restricted,
                "encrypted": _trait("encrypted"),
                "pointer_authentication": _pointer_authentication,
            }
        ),
        "pe": MappingProxyType(
            {
                "aslr": _trait("dynamic_base"),
                "high_entropy_aslr": _high_entropy,
                "nx": _trait("nx_compat"),
                "canary": _managed(_trait("security_cookie")),
                "guard_cf": _managed(_guard_cf),
                "shadow_stack": _of_processors("x86_64", "i386", trait="cet_compat"),
                "safe_seh": _safe_seh,
            }
        ),
    }
)
"""Format -> mitigation -> the rule that tells its state, in the order of the report."""


def _executable_data(slice_: Slice) -> Iterator[Finding]:
    """Segments that can be written and executed: what packers need, and what no compiler makes."""
    both = [segment for segment in slice_.segments if segment.writable and segment.executable]
    if both:
        where = ", ".join(f"{segment.name or 'a segment'} at {segment.address:#x}" for segment in both[:4])
        yield Finding(
            id="writable-code",
            severity=Severity.MEDIUM,
            title="It has memory that can be written and executed",
            detail=f"{len(both)} of its segments, so that it can change its own code while it runs: {where}.",
        )


def _library_path(slice_: Slice) -> Iterator[Finding]:
    """Places to look for libraries where others than the program's installer can put one (ld.so(8), dyld(1))."""
    bad = [f"{path!r} {why}" for path in _places(slice_) if (why := _why_others_may(path)) is not None]
    if slice_.traits.get("rpath_current_folder"):
        bad.append("an empty entry means the folder it is started in")
    if bad:
        yield Finding(
            id="library-path",
            severity=Severity.MEDIUM,
            title="It loads libraries from where others can put them",
            detail=f"Of the places that it names: {'; '.join(bad[:_SHOWN_PATHS])}.",
        )


def _dyld_environment(slice_: Slice) -> Iterator[Finding]:
    """Variables that the file sets for dyld itself, which obeys those that name paths (``ProcessConfig.cpp``)."""
    if variables := _variables(slice_):
        said = "; ".join(f"{name}={value}" for name, value in variables[:_SHOWN_PATHS])
        yield Finding(
            id="dyld-environment",
            severity=Severity.LOW,
            title="It tells the loader where to look for libraries first",
            detail=f"It is loaded as if started with {said}: libraries there stand in for those that it names.",
        )


def _variables(slice_: Slice) -> list[tuple[str, str]]:
    """Names and values of ``LC_DYLD_ENVIRONMENT`` that count."""
    lines = str(slice_.traits.get("dyld_environment", "")).split("\n")
    parts = [line.partition("=") for line in lines]
    return [(name, value) for name, _, value in parts if name.startswith("DYLD_") and name.endswith("_PATH")]


def _places(slice_: Slice) -> Iterator[str]:
    """Where it looks for libraries, those that it names with a folder, and its loader."""
    if slice_.format != "mach-o" or _asks_for_rpaths(slice_):
        yield from slice_.rpaths
    yield from (path for _, value in _variables(slice_) for path in value.split(":") if path)
    if slice_.format == "mach-o":  # a name without a folder is looked for in the one that it is started in
        yield from (library.name for library in slice_.libraries if not library.name.startswith("@rpath/"))
    if slice_.format == "elf":
        yield from (library.name for library in slice_.libraries if "/" in library.name)
        interpreter = slice_.traits.get("interpreter")
        yield from (name for name in (interpreter,) if isinstance(name, str))


def _asks_for_rpaths(slice_: Slice) -> bool:
    """Whether anything is looked for there: a library by ``@rpath``, one of a library's own, or one by dlopen(3)."""
    strangers = (each for each in slice_.libraries if not each.name.startswith(_OF_THE_SYSTEM))
    loads = any(plain_name(entry.name, slice_.format).startswith("dlopen") for entry in slice_.imports)
    return loads or slice_.linkage != "dynamic" or next(strangers, None) is not None


def _why_others_may(path: str) -> str | None:
    plain = f"/{posixpath.normpath(path).lstrip('/')}"
    if not _ORIGINS.match(path) or is_inside(plain, *_CURRENT):
        return "depends on the folder it is started in"
    if path.startswith("/") and is_inside(plain, *_WRITABLE_BY_ALL):
        return "can be written by everybody"
    return None
