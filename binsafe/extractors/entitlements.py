"""Entitlements: what macOS lets the program do beyond others, because its signer asked for it."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Literal, NamedTuple

from binsafe.extractors.subject import Extracted, Subject
from binsafe.model import Finding, Severity

_PREFIX = "com.apple.security."
_PRIVATE = "com.apple.private."


_LOADED = frozenset({"library", "bundle"})
"""Kinds of code that are loaded into another program."""


class Meaning(NamedTuple):
    """What an entitlement allows, as the end of "with it ...", and how much that matters."""

    severity: Severity
    allows: str


_TAKEN = Meaning(Severity.MEDIUM, "any process of the same user may take control of it and use its permissions")
_ASKED = "after the user has agreed once"

MEANINGS: Mapping[str, Meaning] = MappingProxyType(
    {
        "get-task-allow": _TAKEN,
        _PREFIX + "get-task-allow": _TAKEN,
        _PREFIX + "cs.debugger": Meaning(Severity.MEDIUM, "it may take control of other processes"),
        _PREFIX + "cs.disable-library-validation": Meaning(
            Severity.MEDIUM, "libraries by anybody may be loaded into it"
        ),
        _PREFIX + "cs.allow-dyld-environment-variables": Meaning(
            Severity.MEDIUM, "the environment may load libraries into it"
        ),
        _PREFIX + "cs.disable-executable-page-protection": Meaning(
            Severity.MEDIUM, "its own signed code may be changed while it runs"
        ),
        _PREFIX + "cs.allow-unsigned-executable-memory": Meaning(
            Severity.LOW, "it may run code that nobody signed, and an error in it is easier to exploit"
        ),
        _PREFIX + "cs.allow-jit": Meaning(
            Severity.INFO, "it may make code while it runs, in memory set apart for that"
        ),
        _PREFIX + "automation.apple-events": Meaning(Severity.LOW, f"it may control other programs {_ASKED}"),
        _PREFIX + "device.camera": Meaning(Severity.INFO, f"it may use the camera {_ASKED}"),
        _PREFIX + "device.audio-input": Meaning(Severity.INFO, f"it may use the microphone {_ASKED}"),
        _PREFIX + "device.microphone": Meaning(Severity.INFO, f"it may use the microphone {_ASKED}"),
        _PREFIX + "files.all": Meaning(Severity.LOW, "its sandbox keeps it from no file"),
        "com.apple.developer.endpoint-security.client": Meaning(
            Severity.LOW, "it sees, and may stop, what every process does"
        ),
        "com.apple.developer.networking.networkextension": Meaning(
            Severity.LOW, f"it may see, change and stop what every program sends over the network {_ASKED}"
        ),
        "com.apple.developer.system-extension.install": Meaning(
            Severity.LOW, f"it may install extensions of the system {_ASKED}"
        ),
    }
)
"""Entitlements that developers can have: medium where they open a program to others, low where they open it to its own
errors or let it reach far, info for what is usual (Apple, "Hardened Runtime", "Entitlements")."""

RESERVED: Mapping[str, str] = MappingProxyType(
    {
        _PRIVATE + "security.no-sandbox": "no sandbox applies to it",
        _PRIVATE + "security.no-container": "no sandbox applies to it",
        _PRIVATE + "tcc.allow": "it may use the camera, files and more without asking the user",
        _PRIVATE + "tcc.allow.overridable": "it may use the camera, files and more without asking the user",
        _PRIVATE + "tcc.manager": "it may decide for the user what other programs may use",
        "com.apple.rootless.install": "it may change files of the system",
        "com.apple.rootless.install.heritable": "it and what it starts may change files of the system",
        "com.apple.system-task-ports": "it may take control of processes of the system",
        "com.apple.system-task-ports.control": "it may take control of processes of the system",
        "task_for_pid-allow": "it may take control of other processes",
    }
)
"""Entitlements that macOS believes of Apple's own programs only: elsewhere they are there for a system that was opened,
or for a fault in one."""


def extract(subject: Subject) -> Extracted[dict[str, Any] | None]:
    """The entitlements by name, None where there are none; one finding for each that a person should know.

    Those of a library say nothing: a process has the entitlements of its main executable.
    """
    entitlements = subject.signature.entitlements
    if subject.slice.kind in _LOADED:
        return Extracted(entitlements)
    apples = subject.signature.kind == "apple" and subject.signature.status != "invalid"
    held = sorted(name for name, value in (entitlements or {}).items() if value is not False)
    return Extracted(entitlements, tuple(found for name in held if (found := _finding(name, apples)) is not None))


def _finding(name: str, apples: bool) -> Finding | None:
    severity, allows = _meaning(name, apples)
    if not allows:
        return None
    dangerous = severity.rank >= Severity.MEDIUM.rank
    title = f"Its entitlement {name} is dangerous" if dangerous else f"Its entitlement {name} gives it more than usual"
    return Finding(
        id="dangerous-entitlement" if dangerous else "entitlement",
        severity=severity,
        title=title,
        detail=f"With it {allows}.",
    )


def _meaning(name: str, apples: bool) -> Meaning:
    """What an entitlement allows; nothing for one that only says who the program is, or is its own affair."""
    if name in RESERVED:
        return Meaning(Severity.LOW if apples else Severity.HIGH, RESERVED[name])
    if name.startswith(_PRIVATE) and not apples:
        return Meaning(Severity.MEDIUM, "it asks for what only Apple's own programs are given")
    return MEANINGS.get(name, Meaning(Severity.INFO, ""))


def extract_source(subject: Subject) -> Extracted[Literal["der", "xml"] | None]:
    """Which of its two forms the entitlements were read from; macOS 12 and later go by the DER one."""
    return Extracted(subject.signature.entitlements_source)
