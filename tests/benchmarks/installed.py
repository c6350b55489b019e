"""Commands as an installation has them: beside the bytecode that pip leaves.

Our confined processes write none: where it is not there, each of them compiles what it imports, every time.
"""

import compileall
import importlib.util
import os
from collections.abc import Mapping
from functools import cache

_IMPORTED = ("binsafe", "capstone", "click", "cryptography", "lief", "msgspec", "numpy")
_AGAINST = frozenset({"PYTHONDONTWRITEBYTECODE", "PYTHONPYCACHEPREFIX"})


@cache
def environment() -> Mapping[str, str]:
    """This process's, less what keeps Python from bytecode; what is not compiled yet is compiled, where it lies."""
    specs = (importlib.util.find_spec(name) for name in _IMPORTED)
    for folder in (folder for spec in specs if spec is not None for folder in spec.submodule_search_locations or ()):
        compileall.compile_dir(folder, quiet=2)
    return {name: value for name, value in os.environ.items() if name not in _AGAINST}
