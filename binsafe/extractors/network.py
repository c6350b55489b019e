"""What the program can do on the network, and where: "yes" has an address, "no" a proof, the rest is "unknown"."""

import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import PurePosixPath

from binsafe.extractors.language import is_dotnet
from binsafe.extractors.names import plain_name
from binsafe.extractors.networknames import (
    GO_FUNCTIONS,
    IMPORTS,
    LOADERS,
    NAME_SERVICES,
    OPERATIONS,
    PLAIN_LIBRARIES,
    STARTERS,
    SYSTEM_CALLS,
    TELLTALES,
    UNSEEN_SYSTEM_CALLS,
)
from binsafe.extractors.subject import Extracted, Subject
from binsafe.limits import MAX_EVIDENCE
from binsafe.model import Evidence, Finding, Network, Operation, Severity, Slice
from binsafe.model.facts import OperationName

Claim = tuple[OperationName, Evidence]

_DIRECTIONS: tuple[tuple[str, frozenset[OperationName]], ...] = (
    ("listen", frozenset({"listen", "accept"})),
    ("connect", frozenset({"connect"})),
    ("resolve", frozenset({"resolve"})),
    ("send", frozenset({"send"})),
    ("receive", frozenset({"receive"})),
    ("raw", frozenset({"raw"})),
)
_ON_A_SOCKET = frozenset({"send", "receive"})
"""What needs a socket first: Go's ``os`` brings ``WSASend`` into every Windows program."""
_STRENGTH = ("import", "function", "syscall", "string")
_SHOWN_REASONS = 5
_STATIC = ("static", "static-pie")


def extract(subject: Subject) -> Extracted[Network]:
    """The network fact: "no" only where every way to the network would have been seen."""
    slice_ = subject.slice
    claims = [*_imported(slice_), *_go_functions(subject), *_symbols(slice_), *_system_calls(subject)]
    if any(name not in _ON_A_SOCKET for name, _ in claims):
        network = Network(verdict="yes", directions=_directions(claims), operations=_operations(claims))
        return Extracted(network, (_can(network),))
    hints, doubts = [*claims, *_strings(slice_)], list(_doubts(subject))
    if claims:
        doubts.insert(0, "it can send or receive on a socket that it is given")
    if not doubts:
        return Extracted(Network(verdict="no"))
    return Extracted(Network(verdict="unknown", operations=_operations(hints)), (_cannot_tell(doubts, hints),))


def _imported(slice_: Slice) -> Iterator[Claim]:
    for entry in slice_.imports:
        operation = IMPORTS.get(plain_name(entry.name, slice_.format))
        if operation is not None:
            address = None if entry.address is None else hex(entry.address)
            yield operation, Evidence(via="import", address=address, symbol=entry.name, detail=entry.library)


def _go_functions(subject: Subject) -> Iterator[Claim]:
    if subject.functions is not None:
        for name, address in subject.functions.find(GO_FUNCTIONS).items():
            yield GO_FUNCTIONS[name], Evidence(via="function", address=hex(address), symbol=name)


def _symbols(slice_: Slice) -> Iterator[Claim]:
    """The C library's functions inside a static program; elsewhere a program's own ``send`` may be anything."""
    if slice_.linkage in _STATIC:
        for symbol in slice_.symbols:
            operation = IMPORTS.get(symbol.name.removeprefix("__libc_").lstrip("_"))
            if operation is not None and symbol.address:
                yield operation, Evidence(via="function", address=hex(symbol.address), symbol=symbol.name)


def _system_calls(subject: Subject) -> Iterator[Claim]:
    """On macOS only what the program calls itself: libSystem connects to daemons for functions that are no network."""
    if subject.syscalls is None:
        return
    places = subject.direct_calls if subject.slice.format == "mach-o" else subject.syscalls.sites
    for call in places if subject.slice.format == "mach-o" else subject.syscalls.required:
        operation = SYSTEM_CALLS.get(call)
        if operation is not None:
            for site in places.get(call, ()) or (None,):
                yield operation, Evidence(via="syscall", address=site, symbol=call)


