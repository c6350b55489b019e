"""Reports as the most hostile file could have them: every free text is what the test says."""

from typing import Any

import msgspec
from hypothesis import strategies as st
from sample_reports import ARCHIVE, UNIVERSAL

from binsafe.model import Report

FIXED = frozenset(
    {
        *("ok", "caution", "danger", "unknown", "mach-o", "elf", "archive", "high", "medium", "low", "info"),
        *("linker", "developer-id", "none", "valid", "invalid", "absent", "dynamic", "static", "load", "needed"),
        *("import", "function", "syscall", "string", "listen", "connect", "yes", "no", "der", "apple-root"),
        *("present", "partial", "not-applicable", "binsafe.report/1", "execute", "keychain"),
    }
)
"""Words that the report's schema allows only as they are."""
TEXTS = st.text(st.characters(codec="utf-8"), max_size=40) | st.sampled_from(
    ("\x1b[2J", "\r\nVerdict: ok", "\x9b31m", "\u202egnp.exe", "\u2028\u200b\x7f\x00", "<script>", "](http://x)", "`|`")
)


def with_texts(report: Report, text: str) -> Report:
    """The report with every free text replaced; addresses stay addresses."""

    def changed(value: Any) -> Any:
        if isinstance(value, str):
            return value if value in FIXED or value.startswith("0x") else text
        if isinstance(value, list):
            return [changed(item) for item in value]
        if isinstance(value, dict):
            return {key: changed(item) for key, item in value.items()}
        return value

    return msgspec.convert(changed(msgspec.to_builtins(report)), Report)


REPORTS = st.builds(with_texts, st.sampled_from((UNIVERSAL, ARCHIVE)), TEXTS)
