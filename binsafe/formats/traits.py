"""Traits that are read off the imports, in the same way for ELF and Mach-O."""

from collections.abc import Iterable

from binsafe.model import Import

_CANARIES = frozenset({"__stack_chk_fail", "___stack_chk_fail", "__stack_chk_fail_local", "__stack_smash_handler"})


def import_traits(imports: Iterable[Import]) -> dict[str, bool | int | str]:
    """``stack_canary`` and ``fortified_imports``: see the table in the package's docstring."""
    names = [entry.name for entry in imports]
    return {
        "stack_canary": not _CANARIES.isdisjoint(names),
        "fortified_imports": sum(1 for name in names if name.endswith("_chk")),
    }
