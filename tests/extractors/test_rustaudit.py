import contextlib
import json
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from minimal_slices import subject, with_section

from binsafe.errors import NotAnalysable
from binsafe.extractors import build, rustaudit

CRATES = {
    "packages": [{"name": "serde", "version": "1.0.2", "source": "crates.io"}, {"name": "app", "version": "0.1.0"}]
}


def audited(content: bytes):
    return with_section(".dep-v0", content)


def test_the_crates_are_listed_by_name_and_version():
    found = rustaudit.read(audited(zlib.compress(json.dumps(CRATES).encode())))
    assert found is not None
    assert found.crates == ("app 0.1.0", "serde 1.0.2")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"no zlib",
        zlib.compress(b"no json"),
        zlib.compress(b'{"packages": [{"name": 1}]}'),
        zlib.compress(json.dumps(CRATES).encode())[:-6],
    ],
)
def test_a_record_that_cannot_be_read_is_a_finding_and_not_an_empty_list(content: bytes):
    with pytest.raises(NotAnalysable) as caught:
        rustaudit.read(audited(content))
    assert caught.value.finding == "rust-audit-data"
    extracted = build.extract(subject(audited(content)))
    assert extracted.value.rust is None
    assert [finding.id for finding in extracted.findings] == ["rust-audit-data"]


def test_a_zip_bomb_is_not_unpacked():
    bomb = zlib.compress(b" " * (64 * 1024**2))
    with pytest.raises(NotAnalysable, match="8 MiB"):
        rustaudit.read(audited(bomb))


@given(st.binary(max_size=200))
def test_hostile_records_raise_only_their_own_error(content: bytes):
    for hostile in (content, zlib.compress(content)):
        with contextlib.suppress(NotAnalysable):
            rustaudit.read(audited(hostile))
