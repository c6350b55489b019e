"""Names that differ only in how accents are written."""

import time
from unicodedata import normalize

import pytest

from binsafe.containers.names import decomposed


@pytest.mark.parametrize(
    "text", ["a.txt", "\xe9", "e\u0301\u0327", "e\u0327\u0301", "\uac01", "\u0344\u0323x\u0345\u0301"]
)
def test_accents_are_parted_from_their_letters_in_unicodes_order(text: str):
    assert decomposed(text) == normalize("NFD", text)


def test_names_of_many_accents_take_no_more_time_than_others():
    """A few KB may unpack to very many of them."""
    before = time.process_time()
    assert len(decomposed("a" + "\u0301\u0327" * 200_000)) == 400_001
    assert time.process_time() - before < 10
