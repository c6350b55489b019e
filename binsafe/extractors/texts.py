"""Which of some known texts a program holds, found in one pass over its data."""

from collections.abc import Iterable

from binsafe.model import Slice

_CHUNK = 1024 * 1024
"""Bytes that are searched at once: what fits into a processor's cache."""


def find(slice_: Slice, texts: Iterable[bytes]) -> dict[bytes, int]:
    """Text -> where it is met first, as an offset in the slice; those that are not there are left out."""
    missing = dict.fromkeys(texts)
    longest = max(map(len, missing), default=0)
    found: dict[bytes, int] = {}
    for start, end in slice_.data_ranges():
        for at in range(start, end, _CHUNK):
            chunk = bytes(slice_.data[at : min(at + _CHUNK + longest, end)])
            here = {text: chunk.find(text) for text in missing}
            found |= {text: at + place for text, place in here.items() if place >= 0}
            missing = {text: None for text, place in here.items() if place < 0}
    return found
