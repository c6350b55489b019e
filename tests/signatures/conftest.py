from collections.abc import Callable
from pathlib import Path

import pytest


@pytest.fixture(scope="module")
def linker_signed(standin: Callable[[str], Path]) -> bytes:
    return standin("darwin/arm64").read_bytes()
