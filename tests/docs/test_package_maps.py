"""Each package's docstring is a map of it: it names all of its modules."""

import ast
import re
from fnmatch import fnmatchcase
from pathlib import Path

import pytest

import bandit_runner.cli
import binsafe.cli

ROOTS = [Path(str(package.__file__)).parent for package in (binsafe, bandit_runner)]
PACKAGES = [init.parent for root in ROOTS for init in sorted(root.rglob("__init__.py"))]
SAID_ONCE = {"x86_64_", "arm64_"}
"""What names of modules begin with that are named for both processors at once."""
COMMANDS = {*binsafe.cli.COMMANDS, *bandit_runner.cli.COMMANDS, "import_"}


def inside(package: Path) -> set[str]:
    """The modules and packages in a package."""
    modules = {path.stem for path in package.glob("*.py") if not path.stem.startswith("__")}
    return modules | {init.parent.name for init in package.glob("*/__init__.py")}


@pytest.mark.parametrize("package", PACKAGES, ids=lambda package: str(package.relative_to(ROOTS[0].parent)))
def test_a_packages_docstring_names_its_modules(package: Path):
    told = str(ast.get_docstring(ast.parse((package / "__init__.py").read_text(encoding="utf-8"))))
    words = re.findall(r"[\w*]+", told)
    spellings = {
        name: {name, *(f"_{name.removeprefix(start)}" for start in SAID_ONCE if name.startswith(start))}
        for name in inside(package) - {"_version"} - (COMMANDS if package.name == "cli" else set())
    }
    missing = [
        name
        for name, spelt in spellings.items()
        if not any(fnmatchcase(each, word) for each in spelt for word in words if word.strip("*"))
    ]
    assert missing == []
