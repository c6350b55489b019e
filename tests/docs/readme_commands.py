"""README's commands, for `.ci/run` and for the test that holds the two together: ``python readme_commands.py test``."""

import re
import sys
from pathlib import Path

README = Path(__file__).parents[2] / "README.md"
_BLOCK = re.compile(r"<!-- command: (?P<name>\w+) -->\n```sh\n(?P<line>[^\n]+)\n```")


def commands() -> dict[str, str]:
    """Each marked block of one shell line, by its name."""
    return {match["name"]: match["line"] for match in _BLOCK.finditer(README.read_text(encoding="utf-8"))}


if __name__ == "__main__":
    print(commands()[sys.argv[1]])
