"""Which of some known texts a program holds, found in one pass over its data."""

from collections import defaultdict
from collections.abc import Iterable, Mapping

from binsafe.formats.structure import let_go
from binsafe.model import Slice

_CHUNK = 1024 * 1024
"""Bytes that are searched at once: what fits into a processor's cache."""


_STEM = 5
"""Bytes that texts share when they begin alike (``/etc/``): where those are not, none of them is."""


def find(slice_: Slice, texts: Iterable[bytes]) -> dict[bytes, int]:
    """Text -> where it is met first, as an offset in the slice; those that are not there are left out."""
    missing = dict(_by_stem(texts))
    longest = max((len(text) for group in missing.values() for text in group), default=0)
    found: dict[bytes, int] = {}
    for start, end in slice_.data_ranges():
        for at in range(start, end, _CHUNK):
            chunk = bytes(slice_.data[at : min(at + _CHUNK + longest, end)])
            for stem in [stem for stem in missing if stem in chunk]:
                here = {text: chunk.find(text) for text in missing[stem]}
                found |= {text: at + place for text, place in here.items() if place >= 0}
                missing[stem] = {text for text, place in here.items() if place < 0}
            missing = {stem: group for stem, group in missing.items() if group}
            let_go(slice_.data)
    return found


def _by_stem(texts: Iterable[bytes]) -> Mapping[bytes, set[bytes]]:
    """The texts by their first bytes, or by all of them where no other begins alike: that is found faster."""
    groups: defaultdict[bytes, set[bytes]] = defaultdict(set)
    for text in texts:
        groups[text[:_STEM]].add(text)
    return {stem if len(group) > 1 else min(group): group for stem, group in groups.items()}
