"""Texts of an artifact that tell what it talks to and touches: one pass over all bytes that are not code.

Patterns begin with a byte that is rare (``/``, ``:``, ``.``) or with a word, so that the search goes at memory speed.
Each text counts once, in the order it is met; what is shown is capped further than what is counted. Go and Rust keep
texts without an end between them: there a text ends where the next one begins, which is where something points to.
"""

import re
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Literal, TypeAlias

from binsafe.extractors.addresses import addresses
from binsafe.formats.references import references
from binsafe.formats.structure import Spans, let_go
from binsafe.limits import MAX_STRINGS, MAX_STRINGS_COUNTED, MAX_STRINGS_MET
from binsafe.model import Slice, Strings, Text

_Kind = Literal["urls", "addresses", "paths", "secrets"]

_Met: TypeAlias = dict[_Kind, dict[bytes, int]]

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
_UNTERMINATED = frozenset({"go", "rust"})
"""Languages that keep texts without an end."""
_OF_GO_ITSELF = re.compile(
    rb"https://(?:go\.dev|golang\.org|pkg\.go\.dev)(?:/|$)"
    rb"|/(?:sys/kernel/mm/transparent_hugepage/|proc/(?:self/(?:auxv|cgroup|mountinfo)|sys/kernel/)|etc/protocols$"
    rb"|usr/(?:local/)?(?:share|lib)/(?:go/|zoneinfo)|usr/local/go/)"
)
"""What Go's runtime and library hold in every program: messages that explain it, and files they read for themselves."""
_OF_BUILDERS = (b"/.cargo/registry/", b"/rustc/", b"/go/pkg/mod/", b"/go/src/", b"/.rustup/")
"""Source files on the machine that built it; they are counted, and shown last."""
_PATH = re.compile(
    rb"/(?:etc|usr/(?:local/)?(?:bin|sbin|lib|libexec|share)|var|home|root|Users|Library|System/Library|private|opt|proc|sys"
    rb"|dev|tmp|Applications|Volumes)/[A-Za-z0-9._+@%~/-]{2,200}"
)
_DER_LINK = b"\x86"
"""Stands before the length of a link in a certificate (RFC 5280, 4.2.1.6: uniformResourceIdentifier)."""
_SECRET_WORDS = (
    b"-----BEGIN", b"AKIA", b"AIza", b"ghp_", b"github_pat_", b"glpat-", b"xox", b"sk_live_", b"npm_",
    b"eyJhbGciOi",
)  # fmt: skip
_SECRET = re.compile(
    rb"-----BEGIN [A-Z ]*PRIVATE KEY-----\s+[A-Za-z0-9+/=\s]{64}|(?<![A-Za-z0-9+/])AKIA[0-9A-Z]{16}(?![A-Za-z0-9+/])"
    rb"|AIzaSy[0-9A-Za-z_-]{33}|(?<![A-Za-z0-9+/_-])AIza[0-9A-Za-z_-]{35}(?![A-Za-z0-9+/_-])"
    rb"|ghp_[A-Za-z0-9]{36}|github_pat_[A-Za-z0-9_]{60,}|glpat-[A-Za-z0-9_-]{20}|xox[bp]-[0-9A-Za-z-]{20,}"
    rb"|sk_live_[0-9A-Za-z]{20,}|npm_[A-Za-z0-9]{36}|eyJhbGciOi[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}"
)
"""Private keys, and tokens whose issuers gave them a form: GitHub, GitLab, Slack, Stripe, npm, AWS, Google, JWT."""
_CREDENTIALS = re.compile(rb"^[a-z0-9]+://[^/@:\s]+:([^/@\s%{$<*]{4,})@")
_SHOWN_OF_A_SECRET = 6
_WHOLE: Mapping[_Kind, re.Pattern[bytes]] = MappingProxyType(
    {
        "urls": re.compile(rb"[a-z0-9]+://[^/?#]{3,}.*?(?=[.,;:)\]]*$)", re.DOTALL),
        "addresses": re.compile(rb".+[.:][0-9a-f]*[0-9a-f\]](?:/\d+)?$"),
        "paths": re.compile(rb"/[^/]+/.*[^. -](?=[. -]*$)", re.DOTALL),
        "secrets": _SECRET,
    }
)
"""What must remain of a text that was cut off where the next one begins."""
_NAMES_OF_EXAMPLES = (
    b"://example.",
    b"://www.example.",
    b"://localhost",
    b"://schemas.",
    b"://www.w3.org",
    b"://json-schema.org",
)
"""Links that documents hold for their form; they are counted, and shown last."""


def extract(data: memoryview, slices: tuple[Slice, ...], languages: Sequence[str] = ()) -> Strings:
    """The texts of all slices and of what stands between them, by where they stand in the artifact.

    ``languages`` are those that the slices were written in, in their order.
    """
    met = _met(data, slices)
    for slice_, language in zip(slices, languages, strict=False):
        met = _ended(slice_, met) if language in _UNTERMINATED else met
        met = _without_go(met) if language == "go" else met
    for url in met["urls"]:
        if _CREDENTIALS.search(url):
            met["secrets"][url] = met["urls"][url]
    urls = {url: at for url, at in met["urls"].items() if url not in met["secrets"]}
    return Strings(
        urls=_shown(_last(urls, _NAMES_OF_EXAMPLES)),
        urls_total=len(urls),
        addresses=_shown(met["addresses"]),
        addresses_total=len(met["addresses"]),
        paths=_shown(_last(met["paths"], _OF_BUILDERS)),
        paths_total=len(met["paths"]),
        secrets=_shown({_veiled(secret): at for secret, at in met["secrets"].items()}),
        secrets_total=len(met["secrets"]),
    )


