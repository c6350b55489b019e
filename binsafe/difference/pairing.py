"""Which part of the new version is the old one's successor."""

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from posixpath import basename
from typing import NamedTuple, TypeVar

import msgspec

from binsafe.limits import MAX_SLICES
from binsafe.model import Member, Network, Report, SliceReport, Strings

T = TypeVar("T")
_VERSION = re.compile(r"\d+(?:[.\-_+~]?(?:\d+|rc|alpha|beta|dev|post|pre|[ab](?=\d)))*")
"""``1.2``, ``1.2.0-rc1``, ``20240101``: what changes in the names of a release's folders."""


class Pairs(NamedTuple):
    """Successors by their place in the two sequences, the old part first; None where there is none."""

    both: list[tuple[int, int]]
    removed: list[int]
    added: list[int]


def slices(old: Sequence[SliceReport], new: Sequence[SliceReport]) -> Pairs:
    """Slices for the same processor; more than one for it in their order."""
    return _paired(old, new, [_Rule(lambda part: part.arch)])


def nearest(part: SliceReport, others: Sequence[SliceReport]) -> int | None:
    """The slice that does on another processor what ``part`` does on its own; None where there is no slice at all."""

    def far(index: int) -> tuple[bool, bool]:
        other = others[index]
        return other.system != part.system, other.kind != part.kind

    return min(range(min(len(others), MAX_SLICES)), key=far, default=None)


def members(old: Sequence[Member], new: Sequence[Member]) -> Pairs:
    """Members of the same path; then of the same bytes; then of a path or name that only a version tells apart."""
    return _paired(
        old,
        new,
        [
            _Rule(lambda member: member.path),
            _Rule(lambda member: member.report.artifact.sha256, ignored="unknown"),
            _Rule(lambda member: _VERSION.sub("#", member.path), alone=True),
            _Rule(lambda member: basename(member.path), alone=True),
            _Rule(lambda member: _VERSION.sub("#", basename(member.path)), alone=True),
        ],
    )


def without_abilities(part: SliceReport) -> SliceReport:
    """What ``part`` is compared with where there was nothing before: the same program that can do nothing."""
    calls = part.syscalls
    if calls is not None:
        calls = msgspec.structs.replace(calls, complete=True, required=(), likely=(), open_set=(), arguments={})
    return msgspec.structs.replace(
        part,
        network=Network(verdict="no"),
        capabilities=(),
        libraries=(),
        rpaths=(),
        entitlements=None,
        syscalls=calls,
    )


def nothing_like(report: Report) -> Report:
    """What a further member is compared with: the same file that can do nothing."""
    return msgspec.structs.replace(
        report,
        artifact=msgspec.structs.replace(report.artifact, sha256="unknown", attributes=None, set_id=None),
        slices=tuple(without_abilities(part) for part in report.slices),
        strings=Strings(),
        findings=(),
        members=(),
    )


class _Rule(NamedTuple):
    """Parts with the same key belong together; ``alone``: only where no other part has that key."""

    key: Callable[..., str]
    ignored: str | None = None
    alone: bool = False


def _paired(old: Sequence[T], new: Sequence[T], rules: Iterable[_Rule]) -> Pairs:
    both: list[tuple[int, int]] = []
    before, after = list(range(len(old))), list(range(len(new)))
    for rule in rules:
        found = list(_same([(rule.key(old[i]), i) for i in before], [(rule.key(new[i]), i) for i in after], rule))
        both += found
        gone = {first for first, _ in found}, {second for _, second in found}
        before = [index for index in before if index not in gone[0]]
        after = [index for index in after if index not in gone[1]]
    return Pairs(sorted(both, key=lambda pair: pair[1]), before, after)


def _same(old: list[tuple[str, int]], new: list[tuple[str, int]], rule: _Rule) -> Iterator[tuple[int, int]]:
    by_key: dict[str, list[int]] = defaultdict(list)
    wanted: dict[str, list[int]] = defaultdict(list)
    for key, index in old:
        by_key[key].append(index)
    for key, index in new:
        wanted[key].append(index)
    for key, indices in wanted.items():
        candidates = by_key.get(key, [])
        if key != rule.ignored and not (rule.alone and (len(indices) > 1 or len(candidates) > 1)):
            yield from zip(candidates, indices, strict=False)
