"""Claims: what the names in a program say that it can do, each with the evidence, strongest kind first.

A claim rests on a place: where code calls an imported function, where a function of Go or of a C library that is linked
in begins, where code enters the kernel, where .NET's metadata refers to a member or function. Texts are no claims.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import TypeVar

from binsafe.extractors.names import plain_name
from binsafe.extractors.subject import Subject
from binsafe.extractors.vocabulary import Vocabulary
from binsafe.limits import MAX_EVIDENCE
from binsafe.model import Evidence

K = TypeVar("K", bound=str)
STATIC = ("static", "static-pie")
_STRENGTH = ("import", "function", "syscall", "layout", "string")


def claims(subject: Subject, vocabulary: Vocabulary[K]) -> list[tuple[K, Evidence]]:
    """All that the program's names say of it in the words of ``vocabulary``."""
    return [
        *_imported(subject, vocabulary),
        *_go_functions(subject, vocabulary),
        *_linked_in(subject, vocabulary),
        *_system_calls(subject, vocabulary),
        *_managed(subject, vocabulary),
    ]


def hints(subject: Subject, vocabulary: Vocabulary[K]) -> Iterator[tuple[K, Evidence]]:
    """What texts in its data suggest; they prove nothing."""
    for text, kind in vocabulary.texts.items():
        place = subject.texts.get(text)
        if place is not None:
            readable = text.replace(b"\0", b"").decode("ascii")
            yield kind, Evidence(via="string", symbol=readable, detail=f"at offset {place:#x}")


def shown(evidence: Iterable[Evidence]) -> tuple[tuple[Evidence, ...], int]:
    """The evidence that is shown, places that can be looked up first, and how much there is."""
    unique = set(evidence)
    return tuple(sorted(unique, key=_order)[:MAX_EVIDENCE]), len(unique)


def by_kind(found: Iterable[tuple[K, Evidence]]) -> dict[K, list[Evidence]]:
    """The evidence for each kind of claim."""
    grouped: defaultdict[K, list[Evidence]] = defaultdict(list)
    for kind, evidence in found:
        grouped[kind].append(evidence)
    return dict(grouped)


def _order(evidence: Evidence) -> tuple[bool, int, int, str]:
    address = int(evidence.address, 16) if evidence.address else 0
    return evidence.address is None, _STRENGTH.index(evidence.via), address, evidence.symbol or ""


def _imported(subject: Subject, vocabulary: Vocabulary[K]) -> Iterator[tuple[K, Evidence]]:
    """The places that call it where they are known, else the stub or slot that they go through."""
    for entry in subject.slice.imports:
        kind = vocabulary.imports.get(plain_name(entry.name, subject.slice.format))
        if kind is None:
            continue
        sites = () if entry.address is None else subject.sites.get(entry.address, ())
        detail = f"called here, {entry.library}" if entry.library else "called here"
        for site in sites:
            yield kind, Evidence(via="import", address=hex(site), symbol=entry.name, detail=detail)
        if not sites:
            address = None if entry.address is None else hex(entry.address)
            yield kind, Evidence(via="import", address=address, symbol=entry.name, detail=entry.library)


def _go_functions(subject: Subject, vocabulary: Vocabulary[K]) -> Iterator[tuple[K, Evidence]]:
    if subject.functions is not None:
        for name, address in subject.functions.find(vocabulary.functions).items():
            yield vocabulary.functions[name], Evidence(via="function", address=hex(address), symbol=name)


def _linked_in(subject: Subject, vocabulary: Vocabulary[K]) -> Iterator[tuple[K, Evidence]]:
    """The C library's functions inside a static program; elsewhere a program's own ``send`` may be anything."""
    if subject.slice.linkage in STATIC and not subject.is_go:
        for symbol in subject.slice.symbols:
            kind = vocabulary.imports.get(symbol.name.removeprefix("__libc_").lstrip("_"))
            if kind is not None and symbol.address:
                yield kind, Evidence(via="function", address=hex(symbol.address), symbol=symbol.name)


def _system_calls(subject: Subject, vocabulary: Vocabulary[K]) -> Iterator[tuple[K, Evidence]]:
    """What code asks of the kernel by itself; the list of a dynamic ELF program has its libraries' calls, too."""
    calls = subject.syscalls
    places = subject.direct_calls if subject.slice.format == "mach-o" else {}
    if calls is not None and subject.slice.linkage in STATIC:
        places = {call: calls.sites.get(call, ()) for call in calls.required}
    for call, sites in places.items():
        kind = vocabulary.calls.get(call)
        if kind is not None:
            for site in sites or (None,):
                yield kind, Evidence(via="syscall", address=site, symbol=call)


def _managed(subject: Subject, vocabulary: Vocabulary[K]) -> Iterator[tuple[K, Evidence]]:
    """What .NET's metadata refers to: members of types, and functions of libraries outside of .NET (P/Invoke)."""
    if subject.managed is None:
        return
    for member in subject.managed.members:
        if kind := vocabulary.of_member(member.name):
            detail = "referred to by .NET metadata"
            yield kind, Evidence(via="import", address=hex(member.address), symbol=member.name, detail=detail)
    for native in subject.managed.natives:
        if kind := _of_native(native.name.rpartition("!")[2], vocabulary):
            detail = "P/Invoke by .NET metadata"
            yield kind, Evidence(via="import", address=hex(native.address), symbol=native.name, detail=detail)


def _of_native(name: str, vocabulary: Vocabulary[K]) -> K | None:
    """What a function is that .NET looks up: with ``A`` or ``W`` at its end, too, as the character set says."""
    spellings = (name, f"{name}W", f"{name}A")
    return next((vocabulary.imports[each] for each in spellings if each in vocabulary.imports), None)
