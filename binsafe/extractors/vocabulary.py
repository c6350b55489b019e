"""Words for what names mean: the shape of the tables in networknames and capabilitynames."""

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Generic, TypeVar

import msgspec

K = TypeVar("K", bound=str)


class Vocabulary(msgspec.Struct, Generic[K], frozen=True, kw_only=True, eq=False):
    """What a name says that a program can do, by where the name is met.

    ``imports`` are spelt as in C (see :func:`binsafe.extractors.names.plain_name`); ``functions`` are Go's, as its
    own table spells them; ``calls`` are system calls; ``managed`` are .NET's: a member with its type and namespace, or
    the beginning of such a name that ends with a dot. ``texts`` prove nothing and are told apart for that.
    """

    imports: Mapping[str, K]
    functions: Mapping[str, K] = MappingProxyType({})
    calls: Mapping[str, K] = MappingProxyType({})
    managed: Mapping[str, K] = MappingProxyType({})
    texts: Mapping[bytes, K] = MappingProxyType({})

    def of_member(self, name: str) -> K | None:
        """What a member of a .NET type means: its own entry, else that of the longest beginning."""
        while name:
            if name in self.managed:
                return self.managed[name]
            shorter = name.rstrip(".").rpartition(".")
            name = shorter[0] + shorter[1]
        return None


def table(kinds: Iterable[K], **names: str) -> Mapping[str, K]:
    """Name -> kind, from the names of each kind (``-`` written as ``_``) separated by blanks."""
    return MappingProxyType({name: kind for kind in kinds for name in names.get(kind.replace("-", "_"), "").split()})