def _strings(slice_: Slice) -> Iterator[Claim]:
    for text, operation in TELLTALES:
        found = re.search(re.escape(text), slice_.data)
        if found is not None:
            readable = text.replace(b"\0", b"").decode("ascii")
            yield operation, Evidence(via="string", symbol=readable, detail=f"at offset {found.start():#x}")


def _doubts(subject: Subject) -> Iterator[str]:
    """Why not having seen the network does not mean that there is none."""
    calls = subject.syscalls
    if calls is not None and calls.complete and not calls.open_set:
        unseen = sorted(UNSEEN_SYSTEM_CALLS.intersection(calls.required))
        yield from (f"it can call {name}, which leads past the calls that are looked for" for name in unseen)
    else:
        if calls is not None and calls.unresolved and subject.slice.format == "mach-o":
            yield "it calls the kernel itself, and which calls it makes could not all be told"
        yield from _unnamed(subject)
        yield from _supplied(subject.slice)
        yield from (f"it holds the text {evidence.symbol!r}" for _, evidence in _strings(subject.slice))


def _unnamed(subject: Subject) -> Iterator[str]:
    """Programs whose calls need not show among their imports."""
    slice_ = subject.slice
    static = slice_.linkage in _STATIC
    if static:
        yield "it is linked statically, so that the functions it uses have no names"
    if subject.is_go:
        yield "Go programs call the system without the functions that others import"
    if is_dotnet(slice_):
        yield "it is a .NET program: what it calls is in metadata that is not read"
    if not static and not slice_.imports:
        yield "it names no function that it imports"
    if slice_.problems:
        yield "part of its structure contradicts the rest, so that names may be missing"


def _supplied(slice_: Slice) -> Iterator[str]:
    """What others may do for the program: loaders, other programs, name services and libraries."""
    if slice_.kind != "executable":
        yield f"it is a {slice_.kind}: what loads it may give it functions"
    for name in sorted({plain_name(entry.name, slice_.format) for entry in slice_.imports}):
        if name in LOADERS:
            yield f"by {name} it can get at functions that it does not name"
        elif name in STARTERS:
            yield f"by {name} it can start programs that do it"
        elif name in NAME_SERVICES:
            yield f"{name} may ask a server"
    for library in slice_.libraries:
        if not PurePosixPath(library.name).name.lower().startswith(PLAIN_LIBRARIES):
            yield f"{library.name} may do it on the program's behalf"


def _operations(claims: list[Claim]) -> tuple[Operation, ...]:
    by_name: dict[OperationName, set[Evidence]] = defaultdict(set)
    for name, evidence in claims:
        by_name[name].add(evidence)
    return tuple(
        Operation(
            name=name,
            evidence=tuple(sorted(by_name[name], key=_order)[:MAX_EVIDENCE]),
            evidence_total=len(by_name[name]),
        )
        for name in OPERATIONS
        if name in by_name
    )


def _order(evidence: Evidence) -> tuple[bool, int, int, str]:
    """What can be looked up first: places with an address."""
    address = int(evidence.address, 16) if evidence.address else 0
    return evidence.address is None, _STRENGTH.index(evidence.via), address, evidence.symbol or ""


def _directions(claims: list[Claim]) -> tuple[str, ...]:
    seen = {name for name, _ in claims}
    return tuple(direction for direction, names in _DIRECTIONS if seen & names)


def _can(network: Network) -> Finding:
    words = ", ".join(network.directions or tuple(operation.name for operation in network.operations))
    return Finding(
        id="network",
        severity=Severity.INFO,
        title="It can use the network",
        detail=f"It holds code for: {words}.",
        evidence=tuple(operation.evidence[0] for operation in network.operations),
    )


def _cannot_tell(doubts: list[str], hints: list[Claim]) -> Finding:
    more = f"; and {len(doubts) - _SHOWN_REASONS} more reasons" if len(doubts) > _SHOWN_REASONS else ""
    return Finding(
        id="network-unknown",
        severity=Severity.INFO,
        title="Whether it uses the network cannot be told",
        detail="Nothing in it opens the network, but " + "; ".join(doubts[:_SHOWN_REASONS]) + more + ".",
        evidence=tuple(evidence for _, evidence in hints)[:MAX_EVIDENCE],
    )
