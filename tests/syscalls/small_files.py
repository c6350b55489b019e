"""Summaries of small files, written as the names of their functions and what leads from one to another."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType

import msgspec
import numpy as np

from binsafe.syscalls.linking.exports import Export, Exports
from binsafe.syscalls.linking.summary import Call, Name, Summary, Text
from binsafe.syscalls.tables import numbers

NUMBERS = numbers("x86_64")


def library(
    edges: Sequence[tuple[int, int]] = (),
    *,
    functions: int = 3,
    imports: tuple[Name, ...] = (),
    exports: tuple[Export, ...] = (),
    roots: tuple[int, ...] = (),
    fatal: tuple[int, ...] = (),
) -> Summary:
    """A file whose function N makes the call N; nodes behind the functions are the imports."""
    return Summary(
        arch="x86_64",
        functions=functions,
        starts=np.arange(0x1000, 0x1000 + 16 * functions, 16).astype(np.int64).tobytes(),
        firsts=np.searchsorted(sorted(a for a, _ in edges), np.arange(functions + len(imports) + 1))
        .astype(np.int32)
        .tobytes(),
        targets=np.array([b for _, b in sorted(edges)], np.int32).tobytes(),
        entry=-1,
        mapped=True,
        roots=np.array(roots, np.int32).tobytes(),
        imports=imports,
        exports=Exports.of(exports),
        calls=tuple(Call(n, n, 0x1000 + 16 * n) for n in range(functions)),
        gaps=(),
        wrappers=(),
        passed=(),
        texts=(),
        fatal=fatal,
    )


def file(
    functions: str,
    *edges: str,
    imports: str = "",
    calls: Mapping[str, str] = MappingProxyType({}),
    texts: Mapping[str, str] = MappingProxyType({}),
    size: int = 64,
    soname: str = "",
) -> Summary:
    """A file with these functions, of which those with a ``_`` in front are exported under the rest of their name."""
    names = functions.split()
    imported = imports.split()
    nodes = {name: at for at, name in enumerate([*names, *imported])}
    pairs = [(nodes[source], nodes[target]) for edge in edges for source, target in [edge.split(">")]]
    plain = library(
        pairs,
        functions=len(names),
        imports=tuple(Name(name, None, False) for name in imported),
        exports=tuple(
            Export(name[1:], None, True, 0x1000 + size * at, at, at + 1)
            for at, name in enumerate(names)
            if name.startswith("_")
        ),
    )
    return msgspec.structs.replace(
        plain,
        soname=soname,
        starts=np.arange(0x1000, 0x1000 + size * len(names), size).astype(np.int64).tobytes(),
        calls=tuple(Call(nodes[name], NUMBERS[call], 0x1000) for name, made in calls.items() for call in made.split()),
        texts=tuple(Text(nodes[name], text) for name, text in texts.items()),
    )
