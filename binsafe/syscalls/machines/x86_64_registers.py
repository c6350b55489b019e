"""x86-64: the names of general registers (SDM volume 1, 3.4.1)."""

from types import MappingProxyType


def _registers() -> dict[str, tuple[str, int]]:
    names: dict[str, tuple[str, int]] = {}
    for letter in "abcd":
        full = f"r{letter}x"
        names |= {full: (full, 64), f"e{letter}x": (full, 32), f"{letter}x": (full, 16), f"{letter}l": (full, 8)}
        names[f"{letter}h"] = (full, 0)
    for stem in ("si", "di", "bp", "sp"):
        names |= {f"r{stem}": (f"r{stem}", 64), f"e{stem}": (f"r{stem}", 32), stem: (f"r{stem}", 16)}
        names[f"{stem}l"] = (f"r{stem}", 8)
    for number in range(8, 16):
        full = f"r{number}"
        names |= {full: (full, 64), f"{full}d": (full, 32), f"{full}w": (full, 16), f"{full}b": (full, 8)}
    return names


_NONE = ("", 0)
REGISTERS = MappingProxyType(_registers())
"""Every name -> (full name, bits); ``ah``, ``bh``, ``ch`` and ``dh``, which are the second byte, count 0 bits."""


def general(name: str) -> tuple[str, int]:
    """The full name of a general register and how many of its bits a name stands for; ("", 0) for what is none."""
    return REGISTERS.get(name, _NONE)
