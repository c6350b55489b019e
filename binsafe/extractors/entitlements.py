"""Entitlements: what macOS lets the program do beyond others, because its signer asked for it."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Literal

from binsafe.extractors.subject import Extracted, Subject
from binsafe.model import Finding, Severity

_PREFIX = "com.apple.security."

DANGEROUS: Mapping[str, str] = MappingProxyType(
    {
        "get-task-allow": "any process of the same user may take control of it and use its permissions",
        _PREFIX + "get-task-allow": "any process of the same user may take control of it and use its permissions",
        _PREFIX + "cs.debugger": "it may take control of other processes",
        _PREFIX + "cs.disable-library-validation": "libraries by anybody may be loaded into it",
        _PREFIX + "cs.allow-dyld-environment-variables": "the environment may load libraries into it",
        _PREFIX + "cs.allow-unsigned-executable-memory": "it may run code that nobody signed",
        _PREFIX + "cs.disable-executable-page-protection": "its own signed code may be changed while it runs",
        "com.apple.private.security.no-sandbox": "no sandbox applies to it",
        "com.apple.rootless.install": "it may change files of the system",
        "com.apple.rootless.install.heritable": "it and what it starts may change files of the system",
        "com.apple.system-task-ports": "it may take control of processes of the system",
        "task_for_pid-allow": "it may take control of other processes",
    }
)
"""Entitlements that weaken the program or the system, and what each allows (Apple's "Hardened Runtime" and dyld)."""


def extract(subject: Subject) -> Extracted[dict[str, Any] | None]:
    """The entitlements by name, None where there are none; one finding for each dangerous one."""
    entitlements = subject.signature.entitlements
    findings = tuple(
        Finding(
            id="dangerous-entitlement",
            severity=Severity.MEDIUM,
            title=f"Its entitlement {name} is dangerous",
            detail=f"With it {DANGEROUS[name]}.",
        )
        for name in sorted(DANGEROUS.keys() & (entitlements or {}).keys())
        if (entitlements or {})[name] is not False
    )
    return Extracted(entitlements, findings)


def extract_source(subject: Subject) -> Extracted[Literal["der", "xml"] | None]:
    """Which of its two forms the entitlements were read from; macOS 12 and later go by the DER one."""
    return Extracted(subject.signature.entitlements_source)
