"""What ``--fail-on`` takes: a severity, or the id of a change."""

from collections.abc import Mapping
from types import MappingProxyType

from binsafe.model import Severity
from binsafe.model.difference import Change, Difference

CAPABILITIES: Mapping[str, Severity] = MappingProxyType(
    dict.fromkeys(("execute", "persistence", "keychain", "screen", "camera", "microphone", "debug"), Severity.HIGH)
    | dict.fromkeys(("load-library", "modify-code", "packed"), Severity.MEDIUM)
)
_DIRECTIONS = ("listen", "connect", "resolve", "send", "receive", "raw", "accept")
IDS: Mapping[str, str] = MappingProxyType(
    {"gained-network": "it can use the network, or in one more way, or that cannot be ruled out any more"}
    | {f"gained-{direction}": f"{direction} on the network" for direction in _DIRECTIONS}
    | {"gained-exec": "it can start other programs"}
    | {f"gained-{name}": f"the capability {name}" for name in CAPABILITIES if name != "execute"}
    | {
        "gained-syscall": "a system call that it did not make, or a list that is not complete any more",
        "gained-library": "it loads a further library",
        "gained-entitlement": "it has a further entitlement, or another value of one",
        "gained-string": "a URL, address, path or likely secret that was not there",
        "gained-rpath": "libraries are looked for in a further folder",
        "gained-rights": "it runs as another user, or the kernel gives it further capabilities",
        "gained-attribute": "another extended attribute beside its bytes",
        "gained-finding": "a further finding of any severity",
        "gained-slice": "a processor that it did not run on",
        "gained-member": "an archive has a further executable",
        "lost-signature": "it was signed, or the signature held, and that is not so any more",
        "lost-hardening": "a mitigation is missing",
        "changed-signer": "another signer, team or identifier",
        "changed-interpreter": "another dynamic loader",
        "changed-format": "another format, system, kind of file or way of linking",
        "changed-dependency": "a module or crate was added, removed or has another version",
        "changed-build": "another compiler, SDK or minimum system",
        "worse-verdict": "the verdict is worse",
    }
)
"""What ``--fail-on`` takes besides a severity -> what it stands for."""
ANYTHING = "anything"
_ABOUT: Mapping[str, str] = MappingProxyType(
    {"gained-syscall": "system call", "gained-string": "string", "changed-dependency": "dependency"}
)
"""Ids whose changes are about something that need not be known."""


def matches(change: Change, wanted: str) -> bool:
    """Whether a change is what ``--fail-on`` asks for: an id, or a severity and above.

    ``gained-network`` is any direction, too.
    """
    if wanted in IDS:
        return change.id == wanted or (
            wanted == "gained-network" and change.subject == "network" and change.kind == "gained"
        )
    return change.severity.rank >= Severity(wanted).rank


def undecided(difference: Difference, wanted: str) -> bool:
    """Whether what ``--fail-on`` asks for may have happened: what could not be compared cannot be ruled out."""
    about = _ABOUT.get(wanted, ANYTHING)
    return not {ANYTHING, about}.isdisjoint(difference.undecided)
