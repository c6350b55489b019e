"""Capstone's library without its Python package.

The package loads the tables of twenty processors, which takes longer than the analysis of a small program. The
declarations are those of ``capstone.h`` of version 5. Where the wheel is laid out in another way than we know, the
package finds its library.
"""

import ctypes
import sys
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from binsafe.syscalls.decoding.instructions import JUNK, RECORD_SIZE, Instructions

_MAJOR = 5
_NAMES = {"linux": "libcapstone.so", "darwin": "libcapstone.dylib", "win32": "capstone.dll"}
_OPT_DETAIL, _OPT_SKIPDATA, _ON = 2, 5, 3
_Registers = ctypes.c_uint16 * 64
"""``cs_regs``."""
_memory_at = ctypes.PYFUNCTYPE(ctypes.py_object, ctypes.c_void_p, ctypes.c_ssize_t, ctypes.c_int)(
    ("PyMemoryView_FromMemory", ctypes.pythonapi)
)
"""Address, size, and 0x100 to read -> the memory there. A type of array for each size takes longer than to decode."""
_TO_READ = 0x100


class Engine:
    """One ``csh``. Not for two threads at once."""

    def __init__(self, arch: int, mode: int, *, detailed: bool) -> None:
        """With details it tells registers; without them it passes over what decodes to nothing, as ``.byte``."""
        self._library = load()
        self._handle = _opened(arch, mode)
        self._library.cs_option(self._handle, _OPT_DETAIL if detailed else _OPT_SKIPDATA, _ON)
        self._names = _names(arch, mode)

    def __del__(self) -> None:
        if self._handle:
            self._library.cs_close(ctypes.byref(self._handle))

    def instructions(self, code: bytes, address: int, most: int) -> Instructions:
        """All instructions, ``most`` of them."""
        found = ctypes.c_void_p()
        count = self._library.cs_disasm(self._handle, code, len(code), address, most, ctypes.byref(found))
        if not count or found.value is None:
            return Instructions(memoryview(b""), self._names)
        try:
            return Instructions(_memory_at(found, count * RECORD_SIZE, _TO_READ), self._names)
        finally:
            self._library.cs_free(found, count)

    def written(self, code: bytes, address: int) -> frozenset[str] | None:
        """Names of the registers that the first instruction writes, implied ones too; None if it is none."""
        found = ctypes.c_void_p()
        if not self._library.cs_disasm(self._handle, code, len(code), address, 1, ctypes.byref(found)):
            return None
        try:
            read, written = _Registers(), _Registers()
            reads, writes = ctypes.c_uint8(), ctypes.c_uint8()
            counts = ctypes.byref(reads), ctypes.byref(writes)
            self._library.cs_regs_access(self._handle, found, read, counts[0], written, counts[1])
            return frozenset(self._library.cs_reg_name(self._handle, n).decode() for n in written[: writes.value])
        finally:
            self._library.cs_free(found, 1)


class _Names(dict[int, str]):
    """Id of an instruction -> its name, asked for once."""

    def __init__(self, arch: int, mode: int) -> None:
        super().__init__({0: JUNK})
        self._library, self._handle = load(), _opened(arch, mode)

    def __missing__(self, kind: int) -> str:
        name = self._library.cs_insn_name(self._handle, kind)
        return self.setdefault(kind, "" if name is None else name.decode())


@cache
def _names(arch: int, mode: int) -> _Names:
    """A processor's, the same for all files."""
    return _Names(arch, mode)


def _opened(arch: int, mode: int) -> ctypes.c_size_t:
    handle = ctypes.c_size_t()
    if load().cs_open(arch, mode, ctypes.byref(handle)):
        raise RuntimeError(f"capstone does not know processor {arch} in mode {mode}")
    return handle


@cache
def load() -> Any:
    """The library, once."""
    library = ctypes.CDLL(_path()) if Path(_path()).is_file() else _packages()
    size, pointer = ctypes.c_size_t, ctypes.c_void_p
    if library.cs_version(None, None) >> 8 != _MAJOR:
        raise ImportError(f"capstone {_MAJOR} is needed")
    library.cs_open.argtypes = (ctypes.c_uint, ctypes.c_uint, pointer)
    library.cs_option.argtypes = (size, ctypes.c_int, size)
    library.cs_disasm.argtypes = (size, ctypes.c_char_p, size, ctypes.c_uint64, size, pointer)
    library.cs_disasm.restype = size
    library.cs_free.argtypes = (pointer, size)
    library.cs_regs_access.argtypes = (size, pointer, pointer, pointer, pointer, pointer)
    library.cs_insn_name.argtypes = (size, ctypes.c_uint)
    library.cs_insn_name.restype = ctypes.c_char_p
    library.cs_reg_name.argtypes = (size, ctypes.c_uint)
    library.cs_reg_name.restype = ctypes.c_char_p
    return library


def _path() -> str:
    found = find_spec("capstone")
    folder = next(iter(found.submodule_search_locations or ()), "") if found is not None else ""
    return str(Path(folder, "lib", _NAMES.get(sys.platform, "")))


def _packages() -> Any:
    import capstone  # the slow way

    return ctypes.CDLL(capstone._cs._name)  # noqa: SLF001 - it has no public name
