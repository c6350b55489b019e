"""A count of dyld's binding opcodes: a few bytes can ask for millions of bindings, which nobody would survive."""

from binsafe.formats.structure import malformed

_MAX_BINDINGS = 500_000
"""The most met in a real program is about 100,000."""
_SYMBOL_NAME, _REPEATED, _THREADED = 0x40, 0xC0, 0xD0
_ONE_NUMBER = (0x20, 0x60, 0x70, 0x80, 0xA0)
"""Opcodes with one LEB128 number behind them: library ordinal, addend, offset, two steps."""
_BINDS = (0x90, 0xA0, 0xB0)


def refuse_floods(opcodes: memoryview) -> None:
    """Refuse opcodes (``BIND_OPCODE_*`` of ``mach-o/loader.h``) that make more bindings than any program has.

    Raises:
        NotAnalysable: they do.
    """
    code, at, bindings = bytes(opcodes), 0, 0
    while at < len(code) and bindings <= _MAX_BINDINGS:
        opcode, immediate = code[at] & 0xF0, code[at] & 0x0F
        at += 1
        if opcode == _SYMBOL_NAME:
            end = code.find(b"\0", at)
            at = end + 1 if end >= 0 else len(code)
        elif opcode in _ONE_NUMBER or (opcode == _THREADED and immediate == 0):
            _, at = _uleb(code, at)
        elif opcode == _REPEATED:
            count, at = _uleb(code, at)
            _, at = _uleb(code, at)
            bindings += count
        bindings += opcode in _BINDS
    if bindings > _MAX_BINDINGS:
        raise malformed(f"its opcodes ask for more than {_MAX_BINDINGS:,} bindings")


def _uleb(code: bytes, at: int) -> tuple[int, int]:
    """An unsigned LEB128 number, and the place behind it."""
    value = shift = 0
    while at < len(code):
        byte = code[at]
        at += 1
        value |= (byte & 0x7F) << min(shift, 64)
        if byte < 0x80:  # noqa: PLR2004 - the last byte has its top bit clear
            break
        shift += 7
    return value, at