def _met(data: memoryview, slices: tuple[Slice, ...]) -> _Met:
    """The texts of each kind, each with the offset at which it is met first."""
    met: _Met = {"urls": {}, "addresses": {}, "paths": {}, "secrets": {}}
    left = dict.fromkeys(met, MAX_STRINGS_MET)
    for at, origin, chunk in _chunks(data, slices):
        for kind, texts in met.items():
            for place, found in _FINDERS[kind](chunk) if left[kind] > 0 else ():
                left[kind] -= 1
                if at <= origin + place < at + _CHUNK and found not in texts and len(texts) < MAX_STRINGS_COUNTED:
                    texts[found] = origin + place
    return met


def _chunks(data: memoryview, slices: tuple[Slice, ...]) -> Iterator[tuple[int, int, bytes]]:
    """Where a chunk begins, where the bytes that are searched for its texts begin, and these: more on each side."""
    for start, end in _ranges(data, slices):
        for at in range(start, end, _CHUNK):
            origin = max(at - _LONGEST, start)
            yield at, origin, bytes(data[origin : min(at + _CHUNK + _LONGEST, end)])
            let_go(data)


def _last(texts: dict[bytes, int], less: tuple[bytes, ...]) -> dict[bytes, int]:
    """The texts, those last that hold one of ``less``."""
    return dict(sorted(texts.items(), key=lambda entry: any(name in entry[0] for name in less)))


def _without_go(met: _Met) -> _Met:
    return {
        kind: {text: at for text, at in texts.items() if not _OF_GO_ITSELF.match(text)} for kind, texts in met.items()
    }


def _ended(slice_: Slice, met: _Met) -> _Met:
    """The texts, those of the slice up to where the next one begins; what remains of none is left out."""
    address = _addresses(slice_, {at for texts in met.values() for at in texts.values()})
    known = sorted(where for where in address.values() if where is not None)
    if not known:
        return met
    begun = references(slice_, known[0], known[-1] + _LONGEST).tolist()
    ended: _Met = {}
    for kind, texts in met.items():
        ended[kind] = {}
        for text, at in texts.items():
            start = address[at]
            index = len(begun) if start is None else bisect_right(begun, start)
            length = begun[index] - start if start is not None and index < len(begun) else len(text)
            whole = _WHOLE[kind].match(text[:length])
            if whole is not None:
                ended[kind].setdefault(whole[0], at)
    return ended


def _addresses(slice_: Slice, places: Iterable[int]) -> dict[int, int | None]:
    """Offset in the artifact -> address of a byte of a section; the texts of headers and load commands have an end."""
    sections = Spans((s.offset, s.size) for s in slice_.sections if s.offset is not None)
    segments = sorted((s for s in slice_.segments if s.file_size), key=lambda segment: segment.offset)
    starts = [segment.offset for segment in segments]
    found: dict[int, int | None] = dict.fromkeys(places)
    for place in found:
        offset = place - slice_.offset
        index = bisect_right(starts, offset) - 1
        if index >= 0 and offset < starts[index] + segments[index].file_size and sections.hold(offset):
            found[place] = segments[index].address + offset - starts[index]
    return found


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


def _urls(chunk: bytes) -> Iterator[tuple[int, bytes]]:
    for match in _URL.finditer(chunk):
        scheme = _SCHEME.search(chunk, max(match.start() - 12, 0), match.start())
        if scheme is not None:
            start = scheme.start()
            end = start + chunk[start - 1] if chunk[start - 2 : start - 1] == _DER_LINK else match.end()
            yield start, chunk[start : min(end, match.end())].rstrip(b".,;:)]")


def _paths(chunk: bytes) -> Iterator[tuple[int, bytes]]:
    for match in _PATH.finditer(chunk):
        if not chunk[max(match.start() - 1, 0) : match.start()].isalnum():
            yield match.start(), match[0].rstrip(b" .-")


def _secrets(chunk: bytes) -> Iterator[tuple[int, bytes]]:
    for word in _SECRET_WORDS:
        for place in _places(chunk, word):
            secret = _SECRET.match(chunk, place)
            if secret is not None:
                yield place, secret[0]


def _places(chunk: bytes, word: bytes) -> Iterator[int]:
    at = chunk.find(word)
    while at >= 0:
        yield at
        at = chunk.find(word, at + 1)


def _veiled(secret: bytes) -> bytes:
    """The beginning, which tells its kind, and its length."""
    return b"%s... (%d characters)" % (secret[:_SHOWN_OF_A_SECRET], len(secret))


def _shown(texts: dict[bytes, int]) -> tuple[Text, ...]:
    first = list(texts.items())[:MAX_STRINGS]
    return tuple(Text(value=text[:_LONGEST].decode("ascii", "backslashreplace"), offset=at) for text, at in first)


_FINDERS: Mapping[_Kind, Callable[[bytes], Iterator[tuple[int, bytes]]]] = MappingProxyType(
    {"urls": _urls, "addresses": addresses, "paths": _paths, "secrets": _secrets}
)
"""What finds the texts of a kind in a piece of the artifact: each with the place where it begins."""
