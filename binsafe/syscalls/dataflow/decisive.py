"""Which arguments of which calls are looked at, and through which functions of the C library they are passed."""

from collections.abc import Mapping
from types import MappingProxyType

from binsafe.syscalls.tables import numbers

DECISIVE: Mapping[str, tuple[int, ...]] = MappingProxyType(
    {
        "socket": (0, 1, 2),
        "socketpair": (0, 1, 2),
        "getsockopt": (1, 2),
        "setsockopt": (1, 2),
        "clone": (0,),
        "unshare": (0,),
        "setns": (1,),
        "prctl": (0,),
        "arch_prctl": (0,),
        "personality": (0,),
        "ioctl": (1,),
        "fcntl": (1,),
        "mmap": (2,),
        "mprotect": (2,),
        "pkey_mprotect": (2,),
        "madvise": (2,),
    }
)
"""Call -> positions of the arguments that say which of the many things it stands for is done.

Of each the kernel looks at 32 bits, or at no others where it takes a long (``prctl``, ``mmap``, ``clone``).
"""

_OF_THE_LOADER = frozenset({"mmap", "mprotect", "pkey_mprotect"})
"""Of a dynamic program nothing can be said of these: its loader maps and protects what files ask for."""

FUNCTIONS: Mapping[str, tuple[int, ...]] = MappingProxyType(
    {
        **{name: DECISIVE[name] for name in ("socket", "socketpair", "getsockopt", "setsockopt", "unshare", "setns")},
        **{name: DECISIVE[name] for name in ("prctl", "personality", "ioctl", "fcntl", "madvise")},
        "arch_prctl": (0,),
        "clone": (2,),
        "fcntl64": (1,),
    }
)
"""Functions of the C library -> their arguments that become one of those: what is passed to them is looked at in every
file. For what is passed to other files' functions nothing is said."""

BITS = 0xFFFF_FFFF


def decisive(arch: str, *, dynamic: bool) -> Mapping[int, tuple[int, ...]]:
    """Number -> positions, see `DECISIVE`; of those alone that can be proved of a dynamic or static program."""
    known = numbers(arch)
    left_out = _OF_THE_LOADER if dynamic else frozenset[str]()
    return {known[name]: DECISIVE[name] for name in DECISIVE.keys() - left_out if name in known}
