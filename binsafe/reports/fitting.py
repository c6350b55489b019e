"""An output of bounded size, whatever the file: what matters least goes first, and the report says that it went."""

from collections.abc import Callable
from functools import partial
from typing import Any

import msgspec

from binsafe.limits import MAX_OUTPUT_BYTES
from binsafe.model import Evidence, Report, Strings, Syscalls
from binsafe.model.report import LEVELS
from binsafe.model.rewriting import rewrite

Cut = Callable[[Report], Report]


def fitted(render: Callable[[Report], str], report: Report) -> str:
    """What ``render`` makes of the report, in at most `MAX_OUTPUT_BYTES` of UTF-8.

    What was cut stands in the report's ``omitted``. Libraries, dependencies and system calls are cut last of all,
    which only a file that was made for it needs.
    """
    text = render(report)
    for what, cut in _CUTS:
        if len(text.encode("utf-8", "surrogatepass")) <= MAX_OUTPUT_BYTES:
            return text
        smaller = cut(report)
        if smaller is not report:
            note = f"{what}: the report would have more than {MAX_OUTPUT_BYTES:,} bytes (-v has all)"
            report = msgspec.structs.replace(smaller, omitted=(*smaller.omitted, note))
            text = render(report)
    return text


def _no_instructions(report: Report) -> Report:
    return rewrite(report, Evidence, lambda each: msgspec.structs.replace(each, instructions=()))


def _no_sites(report: Report) -> Report:
    return rewrite(report, Syscalls, lambda calls: msgspec.structs.replace(calls, sites={}))


def _few_strings(report: Report, most: int) -> Report:
    """Fewer strings; the totals stay those of the file."""
    return rewrite(report, Strings, lambda strings: msgspec.structs.replace(
        strings,
        urls=strings.urls[:most],
        addresses=strings.addresses[:most],
        paths=strings.paths[:most],
        secrets=strings.secrets[:most],
    ))  # fmt: skip


def _few_members(report: Report, most: int) -> Report:
    """The worst, in their own order."""
    if len(report.members) <= most:
        return report
    order = sorted(report.members, key=lambda member: LEVELS.index(member.report.verdict.level))
    kept = {id(member) for member in order[:most]}
    return msgspec.structs.replace(
        report,
        members=tuple(member for member in report.members if id(member) in kept),
        members_omitted=report.members_omitted + len(report.members) - most,
    )


def _short(report: Report, items: int, characters: int) -> Report:
    """Every list and every text in the report cut to a length."""
    built = msgspec.to_builtins(report)
    shortened = _shortened(built, items, characters)
    return report if shortened == built else msgspec.convert(shortened, Report)


def _shortened(value: Any, items: int, characters: int) -> Any:
    if isinstance(value, str):
        return value if len(value) <= characters else value[: characters - 3] + "..."
    if isinstance(value, list | tuple):
        return [_shortened(each, items, characters) for each in value[:items]]
    if isinstance(value, dict):
        kept = list(value.items())[: max(items, _FIELDS)]
        return {_shortened(name, items, characters): _shortened(each, items, characters) for name, each in kept}
    return value


_FIELDS = max(len(struct.__struct_fields__) for struct in (Report, Syscalls)) + 20
"""Structs have become dicts here, and must keep their fields."""
_CUTS: tuple[tuple[str, Cut], ...] = (
    ("instructions", _no_instructions),
    ("places of system calls", _no_sites),
    ("most strings", partial(_few_strings, most=10)),
    ("members beyond the worst 30", partial(_few_members, most=30)),
    ("members beyond the worst 5", partial(_few_members, most=5)),
    ("long texts and lists", partial(_short, items=400, characters=2_000)),
    ("longer texts and lists", partial(_short, items=60, characters=300)),
    ("most texts and lists", partial(_short, items=8, characters=80)),
)
