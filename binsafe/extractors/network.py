"""What the program can do on the network, and where: "yes" has an address, "no" a proof, the rest is "unknown"."""

from collections.abc import Iterator

from binsafe.extractors.claims import STATIC, by_kind, claims, hints, shown
from binsafe.extractors.codemaking import code_making, unclear_makers
from binsafe.extractors.language import is_dotnet
from binsafe.extractors.names import plain_name
from binsafe.extractors.networknames import (
    LOADERS,
    MESSENGERS,
    NAME_SERVICES,
    NETWORK,
    OPERATIONS,
    PLAIN_LIBRARIES,
    STARTERS,
    UNSEEN_SYSTEM_CALLS,
)
from binsafe.extractors.packing import packed, programs, without_order
from binsafe.extractors.subject import Extracted, Subject
from binsafe.formats.callsites import call_beside_code, constant_argument, kernel_call, old_kernel_call
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
_OPENS = frozenset({"socket", "resolve", "raw"})
_LOCAL_DOMAINS = {"linux": frozenset({1, 16, 38}), "macos": frozenset({1, 17, 32})}
"""Domains of sockets that stay on the machine: AF_UNIX, AF_NETLINK, AF_ALG; AF_UNIX, AF_ROUTE, AF_SYSTEM."""
_ON_SOCKETS = frozenset({"socket", "bind", "listen", "accept", "connect", "send", "receive"})
_REACHING = UNSEEN_SYSTEM_CALLS.union(NETWORK.calls)
_FUNCTION = "function "
"""How the names of functions begin in the open set of a macOS program."""
_SHOWN_NAMES = 3
_SHOWN_REASONS = 5


def extract(subject: Subject) -> Extracted[Network]:
    """The network fact: "no" only where every way to the network would have been seen."""
    found = _of_the_library(subject, claims(subject, NETWORK))
    local = _only_local_sockets(subject, found)
    proof = [claim for claim in found if not (local and claim[0] in _ON_SOCKETS)]
    if any(name not in _ON_A_SOCKET for name, _ in proof):
        network = Network(verdict="yes", directions=_directions(found), operations=_operations(found))
        return Extracted(network, (_can(network),))
    suspected, doubts = [*found, *hints(subject, NETWORK)], list(_doubts(subject))
    if local:
        doubts.insert(0, "it makes sockets, and all calls say that they are for this machine only")
    elif found:
        doubts.insert(0, "it can send or receive on a socket that it is given")
    if not doubts:
        doubts += [*_hidden(subject), *_unfollowed(subject)]
    if not doubts:
        return Extracted(Network(verdict="no"))
    return Extracted(Network(verdict="unknown", operations=_operations(suspected)), (_cannot_tell(doubts, suspected),))


def _of_the_library(subject: Subject, found: list[Claim]) -> list[Claim]:
    """Without a static program's own functions: one that has no ``socket`` has a ``send`` and ``bind`` of its own.

    Names that begin with an underscore are reserved for the library.
    """
    if subject.slice.linkage not in STATIC or subject.is_go or any(name in _OPENS for name, _ in found):
        return found
    return [(name, place) for name, place in found if place.via != "function" or (place.symbol or "").startswith("_")]


def _only_local_sockets(subject: Subject, found: list[Claim]) -> bool:
    """Whether every call of ``socket`` is seen, and names a domain that does not leave the machine."""
    local = _LOCAL_DOMAINS.get(subject.slice.system, frozenset())
    made = [evidence for name, evidence in found if name == "socket"]
    return bool(made) and all(_domain(subject, evidence) in local for evidence in made)


def _domain(subject: Subject, evidence: Evidence) -> int | None:
    """The first argument of a call of ``socket``; None where the evidence is no call or does not show it."""
    if evidence.via == "syscall" and subject.syscalls is not None:
        proved = subject.syscalls.arguments.get("socket", ())
        values = next((known.values for known in proved if known.argument == 0), ())
        return values[0] if len(values) == 1 else None
    site = int(evidence.address or "0", 16)
    named = plain_name(evidence.symbol or "", subject.slice.format) == "socket"  # others' first argument is no domain
    called = named and evidence.via == "import" and any(site in sites for sites in subject.sites.values())
    return constant_argument(subject.slice, site, 0) if called else None


def _doubts(subject: Subject) -> Iterator[str]:
    """Why not having seen the network does not mean that there is none."""
    calls = subject.syscalls
    if calls is not None and calls.complete and not calls.open_set:
        unseen = sorted(UNSEEN_SYSTEM_CALLS.intersection(calls.required))
        yield from (f"it can call {name}, which leads past the calls that are looked for" for name in unseen)
        if subject.slice.linkage == "dynamic" and not NETWORK.calls.keys().isdisjoint(calls.required):
            yield "libraries that it is linked with can open sockets"
    else:
        if calls is not None and calls.unresolved:
            yield "it calls the kernel itself, and which calls it makes could not all be told"
        if calls is not None and calls.open_set and subject.slice.format != "mach-o":  # all of those name dyld
            yield f"it loads code that is not here: {', '.join(calls.open_set[:_SHOWN_REASONS])}"
        if subject.slice.format == "mach-o":
            yield from _past_libsystem(subject)
        yield from _unnamed(subject)
        yield from _supplied(subject.slice)
        yield from (f"it holds the text {evidence.symbol!r}" for _, evidence in hints(subject, NETWORK))


