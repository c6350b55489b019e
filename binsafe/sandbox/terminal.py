"""What a program that nobody trusts may send to a terminal: text, colours and cursor movements.

A terminal obeys its output. Control strings set its title, write its clipboard (OSC 52) or load its keys (DCS), and
queries make it type an answer into whatever reads next. ECMA-48 names the forms; xterm's "ctlseqs" the uses.
"""

import re
from typing import Final

_STRING_START: Final = re.compile(rb"\x1b[PX^_\]k]|\xc2[\x90\x98\x9d\x9e\x9f]")
"""DCS, SOS, PM, APC, OSC and screen's title, seven bits or eight."""
_STRING_END: Final = re.compile(rb"\x07|\x18|\x1a|\x1b\\|\xc2\x9c|\x1b(?=[^\\])")
_SEQUENCE: Final = re.compile(rb"\x1b(?:\[[0-?]*[ -/]*[@-~]|[ -/]*[0-OQ-WYZ\\`-jl-~])")
_HARMLESS: Final = re.compile(
    rb"\x1b(?:\[[0-9;:]*[@A-HJ-MPSTXZ`a-gmr]|\[\?[0-9;]*[hl]|\[[0-9;]*[hl]|[()][0AB]|[78=>DEM])"
)
_CONTROL: Final = re.compile(rb"[\x00-\x06\x0e-\x1a\x1c-\x1f\x7f]|\xc2[\x80-\x9f]")
_MAX_SEQUENCE: Final = 256


class TerminalFilter:
    """Cleans a stream of output, whatever pieces it comes in."""

    def __init__(self) -> None:
        self._tail = b""
        self._in_string = False

    def clean(self, data: bytes) -> bytes:
        """The part of the stream so far that is complete and not yet returned, without what a terminal would obey."""
        data = self._tail + data
        self._tail = b""
        kept = []
        while data:
            if self._in_string:
                end = _STRING_END.search(data)
                if end is None:
                    self._tail = data[-1:] if data[-1:] in (b"\x1b", b"\xc2") else b""
                    break
                self._in_string = False
                data = data[end.end() :] if len(end[0]) != 1 or end[0] != b"\x1b" else data[end.start() :]
                continue
            text, mark, data = self._split(data)
            kept.append(_CONTROL.sub(b"", text))
            if not mark:
                break
            data = self._sequence(mark + data, kept)
        return b"".join(kept)

    def _split(self, data: bytes) -> tuple[bytes, bytes, bytes]:
        """Text, the byte that may begin something, the rest."""
        found = re.search(rb"\x1b|\xc2[\x90\x98\x9d\x9e\x9f]|\xc2$", data)
        if found is None:
            return data, b"", b""
        return data[: found.start()], data[found.start() : found.start() + 1], data[found.start() + 1 :]

    def _sequence(self, data: bytes, kept: list[bytes]) -> bytes:
        """Deal with what begins here; returns what follows it."""
        if string := _STRING_START.match(data):
            self._in_string = True
            return data[string.end() :]
        if sequence := _SEQUENCE.match(data):
            if _HARMLESS.fullmatch(sequence[0]):
                kept.append(sequence[0])
            return data[sequence.end() :]
        if len(data) < _MAX_SEQUENCE and re.fullmatch(rb"\xc2|\x1b(?:\[[0-?]*[ -/]*|[ -/]*)", data):
            self._tail = data  # more may follow
            return b""
        return data[1:]
