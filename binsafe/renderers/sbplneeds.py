"""What every program of macOS needs before its own first instruction, as rules of SBPL.

Written out, because ``(import "system.sb")`` opens mach services, IPC and sockets as well. Sources: the profiles of
Chromium, Firefox, WebKit and Codex, Go's runtime and net package (sysctls), and a published one whose author took away
rule after rule on macOS 26 until the program did not start.
"""

from typing import Final

from binsafe.renderers.sbplrules import Rule

NOT_BY_DEFAULT: Final = ("file-map-executable", "iokit-get-properties", "nvram*", "process-info*")
"""Families that ``(deny default)`` does not cover. With ``process-info*`` open, sysctl(KERN_PROCARGS2) gives the
arguments and the environment of the user's other processes, whatever the sysctls named below."""

_SYSCTLS: Final = (
    "hw.activecpu",
    "hw.byteorder",
    "hw.cacheconfig",
    "hw.cpufamily",
    "hw.cpusubtype",
    "hw.cputype",
    "hw.logicalcpu",
    "hw.logicalcpu_max",
    "hw.machine",
    "hw.memsize",
    "hw.ncpu",
    "hw.nperflevels",
    "hw.packages",
    "hw.pagesize",
    "hw.pagesize_compat",
    "hw.physicalcpu",
    "hw.physicalcpu_max",
    "hw.tbfrequency",
    "hw.tbfrequency_compat",
    "kern.argmax",
    "kern.hostname",
    "kern.maxfilesperproc",
    "kern.maxproc",
    "kern.ngroups",
    "kern.osproductversion",
    "kern.osrelease",
    "kern.ostype",
    "kern.osvariant_status",
    "kern.osversion",
    "kern.secure_kernel",
    "kern.usrstack64",
    "kern.version",
    "security.mac.lockdown_mode_state",
    "sysctl.name2oid",
    "sysctl.proc_cputype",
    "sysctl.proc_translated",
)
_SYSCTL_PREFIXES: Final = (
    *("hw.cachelinesize", "hw.l1dcachesize", "hw.l1icachesize", "hw.l2cachesize", "hw.l3cachesize"),
    *("hw.optional.", "hw.perflevel", "machdep.cpu."),
)

DYLD_FOLDERS: Final = (
    "/usr/lib",
    "/System/Library/Frameworks",
    "/System/Library/PrivateFrameworks",
    "/System/Library/SubFrameworks",
    "/System/Library/dyld",
    "/System/Cryptexes/App",
    "/System/Cryptexes/OS",
    "/System/Volumes/Preboot/Cryptexes/App/System",
    "/System/Volumes/Preboot/Cryptexes/OS",
    "/private/var/db/dyld",
)
_ANCESTORS: Final = (
    *("/System", "/System/Library", "/private", "/private/etc", "/private/var", "/private/var/db"),
    *("/usr", "/usr/share"),
)
_LINKS: Final = ("/etc", "/private/etc/localtime", "/tmp", "/var")  # noqa: S108 - links of macOS, looked at
SEEN_ANYWAY: Final = frozenset({"/", *_ANCESTORS, *_LINKS})
"""Paths that every profile lets a program look at."""

EVERY_PROGRAM: Final = (
    Rule(
        reason="dyld: maps the system's libraries (folders of macOS 11 and later; Cryptexes since 13)",
        operations=("file-read*", "file-test-existence", "file-map-executable"),
        filters=tuple(f'(subpath "{folder}")' for folder in DYLD_FOLDERS),
    ),
    Rule(
        reason="dyld: reads the root folder before anything else, and aborts without",
        operations=("file-read-data", "file-read-metadata", "file-test-existence"),
        filters=('(literal "/")',),
    ),
    Rule(
        reason="looks at the folders that lead to those of the system",
        operations=("file-read-metadata", "file-test-existence"),
        filters=tuple(f'(literal "{path}")' for path in _ANCESTORS),
    ),
    Rule(
        reason="where the system's links lead: without, a granted /tmp/x is not found under that name, and time is UTC",
        operations=("file-read-metadata", "file-test-existence"),
        filters=tuple(f'(literal "{path}")' for path in _LINKS),
    ),
    Rule(
        reason="libSystem and language runtimes: number of processors, page size, version, features of the processor",
        operations=("sysctl-read",),
        filters=(
            *(f'(sysctl-name "{name}")' for name in _SYSCTLS),
            *(f'(sysctl-name-prefix "{prefix}")' for prefix in _SYSCTL_PREFIXES),
        ),
    ),
    Rule(
        reason="libSystem: seeds its random numbers",
        operations=("file-read-data", "file-read-metadata"),
        filters=('(literal "/dev/random")', '(literal "/dev/urandom")'),
    ),
    Rule(
        reason="nothing goes in, nothing comes out",
        operations=("file-read-data", "file-read-metadata", "file-write-data"),
        filters=('(literal "/dev/null")',),
    ),
    Rule(
        reason="time zones",
        operations=("file-read*", "file-test-existence"),
        filters=('(subpath "/private/var/db/timezone")', '(subpath "/usr/share/zoneinfo")'),
    ),
    Rule(
        reason="its own threads and itself, nobody else",
        operations=("process-info*", "signal"),
        filters=("(target self)",),
    ),
)

ROSETTA: Final = Rule(
    reason="Rosetta: maps its translator, and the code that it made of the program and the system's libraries",
    operations=("file-read*", "file-test-existence", "file-map-executable"),
    filters=tuple(
        f'(subpath "{folder}")'
        for folder in (
            "/Library/Apple/usr/lib",
            "/Library/Apple/usr/libexec/oah",
            "/private/var/db/oah",
            "/usr/libexec/rosetta",
        )
    ),
)
"""For a program of Intel's on Apple's processors; elsewhere these folders are not there."""
