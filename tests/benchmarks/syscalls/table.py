"""Traces beside answers: what was missed, what is too many, and what it cost."""

import json
import statistics
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import reduce
from operator import or_

from analysing import Answer
from tracing import Trace

SENSITIVE = frozenset(
    (
        "execve execveat ptrace process_vm_readv process_vm_writev mount umount2 pivot_root chroot move_mount "
        "open_tree fsopen fsmount fsconfig fspick mount_setattr bpf io_uring_setup io_uring_register setns "
        "unshare kexec_load kexec_file_load init_module finit_module delete_module reboot swapon swapoff acct "
        "settimeofday clock_settime adjtimex clock_adjtime sethostname setdomainname syslog iopl ioperm "
        "perf_event_open userfaultfd keyctl add_key request_key open_by_handle_at name_to_handle_at quotactl "
        "lookup_dcookie nfsservctl personality vhangup fanotify_init kcmp pidfd_getfd process_madvise seccomp "
        "landlock_restrict_self modify_ldt migrate_pages move_pages mbind set_mempolicy memfd_secret chown fchown "
        "lchown fchownat setuid setgid setreuid setresuid setgroups capset mknod mknodat "
    ).split()
)
"""Calls that a profile should not allow without need."""

OWN = frozenset({"c-glibc-static", "c-static-pie", "c-musl-static", "c-zig-musl", "cc-static"})
"""Static programs that are compiled here to show misses: all but the last make nearly every call that they name."""
FIRST_SIX = ("redis", "nginx", "haproxy", "memcached", "lighttpd", "sqlite3")


@dataclass(frozen=True)
class Row:
    """One program's trace and the answer about it."""

    name: str
    kind: str
    """dynamic or static: whether it names an interpreter."""
    trace: Trace
    answer: Answer

    @property
    def traced(self) -> Counter[str]:
        return self.trace.calls

    @property
    def listed(self) -> frozenset[str]:
        return self.answer.required or frozenset()

    @property
    def missed(self) -> list[str]:
        return sorted(self.traced.keys() - self.listed)

    @property
    def refuted(self) -> list[str]:
        """Arguments that were proved and seen to be something else, as ``call position=value``."""
        return sorted(
            f"{name} {text}"
            for name, seen in self.trace.arguments.items()
            for text, position, value in ((text, *map(_number, text.split("="))) for text in seen)
            if value not in self.answer.arguments.get((name, position), {value})
        )

    @property
    def sensitive(self) -> list[str]:
        return sorted((self.listed - self.traced.keys()) & SENSITIVE)

    @property
    def f1(self) -> float:
        return f1(self.listed, self.traced.keys())


def _number(text: str) -> int:
    """The 32 bits that the kernel looks at of an argument, as strace writes it with ``-X raw``: ``0x1|0x80000``."""
    return reduce(or_, (int(part.removeprefix("htons("), 0) for part in text.split("|"))) & 0xFFFF_FFFF


def f1(listed: Iterable[str], traced: Iterable[str]) -> float:
    """The harmonic mean of precision and recall."""
    listed, traced = set(listed), set(traced)
    return 2 * len(listed & traced) / (len(listed) + len(traced)) if listed or traced else 0.0


def lines(rows: list[Row]) -> Iterator[str]:
    """The whole table."""
    head = (
        f"{'program':16} {'kind':8} traced missed  size likely    F1 complete unres. open args  cold s warm s peak MB"
    )
    yield head
    yield "-" * len(head)
    for row in rows:
        yield _row(row)
    yield ""
    yield from _totals(rows)
    yield from _usual(rows)
    yield ""
    for row in rows:
        if row.answer.error:
            yield f"{row.name}: no answer: {row.answer.error}"
        elif row.missed:
            yield f"{row.name} misses: " + ", ".join(f"{name} ({row.traced[name]}x)" for name in row.missed)
    for row in rows:
        if row.refuted:
            yield f"{row.name}: proved to be otherwise, and traced: " + ", ".join(row.refuted)
    yield ""
    yield "sensitive calls that are listed and were not traced:"
    for row in rows:
        if row.sensitive:
            yield f"  {row.name}: {' '.join(row.sensitive)}"


def _row(row: Row) -> str:
    answer = row.answer
    warm = f"{answer.warm.cpu:6.2f}" if answer.warm else "     -"
    return (
        f"{row.name:16} {row.kind:8} {len(row.traced):6} {len(row.missed):6} "
        f"{len(row.listed):5} {len(answer.likely):6} "
        f"{row.f1:5.2f} {'yes' if answer.complete else 'no':>8} {len(answer.unresolved):6} {len(answer.open_set):4} "
        f"{len(answer.arguments):4}  "
        f"{answer.cold.cpu:6.2f} {warm} {answer.cold.peak:7.0f}"
    )


def _totals(rows: list[Row]) -> Iterator[str]:
    for kind in ("dynamic", "static"):
        some = [row for row in rows if row.kind == kind and row.answer.required is not None]
        if some:
            yield _summary(kind, some)
    others = [row for row in rows if row.kind == "static" and row.name not in OWN and row.answer.required is not None]
    if others:
        yield _summary("others'", others) + "  (static ones that are not compiled here to make every call)"
    first = [row for row in rows if row.name in FIRST_SIX and row.answer.required is not None]
    if first:
        yield _summary("servers", first) + f"  ({', '.join(row.name for row in first)})"


def _summary(title: str, rows: list[Row]) -> str:
    whole = sum(not row.missed for row in rows)
    cold = sum(row.answer.cold.cpu for row in rows)
    return (
        f"{title:10} {whole} of {len(rows)} without a missed call; missed {sum(len(row.missed) for row in rows)}; "
        f"mean size {statistics.mean(len(row.listed) for row in rows):.1f}; "
        f"mean F1 {statistics.mean(row.f1 for row in rows):.2f}; cold {cold:.1f} s CPU; "
        f"peak {max(row.answer.cold.peak for row in rows):.0f} MB"
    )


def _usual(rows: list[Row]) -> Iterator[str]:
    """What a fixed list would score: for each program, the calls most common in all other programs' traces."""
    if len(rows) < 2:
        return
    size = round(statistics.mean(len(row.listed) or len(row.traced) for row in rows))
    missed, scores, whole = 0, [], 0
    for row in rows:
        others = Counter(name for other in rows if other is not row for name in other.traced)
        fixed = {name for name, _ in others.most_common(size)}
        lost = row.traced.keys() - fixed
        missed, whole = missed + len(lost), whole + (not lost)
        scores.append(f1(fixed, row.traced))
    yield (
        f"{'usual list':10} {whole} of {len(rows)} without a missed call; missed {missed}; size {size}; "
        f"mean F1 {statistics.mean(scores):.2f}  (the {size} calls most common in the other programs' traces)"
    )


def as_json(rows: list[Row]) -> str:
    """All that is known of each program."""
    return json.dumps(
        [
            {
                "program": row.name, "kind": row.kind, "traced": sorted(row.traced), "missed": row.missed,
                "arguments": len(row.answer.arguments), "refuted": row.refuted,
                "required": sorted(row.listed), "likely": sorted(row.answer.likely), "f1": round(row.f1, 4),
                "complete": row.answer.complete, "unresolved": row.answer.unresolved, "open_set": row.answer.open_set,
                "sensitive": row.sensitive, "cold_cpu_seconds": row.answer.cold.cpu, "peak_mb": row.answer.cold.peak,
                "warm_cpu_seconds": row.answer.warm.cpu if row.answer.warm else None, "error": row.answer.error,
            }
            for row in rows
        ],
        indent=1,
    )  # fmt: skip
