"""Texts of an artifact that tell what it talks to and touches: one pass over all bytes that are not code.

Patterns begin with a byte that is rare (``/``, ``:``, ``.``) or with a word, so that the search goes at memory speed.
Each text counts once, in the order it is met; what is shown is capped further than what is counted. Go and Rust keep
texts without an end between them, so that a link may carry the beginning of the next text.
"""

import re
from collections.abc import Iterator
from typing import Literal

from binsafe.limits import MAX_STRINGS, MAX_STRINGS_COUNTED
from binsafe.model import Slice, Strings, Text

_Kind = Literal["urls", "addresses", "paths", "secrets"]

_CHUNK = 1024 * 1024
_LONGEST = 512
"""Bytes that pieces overlap by, so that no text is cut; longer texts are shown up to here."""
_URL = re.compile(
    rb"://(?:[A-Za-z0-9._~%:-]{1,100}@)?(?:[a-z0-9-]{1,63}(?:\.[a-z0-9-]{1,63})+|localhost|\[[0-9a-f:]+\])"
    rb"(?::\d{1,5})?(?:[/?#][^\x00-\x20\x7f-\xff\"'<>\\^`{|}]{0,400})?"
)
_SCHEME = re.compile(
    rb"(?:https?|wss?|ftps?|sftp|ssh|git|tcp|udp|ldaps?|socks5|redis|mongodb|postgres(?:ql)?|mysql|amqps?)$"
)
_NUMBERS = re.compile(rb"\.\d{1,3}\.\d{1,3}\.\d{1,3}(?![\d.])(?::\d{2,5})?")
_FIRST_NUMBER = re.compile(rb"(?<![\d.A-Za-z])\d{1,3}$")
_PATH = re.compile(
    rb"/(?:etc|usr/(?:local/)?(?:bin|sbin|lib|libexec|share)|var|home|root|Users|Library|System/Library|private|opt|proc|sys"
    rb"|dev|tmp|Applications|Volumes)/[A-Za-z0-9._+@%~/-]{2,200}"
)
_SECRET_WORDS = (
    b"-----BEGIN", b"AKIA", b"AIza", b"ghp_", b"github_pat_", b"glpat-", b"xox", b"sk_live_", b"npm_",
    b"eyJhbGciOi",
)  # fmt: skip
_SECRET = re.compile(
    rb"-----BEGIN [A-Z ]*PRIVATE KEY-----\s+[A-Za-z0-9+/=\s]{64}|(?<![A-Za-z0-9+/])AKIA[0-9A-Z]{16}(?![A-Za-z0-9+/])"
    rb"|AIza[0-9A-Za-z_-]{35}"
    rb"|ghp_[A-Za-z0-9]{36}|github_pat_[A-Za-z0-9_]{60,}|glpat-[A-Za-z0-9_-]{20}|xox[bp]-[0-9A-Za-z-]{20,}"
    rb"|sk_live_[0-9A-Za-z]{20,}|npm_[A-Za-z0-9]{36}|eyJhbGciOi[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}"
)
"""Private keys, and tokens whose issuers gave them a form: GitHub, GitLab, Slack, Stripe, npm, AWS, Google, JWT."""
_CREDENTIALS = re.compile(rb"^[a-z0-9]+://[^/@:\s]+:([^/@\s%{$<*]{4,})@")
_SHOWN_OF_A_SECRET = 6
_NAMES_OF_EXAMPLES = (
    b"://example.",
    b"://www.example.",
    b"://localhost",
    b"://schemas.",
    b"://www.w3.org",
    b"://json-schema.org",
)
"""Links that documents hold for their form; they are counted, and shown last."""


def extract(data: memoryview, slices: tuple[Slice, ...]) -> Strings:
    """The texts of all slices and of what stands between them, by where they stand in the artifact."""
    met: dict[_Kind, dict[bytes, int]] = {"urls": {}, "addresses": {}, "paths": {}, "secrets": {}}
    for start, end in _ranges(data, slices):
        for at in range(start, end, _CHUNK):
            chunk = bytes(data[max(at - _LONGEST, start) : min(at + _CHUNK + _LONGEST, end)])
            origin = max(at - _LONGEST, start)
            for kind, place, found in _texts(chunk):
                texts = met[kind]
                if at <= origin + place < at + _CHUNK and found not in texts and len(texts) < MAX_STRINGS_COUNTED:
                    texts[found] = origin + place
    for url in met["urls"]:
        if _CREDENTIALS.search(url):
            met["secrets"][url] = met["urls"][url]
    urls = {url: at for url, at in met["urls"].items() if url not in met["secrets"]}
    return Strings(
        urls=_shown(dict(sorted(urls.items(), key=lambda entry: any(name in entry[0] for name in _NAMES_OF_EXAMPLES)))),
        urls_total=len(urls),
        addresses=_shown(met["addresses"]),
        addresses_total=len(met["addresses"]),
        paths=_shown(met["paths"]),
        paths_total=len(met["paths"]),
        secrets=_shown({_veiled(secret): at for secret, at in met["secrets"].items()}),
        secrets_total=len(met["secrets"]),
    )


def _ranges(data: memoryview, slices: tuple[Slice, ...]) -> Iterator[tuple[int, int]]:
    """What no section of a slice calls code, and what belongs to no slice."""
    at = 0
    for slice_ in sorted(slices, key=lambda slice_: slice_.offset):
        if slice_.offset > at:
            yield at, slice_.offset
        yield from ((slice_.offset + start, slice_.offset + end) for start, end in slice_.data_ranges())
        at = slice_.offset + len(slice_.data)
    if at < len(data):
        yield at, len(data)


def _texts(chunk: bytes) -> Iterator[tuple[_Kind, int, bytes]]:
    for match in _URL.finditer(chunk):
        scheme = _SCHEME.search(chunk, max(match.start() - 12, 0), match.start())
        if scheme is not None:
            yield "urls", scheme.start(), chunk[scheme.start() : match.end()].rstrip(b".,;:)]")
    for match in _NUMBERS.finditer(chunk):
        first = _FIRST_NUMBER.search(chunk, max(match.start() - 4, 0), match.start())
        if first is not None and _is_address(chunk[first.start() : match.end()]):
            yield "addresses", first.start(), chunk[first.start() : match.end()]
    for match in _PATH.finditer(chunk):
        if not chunk[max(match.start() - 1, 0) : match.start()].isalnum():
            yield "paths", match.start(), match[0].rstrip(b" .-")
    for word in _SECRET_WORDS:
        for place in _places(chunk, word):
            secret = _SECRET.match(chunk, place)
            if secret is not None:
                yield "secrets", place, secret[0]


def _places(chunk: bytes, word: bytes) -> Iterator[int]:
    at = chunk.find(word)
    while at >= 0:
        yield at
        at = chunk.find(word, at + 1)


def _is_address(text: bytes) -> bool:
    """Four numbers below 256, and no version number: those begin with 0 to 9 and are small all over."""
    numbers = [int(part) for part in text.split(b":")[0].split(b".")]
    return max(numbers) < 256 and (max(numbers) > 31 or b":" in text)  # noqa: PLR2004 - a byte; what versions reach


def _veiled(secret: bytes) -> bytes:
    """The beginning, which tells its kind, and its length."""
    return b"%s... (%d characters)" % (secret[:_SHOWN_OF_A_SECRET], len(secret))


def _shown(texts: dict[bytes, int]) -> tuple[Text, ...]:
    first = list(texts.items())[:MAX_STRINGS]
    return tuple(Text(value=text[:_LONGEST].decode("ascii", "backslashreplace"), offset=at) for text, at in first)