def _hidden(subject: Subject) -> Iterator[str]:
    """What could be hidden from all that was looked at: asked only of what shows nothing, because it takes a while."""
    slice_ = subject.slice
    if place := next(code_making(subject), None):
        yield f"it makes code while it runs (at {place.address}), which is not in the file"
    if found := unclear_makers(subject):
        yield f"what it asks {_listed(found)} for may be memory that can be executed"
    if size := without_order(slice_):
        yield f"{size:,} bytes of it are compressed or encrypted"
    if next(packed(slice_, is_managed=subject.managed is not None), None):
        yield "its code is packed"
    if next(programs(slice_), None):
        yield "it carries another program or an archive, which was not looked at"
    for segment in slice_.segments:
        if segment.writable and segment.executable:
            yield f"what runs at {segment.address:#x} can be written while it runs"
    if slice_.system == "linux" and (site := old_kernel_call(slice_)) is not None:
        yield f"at {site:#x} it calls the kernel by 32-bit numbers"
    if slice_.system != "windows" and (site := call_beside_code(slice_)) is not None:
        yield f"at {site:#x}, beside its code and in memory that can run, is what calls the kernel"


def _unfollowed(subject: Subject) -> Iterator[str]:
    """What code may do without a name, where nobody followed it: the list of system calls was left out, or has no form.

    A Windows program finds functions from any address in a library: the place of one import is enough.
    """
    slice_ = subject.slice
    if slice_.format == "pe":
        yield "its code was not followed, and can find functions that it does not name"
    elif subject.syscalls is None and slice_.format == "elf":
        try:
            site = kernel_call(slice_)
        except KeyError:
            yield "what its code asks the kernel for was not looked at"
        else:
            if site is not None:
                yield f"its system calls were not looked at, and what stands at {site:#x} may be one"


def _unnamed(subject: Subject) -> Iterator[str]:
    """Programs whose calls need not show among their imports."""
    slice_ = subject.slice
    static = slice_.linkage in STATIC
    if static:
        yield "it is linked statically, so that the functions it uses have no names"
    if subject.is_go:
        yield "Go programs call the system without the functions that others import"
    if is_dotnet(slice_):
        what = "can find functions by their names" if subject.managed else "has metadata that cannot be read"
        yield f"it is a .NET program, which {what}"
    if not static and not slice_.imports:
        yield "it names no function that it imports"
    if slice_.problems:
        yield "part of its structure contradicts the rest, so that names may be missing"


def _supplied(slice_: Slice) -> Iterator[str]:
    """What others may do for the program: loaders, other programs, name services and libraries."""
    if slice_.kind != "executable":
        yield f"it is no program of its own ({slice_.kind}): what loads it may give it functions"
    names = sorted({plain_name(entry.name, slice_.format) for entry in slice_.imports})
    if found := [name for name in names if name in LOADERS]:
        yield f"by {_listed(found)} it can get at functions that it does not name"
    if found := [name for name in names if name in STARTERS]:
        yield f"by {_listed(found)} it can start programs that do it"
    if found := [name for name in names if name in NAME_SERVICES]:
        yield f"{_listed(found)} may ask a server"
    libraries = (library.name for library in slice_.libraries)  # with a path: who else may write there is not known
    if found := [name for name in libraries if not PLAIN_LIBRARIES.fullmatch(name.lower())]:
        yield f"{_listed(found)} may do it on the program's behalf"


def _past_libsystem(subject: Subject) -> Iterator[str]:
    """What a macOS program may do through libSystem, or past it, that no name of the network shows."""
    calls, own = subject.syscalls, subject.direct_calls
    if calls is None:
        yield "what it asks the kernel for was not looked at"
        return
    if own:
        yield f"it calls the kernel itself: {_listed(sorted(own))}"
    if found := sorted(_REACHING.intersection(calls.required).difference(own)):
        yield f"functions that it imports call {_listed(found)}"
    if found := [one.removeprefix(_FUNCTION) for one in calls.open_set if one.startswith(_FUNCTION)]:
        yield f"what {_listed(found)} does is not known"
    names = sorted({plain_name(entry.name, subject.slice.format) for entry in subject.slice.imports})
    if found := [name for name in names if name in MESSENGERS]:
        yield f"by {_listed(found)} it can ask other programs"


def _listed(names: list[str]) -> str:
    """A few names, and how many more."""
    few, left = names[:_SHOWN_NAMES], len(names) - _SHOWN_NAMES
    if left > 0:
        return f"{', '.join(few)} and {left} more"
    return " or ".join((", ".join(few[:-1]), few[-1])) if len(few) > 1 else few[0]


def _operations(found: list[Claim]) -> tuple[Operation, ...]:
    grouped = by_kind(found)
    return tuple(
        Operation(name=name, evidence=evidence, evidence_total=total)
        for name in OPERATIONS
        if name in grouped
        for evidence, total in (shown(grouped[name]),)
    )


def _directions(found: list[Claim]) -> tuple[str, ...]:
    seen = {name for name, _ in found}
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


def _cannot_tell(doubts: list[str], suspected: list[Claim]) -> Finding:
    left = len(doubts) - _SHOWN_REASONS
    more = f"; and {left} more reason{'s' * (left > 1)}" if left > 0 else ""
    return Finding(
        id="network-unknown",
        severity=Severity.INFO,
        title="Whether it uses the network cannot be told",
        detail="Nothing in it opens the network, but " + "; ".join(doubts[:_SHOWN_REASONS]) + more + ".",
        evidence=tuple(evidence for _, evidence in suspected)[:MAX_EVIDENCE],
    )
