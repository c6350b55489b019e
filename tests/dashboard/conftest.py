import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "runs"))  # played: finished ids, made up

from browsing import browser, stored, visitor  # noqa: F401 - fixtures
