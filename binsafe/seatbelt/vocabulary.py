"""The words of SBPL as data: operations, filters and modifiers, and the macOS release that a source first shows.

Names are facts of Apple's libsandbox as public sources show them: the tables of 0xbf00/simbple for 10.12 to 10.15, and
the profiles of Chromium, Codex, Nix, Bazel and Homebrew for what came later. "Since" is the earliest release of which
such a source knows the name, so it may be older; what no source shows is reported as unknown, because libsandbox
refuses a profile with a name that it does not know.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

import msgspec

_OPERATIONS_BY_RELEASE: Final = {
    "10.12": """
        default appleevent-send authorization-right-obtain boot-arg-set device* device-camera device-microphone
        distributed-notification-post file* file-chroot file-ioctl file-issue-extension file-link
        file-map-executable file-mknod file-mount file-mount-update file-read* file-read-data file-read-metadata
        file-read-xattr file-revoke file-search file-unmount file-write* file-write-acl file-write-create
        file-write-data file-write-flags file-write-mode file-write-owner file-write-setugid file-write-times
        file-write-unlink file-write-xattr fs-snapshot* fs-snapshot-create fs-snapshot-delete fs-snapshot-revert
        generic-issue-extension qtn-user qtn-download qtn-sandbox hid-control iokit* iokit-issue-extension
        iokit-open iokit-set-properties iokit-get-properties ipc* ipc-posix* ipc-posix-issue-extension
        ipc-posix-sem* ipc-posix-sem-create ipc-posix-sem-open ipc-posix-sem-post ipc-posix-sem-unlink
        ipc-posix-sem-wait ipc-posix-shm* ipc-posix-shm-read* ipc-posix-shm-read-data
        ipc-posix-shm-read-metadata ipc-posix-shm-write* ipc-posix-shm-write-create ipc-posix-shm-write-data
        ipc-posix-shm-write-unlink ipc-sysv* ipc-sysv-msg ipc-sysv-sem ipc-sysv-shm job-creation
        load-unsigned-code lsopen mach* mach-cross-domain-lookup mach-host* mach-host-exception-port-set
        mach-host-special-port-set mach-issue-extension mach-lookup mach-per-user-lookup mach-priv*
        mach-priv-host-port mach-priv-task-port mach-register mach-task-name network* network-inbound
        network-bind network-outbound nvram* nvram-delete nvram-get nvram-set user-preference*
        user-preference-read user-preference-write process* process-codesigning-status*
        process-codesigning-status-set process-codesigning-status-get process-exec* process-exec-interpreter
        process-fork process-info* process-info-codesignature process-info-dirtycontrol process-info-listpids
        process-info-rusage process-info-pidinfo process-info-pidfdinfo process-info-pidfileportinfo
        process-info-setcontrol pseudo-tty signal sysctl* sysctl-read sysctl-write system* system-acct
        system-audit system-chud system-debug system-fsctl system-info system-kext* system-kext-load
        system-kext-unload system-kext-query system-mac-label system-nfssvc system-package-check
        system-privilege system-reboot system-sched system-set-time system-socket system-suspend-resume
        system-swap""",
    "10.14": """
        file-clone file-write-finderinfo file-test-existence fs-rename darwin-notification-post
        dynamic-code-generation system-automount managed-preference-read socket-ioctl""",
    "10.15": """
        syscall-unix storage-class-map opendirectory-user-modify""",
    "11": """
        syscall* syscall-mach mach-bootstrap mach-kernel-endpoint mach-derive-port mach-task-inspect
        mach-task-read mach-task-special-port* mach-task-special-port-get mach-task-special-port-set
        mach-task-exception-port-set mach-message-send process-exec-update-label file-lock file-write-umount
        socket-option* socket-option-get socket-option-set process-iopolicy* process-iopolicy-get process-iopolicy-set
        process-legacy-codesigning* process-legacy-codesigning-status* process-legacy-codesigning-status-get
        process-legacy-codesigning-status-set process-legacy-codesigning-blob-get
        process-legacy-codesigning-entitlements-blob-get process-legacy-codesigning-cdhash-get
        process-legacy-codesigning-identity-get process-legacy-codesigning-teamid-get
        process-legacy-codesigning-text-offset-get process-codesigning* process-codesigning-blob-get
        process-codesigning-cdhash-get process-codesigning-entitlements-blob-get
        process-codesigning-identity-get process-codesigning-teamid-get process-codesigning-text-offset-get
        process-info-ledger process-info-sandbox-container process-info-set-persona process-info-udata-info
        coalition-info consume-extension fs-info fs-quota* fs-quota-get fs-quota-on fs-quota-off
        fs-quota-set-limits fs-quota-set-use fs-quota-stat fs-quota-sync file-graft file-ungraft
        isp-command-send device-video asr-parser-enter system-memorystatus-control system-necp-client-action
        user-defaults-read""",
    "12": """
        system-mac-syscall system-kas-info darwin-notification-post* sandbox-check exception-entitlement
        iokit-open*""",
    "13": """
        syscall-mig system-fcntl iokit-open-user-client iokit-open-service iokit-async-external-method
        iokit-external-method iokit-external-trap process-legacy-codesigning-entitlements-der-blob-get
        process-codesigning-entitlements-der-blob-get system-sched-policy""",
    "26": """
        necp-client-open process-codesigning""",
}

ALIASES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "process-exec": "process-exec*",
        "ipc-posix-sem": "ipc-posix-sem*",
        "ipc-posix-shm": "ipc-posix-shm*",
        "file-fsctl": "system-fsctl",
        "file-issue-extension*": "file-issue-extension",
        "file-issue-extension-read": "file-issue-extension",
        "file-issue-extension-write": "file-issue-extension",
        "file-unlink": "file-write-unlink",
        "file-write-mount": "file-mount",
        "file-write-unmount": "file-unmount",
        "system-misc": "system*",
        "time-set": "system-set-time",
        "managed-preference*": "managed-preference-read",
        "literal": "path",
        "path-literal": "path",
        "prefix": "path-prefix",
        "regex": "path-regex",
        "from": "local",
        "to": "remote",
        "granted-extensions": "extension",
        "mach-extension": "extension",
        "iokit-user-client-class": "iokit-registry-entry-class",
        "iokit-user-client-class-regex": "iokit-registry-entry-class-regex",
        "mount-relative-literal": "mount-relative-path",
        "mount-relative-regex": "mount-relative-path-regex",
        "no-log": "no-report",
        "no-profile": "no-sandbox",
        "unix": "unix-socket",
    }
)
"""Older or shorter names that version 1 of the language keeps, and what they stand for."""

OPERATIONS: Final[Mapping[str, str]] = MappingProxyType(
    {name: release for release, names in reversed(_OPERATIONS_BY_RELEASE.items()) for name in names.split()}
)
"""Operation -> the release that a source first shows it in."""

OPEN_BY_DEFAULT: Final = ("file-map-executable", "iokit-get-properties", "nvram*", "process-info*")
"""What ``(deny default)`` does not cover, so that it is allowed until it is denied by name: Chromium ("allowed by
default"), Firefox ("not included in (deny default)") and Apple's own profiles do that."""

DOUBTFUL_BY_DEFAULT: Final = ("dynamic-code-generation",)
"""Apple's own profiles deny it by name beside those above; others count it among the denied."""

MESSAGES: Final = frozenset(
    {"mach-message-send", "iokit-async-external-method", "iokit-external-method", "iokit-external-trap"}
)
"""Operations that rules in ``(apply-message-filter ...)`` are about."""

_ANY: Final = ("*",)
_FILES: Final = (
    "file",
    "process-exec",
    "network",
    "fs",
    "qtn",
    "lsopen",
    "job-creation",
    "system-fsctl",
    "load-unsigned",
)
_SYSCALL_GROUPS: Final = """
    bsdthread chflags close fcntl getfsstat kevent kqueue mach-eventlink mkdir necp-client network-channel open
    open-dprotected pthread pthread-cv pthread-locks read recv rlimit select send signal sockopt stat statfs ulock
    write"""
"""Filters without arguments, each for several system calls: Apple's profiles for macOS 26, and Ladybird's."""
_TARGETS: Final = (
    "signal",
    "process-",
    "mach-task",
    "mach-priv",
    "mach-kernel",
    "system-",
    "coalition",
    "ipc",
    "mach-der",
)


class Filter(msgspec.Struct, frozen=True):
    """What a filter takes, and the beginnings of the names of the operations that it belongs to (``*``: all).

    ``takes`` is "text", "word" (one of `words`, where the list is known), "address", "number" or "any".
    """

    takes: str
    belongs_to: tuple[str, ...]
    words: frozenset[str] = frozenset()


def _family(stem: str, *belongs_to: str) -> dict[str, Filter]:
    """A filter on text with its sisters: the whole of it, its beginning, a pattern."""
    return {name: Filter("text", belongs_to) for name in (stem, f"{stem}-prefix", f"{stem}-regex")}


VNODE_TYPES: Final = frozenset("REGULAR-FILE DIRECTORY BLOCK-DEVICE CHARACTER-DEVICE SYMLINK SOCKET FIFO TTY".split())
TARGETS: Final = frozenset({"self", "pgrp", "others", "children", "same-sandbox", "initproc"})

FILTERS: Final[Mapping[str, Filter]] = MappingProxyType(
    {
        "path": Filter("text", _FILES),
        "path-prefix": Filter("text", _FILES),
        "path-regex": Filter("text", _FILES),
        "subpath": Filter("text", _FILES),
        "path-ancestors": Filter("text", _FILES),
        **{f"mount-relative-{n}": Filter("text", _FILES) for n in ("path", "path-prefix", "path-regex", "subpath")},
        "vnode-type": Filter("word", _FILES, VNODE_TYPES),
        "file-mode": Filter("number", _FILES),
        "device-major": Filter("number", _FILES),
        "device-minor": Filter("number", _FILES),
        "device-conforms-to": Filter("text", _FILES),
        "fs-type": Filter("any", _FILES),
        "file-attribute": Filter("any", _FILES),
        "rootless-file-filter": Filter("any", _FILES),
        "rootless-disk-filter": Filter("any", _FILES),
        "rootless-boot-device-filter": Filter("any", ("nvram",)),
        "storage-class": Filter("text", _FILES),
        "apfs-preboot-subpath": Filter("text", _FILES),
        **_family("xattr", "file-read", "file-write", "file*"),
        "local": Filter("address", ("network",)),
        "remote": Filter("address", ("network",)),
        **_family("control-name", "network"),
        "socket-domain": Filter("word", ("system-socket", "network", "socket-")),
        "socket-type": Filter("word", ("system-socket", "network", "socket-")),
        "socket-protocol": Filter("any", ("system-socket", "network", "socket-")),
        "socket-option-level": Filter("any", ("socket-option",)),
        "socket-option-name": Filter("any", ("socket-option",)),
        "ioctl-command": Filter("any", ("file-ioctl", "socket-ioctl", "file*")),
        "fsctl-command": Filter("any", ("system-fsctl", "system*")),
        "target": Filter("word", _TARGETS, TARGETS),
        "target-signing-identifier": Filter("text", _TARGETS),
        "codesigning-operation": Filter("any", ("process-codesigning",)),
        **_family("global-name", "mach"),
        **_family("local-name", "mach"),
        **_family("xpc-service-name", "mach"),
        **_family("ipc-posix-name", "ipc"),
        "semaphore-owner": Filter("word", ("ipc",)),
        **_family("iokit-registry-entry-class", "iokit"),
        **_family("iokit-connection", "iokit"),
        **_family("iokit-property", "iokit"),
        "iokit-usb-interface-class": Filter("any", ("iokit",)),
        "iokit-registry-entry-attribute": Filter("any", ("iokit",)),
        "iokit-user-client-type": Filter("any", ("iokit",)),
        "iokit-method-number": Filter("any", ("iokit",)),
        "iokit-trap-number": Filter("any", ("iokit",)),
        **_family("sysctl-name", "sysctl"),
        **_family("preference-domain", "user-preference", "managed-preference", "user-defaults"),
        **_family("nvram-variable", "nvram"),
        **_family("notification-name", "distributed-notification", "darwin-notification"),
        "notification-payload": Filter("any", ("distributed-notification", "darwin-notification")),
        **_family("right-name", "authorization-right"),
        "appleevent-destination": Filter("text", ("appleevent",)),
        **_family("info-type", "system-info"),
        **_family("kext-bundle-id", "system-kext"),
        "privilege-id": Filter("word", ("system-privilege", "system*")),
        "boot-arg": Filter("text", ("boot-arg",)),
        "extension-class": Filter(
            "text", ("file-issue", "generic-issue", "mach-issue", "iokit-issue", "ipc-posix-issue", "consume", "file*")
        ),
        "extension-class-prefix": Filter("text", ("file-issue", "generic-issue", "mach-issue", "iokit-issue")),
        "extension-class-regex": Filter("text", ("file-issue", "generic-issue", "mach-issue", "iokit-issue")),
        "syscall-number": Filter("any", ("syscall-unix", "syscall-mach", "syscall*")),
        "syscall-mask": Filter("any", ("syscall",)),
        **{f"syscall-group-{group}": Filter("any", ("syscall-unix", "syscall*")) for group in _SYSCALL_GROUPS.split()},
        "machtrap-number": Filter("any", ("syscall-mach", "syscall*")),
        "mach-trap-number": Filter("any", ("syscall-mach", "syscall*")),
        "message-number": Filter("any", ("mach-message",)),
        "kernel-mig-routine": Filter("any", ("syscall-mig", "syscall*", "mach-message")),
        "kernel-mig-routine-mask": Filter("any", ("syscall-mig", "syscall*", "mach-message")),
        "fcntl-command": Filter("any", ("system-fcntl", "system*")),
        "necp-client-action": Filter("any", ("system-necp-client-action", "system*")),
        "mac-policy-name": Filter("text", ("system-mac-syscall", "system*")),
        "mac-syscall-number": Filter("any", ("system-mac-syscall", "system*")),
        "extension": Filter("text", _ANY),
        "extension-path-ancestor": Filter("any", _FILES),
        "filesystem-name": Filter("text", _FILES),
        **_family("process-path", *_ANY),
        "process-attribute": Filter("any", _ANY),
        "system-attribute": Filter("any", _ANY),
        "signing-identifier": Filter("text", _ANY),
        "signing-identifier-regex": Filter("text", _ANY),
        "state-flag": Filter("text", _ANY),
        "require-entitlement": Filter("any", _ANY),
        "entitlement-value": Filter("any", _ANY),
        "entitlement-value-regex": Filter("any", _ANY),
        "entitlement-is-present": Filter("text", _ANY),
        "%entitlement-is-present": Filter("text", _ANY),
        "entitlement-is-bool-true": Filter("text", _ANY),
        "uid": Filter("any", _ANY),
        "debug-mode": Filter("any", _ANY),
        "tty": Filter("any", _FILES),
        "process-is-plugin": Filter("any", _ANY),
        "process-is-installer": Filter("any", _ANY),
        "container": Filter("any", _ANY),
        "executable-bundle": Filter("any", _ANY),
        "application-group": Filter("any", _ANY),
        "system-container": Filter("any", _ANY),
        "system-group": Filter("any", _ANY),
    }
)

MISPLACED: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "path": ("user-preference",),
        "path-regex": ("user-preference",),
        "subpath": ("mach-lookup", "mach-priv-host-port"),
        "global-name": ("user-preference", "ipc-posix-shm"),
        "iokit-property": ("nvram-set",),
        "extension-class": ("iokit-open",),
    }
)
"""Filter -> operations that Apple's own profiles (macOS 26) give it to, so that it compiles: what it matches there, no
source says."""

