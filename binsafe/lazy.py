"""A start pays only for what it needs: names that are loaded on first use (PEP 562), modules that are not loaded."""

import importlib
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from types import ModuleType
from typing import Any


def lazily(package: str, homes: Mapping[str, str]) -> Callable[[str], Any]:
    """The package's ``__getattr__``: ``homes`` says in which of its modules each public name is at home."""

    def load(name: str) -> Any:
        if name not in homes:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        return getattr(importlib.import_module(f"{package}.{homes[name]}"), name)

    return load


@contextmanager
def instead(*modules: ModuleType) -> Iterator[None]:
    """What is imported meanwhile gets these for the modules of their names that are not loaded yet."""
    ours = {module.__name__: module for module in modules if module.__name__ not in sys.modules}
    sys.modules.update(ours)
    try:
        yield
    finally:
        for name, module in ours.items():
            if sys.modules.get(name) is module:
                del sys.modules[name]


def stand_in(name: str, *, later: Iterable[str] = (), **given: Any) -> ModuleType:
    """A module for `instead` that has what is ``given``, and functions that load the real one when they are called.

    Whoever wants anything else of it, now or then, gets it from the real one, which is loaded.
    """

    def real(wanted: str) -> Any:
        if wanted.startswith("__"):  # what the import system looks for: it has none
            raise AttributeError(wanted)
        if sys.modules.get(name) is module:
            del sys.modules[name]
        return getattr(importlib.import_module(name), wanted)

    def calling(function: str) -> Callable[..., Any]:
        def call(*arguments: Any, **named: Any) -> Any:
            return real(function)(*arguments, **named)

        return call

    module = ModuleType(name)
    module.__dict__.update(given, **{function: calling(function) for function in later})
    module.__getattr__ = real  # type: ignore[method-assign]
    return module
