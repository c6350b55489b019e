"""Facts: typed things found in an image, each with the evidence for it. The names are the report's JSON names."""

from typing import Any, Literal

import msgspec

Mitigation = Literal["present", "absent", "partial", "not-applicable", "unknown"]


class Evidence(msgspec.Struct, frozen=True, kw_only=True):
    """Where a claim can be checked: a virtual address, a symbol, or both, and how it was found.

    "layout" is what segments and sections say by being as they are.
    """

    via: Literal["import", "syscall", "function", "layout", "string"]
    address: str | None = None
    symbol: str | None = None
    detail: str | None = None
    instructions: tuple[str, ...] = ()
    """The code around the address, ``0x1000: svc #0x80``, where it was asked for (``inspect -vv``)."""


class Library(msgspec.Struct, frozen=True, kw_only=True):
    """A library that the loader is asked for."""

    name: str
    kind: Literal["load", "weak", "reexport", "lazy", "upward", "needed", "delay"]


class ResolvedLibrary(msgspec.Struct, frozen=True, kw_only=True):
    """One member of a dynamic program's library closure, in load order, the program itself left out.

    ``opened_as`` is the path that the loader opens for ``name`` on this system (or below ``--root``), ``path`` the same
    with links resolved; None where it is not there, which is a finding. ``needed_by`` is who asked for it first:
    "program", "interpreter" (``/etc/ld.so.preload``), "dlopen", "--with" or another library's name. The loader itself
    is the first member, under the path that the program names it by.
    """

    name: str
    path: str | None
    opened_as: str | None = None
    sha256: str | None = None
    build_id: str | None = None
    needed_by: str


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that is wrong with a signature; ``id`` is fixed by the interface (``page-hash``, ``codedirectory``)."""

    id: str
    detail: str


class Signer(msgspec.Struct, frozen=True, kw_only=True):
    """One certificate of a signature's chain, leaf first; ``not_after`` is an ISO 8601 date in UTC."""

    common_name: str | None = None
    organization: str | None = None
    not_after: str | None = None


class Signature(msgspec.Struct, frozen=True, kw_only=True):
    """A code signature: ``kind`` is what it claims to be, ``status`` what was verified of it."""

    kind: Literal["none", "linker", "adhoc", "developer-id", "apple", "other", "authenticode"]
    status: Literal["valid", "invalid", "absent", "unknown"]
    problems: tuple[Problem, ...] = ()
    unverified: tuple[str, ...] = ()
    """What the signature covers and could not be checked: not a fault, and the reason why the status is "unknown"."""
    identifier: str | None = None
    team_id: str | None = None
    cdhash: str | None = None
    cdhashes: tuple[str, ...] = ()
    hash_types: tuple[str, ...] = ()
    flags: tuple[str, ...] = ()
    exec_flags: tuple[str, ...] = ()
    """Mach-O: what the CodeDirectory says of the executable segment ("main-binary", "jit", ...)."""
    runtime_version: str | None = None
    signers: tuple[Signer, ...] = ()
    certificate_type: str | None = None
    """What Apple issued the certificate for, by its markers: "developer-id-application", "mac-app-store", ..."""
    chain: Literal["apple-root", "microsoft-root", "public-root", "other", "unknown"] | None = None
    signed_at: str | None = None
    timestamped: bool | None = None
    requirements: str | None = None
    constraints: dict[str, dict[str, Any] | None] | None = None
    """Mach-O: launch constraints, by what they are on ("self", "parent", ...); None for one that cannot be read."""
    notarization: Literal["stapled", "unknown", "none"] = "none"
    entitlements: dict[str, Any] | None = None
    entitlements_source: Literal["der", "xml"] | None = None


OperationName = Literal["socket", "bind", "listen", "accept", "connect", "send", "receive", "resolve", "raw"]


class Operation(msgspec.Struct, frozen=True, kw_only=True):
    """One thing the program can do on the network; ``evidence`` is capped, ``evidence_total`` is not."""

    name: OperationName
    evidence: tuple[Evidence, ...]
    evidence_total: int


class Network(msgspec.Struct, frozen=True, kw_only=True):
    """Whether the program can use the network: yes (with an address or symbol), no, or cannot tell."""

    verdict: Literal["yes", "no", "unknown"]
    directions: tuple[str, ...] = ()
    operations: tuple[Operation, ...] = ()


class Unresolved(msgspec.Struct, frozen=True, kw_only=True):
    """A system-call site whose number could not be told."""

    address: str
    reason: str


CapabilityName = Literal[
    "execute",
    "persistence",
    "keychain",
    "screen",
    "camera",
    "microphone",
    "debug",
    "load-library",
    "modify-code",
    "packed",
]


class Capability(msgspec.Struct, frozen=True, kw_only=True):
    """One thing beside the network that the program can do; as in :class:`Operation` the evidence is capped.

    ``verdict`` is "yes" only with an address or a symbol; what strings alone suggest is "unknown". A capability that
    is not listed was looked for and not found.
    """

    name: CapabilityName
    verdict: Literal["yes", "unknown"]
    evidence: tuple[Evidence, ...]
    evidence_total: int


class ArgumentValues(msgspec.Struct, frozen=True, kw_only=True):
    """Every value that one argument of a call was proved to take, over all places that make the call.

    ``(args[argument] & mask) in values``, as a :class:`binsafe.model.Condition` tests it.
    """

    argument: int
    values: tuple[int, ...]
    mask: int = 0xFFFF_FFFF_FFFF_FFFF


class Syscalls(msgspec.Struct, frozen=True, kw_only=True):
    """The system calls a program can make: ``required`` is the sound over-approximation that enforcement uses."""

    abi: str
    complete: bool
    required: tuple[str, ...]
    likely: tuple[str, ...]
    unresolved: tuple[Unresolved, ...] = ()
    open_set: tuple[str, ...] = ()
    sites: dict[str, tuple[str, ...]] = {}
    """Call name -> addresses of (some of) the places that make it."""
    arguments: dict[str, tuple[ArgumentValues, ...]] = {}
    """Call name -> what was proved of its arguments; a call or argument that is not named can be anything."""
    chain: tuple[str, ...] = ()
    """How one call that was asked for (``--explain``) is reached: from what the loader starts to the place."""


class GoBuild(msgspec.Struct, frozen=True, kw_only=True):
    """What the Go linker recorded; ``version`` is "unknown" where the record was removed."""

    version: str
    module: str | None = None
    dependencies: tuple[str, ...] = ()
    settings: dict[str, str] = {}


class RustBuild(msgspec.Struct, frozen=True, kw_only=True):
    """What ``cargo auditable`` recorded: crates as ``name version``."""

    crates: tuple[str, ...]


class Build(msgspec.Struct, frozen=True, kw_only=True):
    """How the program was made."""

    go: GoBuild | None = None
    rust: RustBuild | None = None
    toolchain: str | None = None
    sdk: str | None = None
    minimum_os: str | None = None
    uuid: str | None = None
    build_id: str | None = None


class Text(msgspec.Struct, frozen=True, kw_only=True):
    """A string worth seeing and the file offset it stands at; likely secrets are shown in part only."""

    value: str
    offset: int


class Strings(msgspec.Struct, frozen=True, kw_only=True):
    """Strings of the artifact that tell what it talks to; each list is capped, its total is not."""

    urls: tuple[Text, ...] = ()
    urls_total: int = 0
    addresses: tuple[Text, ...] = ()
    addresses_total: int = 0
    paths: tuple[Text, ...] = ()
    paths_total: int = 0
    secrets: tuple[Text, ...] = ()
    secrets_total: int = 0