COMBINING: Final = frozenset({"require-all", "require-any", "require-not"})

MODIFIERS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "send-signal": "both",
        "report": "both",
        "no-report": "both",
        "deprecated": "both",
        "rootless": "deny",
        "message": "both",
        "telemetry": "both",
        "telemetry-backtrace": "both",
        "user-approval": "both",
        "no-approval-prompt": "both",
        "authority": "both",
        "no-times": "allow",
        "no-sandbox": "allow",
        "no-callout": "both",
        "partial-symbolication": "both",
        "grant": "allow",
        "default-sandbox": "allow",
        "errno": "deny",
        "xattr": "both",
        "callout": "both",
    }
)
"""Modifier -> the action that it goes with."""

PROTOCOLS: Final = frozenset({"ip", "ip4", "ip6", "tcp", "tcp4", "tcp6", "udp", "udp4", "udp6", "unix-socket"})
"""What ``local`` and ``remote`` begin with."""

DIRECTIVES: Final = frozenset(
    {
        "version",
        "debug",
        "trace",
        "record",
        "disable-callouts",
        "disable-full-symbolication",
        "disable-syscall-inference",
        "eliminate-duplicate-rules",
        "%extends-builtin",
    }
)
"""Statements that make no rule."""


def canonical(name: str) -> str:
    """The name that an alias stands for, or the name itself."""
    return ALIASES.get(name, name)


def covers(operation: str, other: str) -> bool:
    """Whether a rule for one operation speaks of another: itself, a member of its family, a part that it was."""
    if operation in (other, "default") or (operation == "iokit-open" and other.startswith("iokit-open-")):
        return True
    return operation.endswith("*") and other.startswith(operation[:-1])


def is_misplaced(filter_name: str, operation: str) -> bool:
    """Whether a filter compiles with an operation and may match nothing."""
    return operation.startswith(MISPLACED.get(filter_name, ()))


def applies(filter_name: str, operation: str) -> bool:
    """Whether a filter compiles with an operation, or with any member of its family."""
    belongs = FILTERS[filter_name].belongs_to
    stem = operation.removesuffix("*")
    return (
        "*" in belongs
        or is_misplaced(filter_name, operation)
        or any(stem.startswith(b.removesuffix("*")) or b.startswith(stem) for b in belongs)
    )
