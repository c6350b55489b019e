"""Numbers and pointers as the unwinder's tables write them: ``DW_EH_PE_*`` (Linux Standard Base Core 5.0, 10.5)."""

OMITTED = 0xFF
"""In place of an encoding: there is no pointer."""
_FORM, _RELATION, _INDIRECT = 0x0F, 0x70, 0x80
_SIZES = {0x00: 8, 0x02: 2, 0x03: 4, 0x04: 8, 0x0A: 2, 0x0B: 4, 0x0C: 8}
"""``absptr``, ``udata*``, ``sdata*`` -> bytes."""
_UNSIGNED, _SIGNED = 0x01, 0x09
"""``uleb128``, ``sleb128``."""
_SIGNS = 0x08
_ABSOLUTE, _RELATIVE = 0x00, 0x10
"""``pcrel`` counts from where the pointer itself stands."""
_LONGEST = 10
"""Bytes of variable length that make 64 bits."""
_ADDRESSES = (1 << 64) - 1


class Cursor:
    """Reads one number after the other; what is not as expected raises a LookupError or a ValueError."""

    def __init__(self, data: bytes, address: int, at: int = 0) -> None:
        """Read ``data``, which stands at an address of memory, from its byte ``at`` on."""
        self._data = data
        self._address = address
        self.at = at

    def byte(self) -> int:
        """One byte, without a sign."""
        value = self._data[self.at]
        self.at += 1
        return value

    def length(self) -> int:
        """A number of variable length without a sign (DWARF 4, section 7.6)."""
        return self._variable()[0]

    def pointer(self, encoding: int) -> int:
        """A pointer, or 0 for none.

        One that is to be read from elsewhere, or counts from what only the unwinder knows, is a ValueError.
        """
        place, form, relation = self._address + self.at, encoding & _FORM, encoding & _RELATION
        if encoding & _INDIRECT or relation not in {_ABSOLUTE, _RELATIVE}:
            raise ValueError("a pointer in another form")
        if form in {_UNSIGNED, _SIGNED}:
            value, bits = self._variable()
            if form == _SIGNED and value >> (bits - 1):
                value -= 1 << bits
        elif (size := _SIZES.get(form)) is not None and self.at + size <= len(self._data):
            value = int.from_bytes(self._data[self.at : self.at + size], "little", signed=bool(form & _SIGNS))
            self.at += size
        else:
            raise ValueError("a pointer of another size, or one that is cut off")
        return value + place & _ADDRESSES if value and relation == _RELATIVE else value & _ADDRESSES

    def _variable(self) -> tuple[int, int]:
        """A number of variable length, and of how many bits it is."""
        value = 0
        for bits in range(0, 7 * _LONGEST, 7):
            byte = self.byte()
            value |= (byte & 0x7F) << bits
            if not byte >> 7:
                return value, bits + 7
        raise ValueError("a number without an end")
