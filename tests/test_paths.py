"""Which paths lie in a folder."""

import pytest

from binsafe.paths import is_inside


@pytest.mark.parametrize(
    ("path", "folder", "expected"),
    [
        ("/data", "/data", True),
        ("/data", "/data/", True),
        ("/data/file", "/data", True),
        ("/database", "/data", False),
        ("/", "/data", False),
        ("/data", "/", True),
        ("/", "/", True),
    ],
)
def test_a_folder_holds_itself_and_what_is_below_it(path: str, folder: str, expected: bool):
    assert is_inside(path, folder) is expected
    assert is_inside(path, "/elsewhere", folder) is expected
    assert not is_inside(path)
