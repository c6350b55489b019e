"""binsafe's public names: what ``import binsafe`` promises, to people and to type checkers."""

import ast
import importlib
from pathlib import Path

import pytest

import binsafe


def for_type_checkers() -> dict[str, object]:
    """What the block under ``if TYPE_CHECKING`` imports from binsafe, by its name there."""
    tree = ast.parse(Path(binsafe.__file__).read_text())
    block = next(node for node in tree.body if isinstance(node, ast.If))
    imports = [node for node in block.body if isinstance(node, ast.ImportFrom) and node.module.startswith("binsafe")]
    return {
        alias.asname or alias.name: getattr(importlib.import_module(node.module), alias.name)
        for node in imports
        for alias in node.names
    }


def test_what_type_checkers_see_is_what_loads():
    loaded = {name: getattr(binsafe, name) for name in binsafe.__all__ if name != "__version__"}
    assert loaded == for_type_checkers()


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = binsafe.nothing
