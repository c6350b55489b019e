"""What an untrusted program may send to a terminal: text, colours and cursor movements.

A terminal obeys its output. Control strings set its title, write its clipboard (OSC 52) or load its keys (DCS), and
queries make it type an answer into whatever reads next. So do some of its modes (the mouse, the focus), others lock the
keyboard or hide the cursor: a full-screen program needs a few of them, and they are undone when it ends.
ECMA-48 names the forms; xterm's "ctlseqs" the uses.
"""

import re
from typing import Final

_BEGINNING: Final = re.compile(rb"\x1b|\xc2[\x90\x98\x9d\x9e\x9f]|\xc2\Z")
_STRING_START: Final = re.compile(rb"\x1b[PX^_\]k]|\xc2[\x90\x98\x9d\x9e\x9f]")
"""DCS, SOS, PM, APC, OSC and screen's title, seven bits or eight."""
_STRING_END: Final = re.compile(rb"\x07|\x18|\x1a|\x1b\\|\xc2\x9c|\x1b(?=[^\\])")
_SEQUENCE: Final = re.compile(rb"\x1b(?:\[[0-?]*[ -/]*[@-~]|[ -/]*[0-OQ-WYZ\\`-jl-~])")
_UNFINISHED: Final = re.compile(rb"\xc2|\x1b(?:\[[0-?]*[ -/]*|[ -/]*)")
_HARMLESS: Final = re.compile(
    rb"\x1b(?:\[[0-9;:]*[@A-HJ-MPSTXZ`adefgmr]|\[[0-9]{0,3}b|\[\??[0-9;]*[hl]|[()][0AB]|[78=>DEM])"
)
_MODES: Final = re.compile(rb"\x1b\[(\??)([0-9;]*)([hl])")
_ALLOWED_MODES: Final = frozenset(
    {
        b"4",  # insertion; not 2, which locks the keyboard, and not 20, which changes what Enter types
        *(b"?%d" % mode for mode in (1, 5, 6, 7, 12, 25, 47, 1047, 1048, 1049, 2004, 2026)),
        *(b"?%d" % mode for mode in (1000, 1002, 1003, 1004, 1005, 1006, 1007, 1015, 1016)),
    }
)
_WHOLE_SCREEN: Final = frozenset({b"?47", b"?1047", b"?1049"})
"""The other screen, on which full-screen programs draw."""
_ON_BY_ITSELF: Final = frozenset({b"?7", b"?25"})
"""Wrapping at the end of a line, and the cursor: all other modes are off where nobody sets them."""
_PLAIN: Final = re.compile(rb"\x1b(?:\[0?([mr])|([()])B|(>))")
_CHANGING: Final = re.compile(rb"\x1b(?:\[[0-9;:]*([mr])|([()])[0A]|(=))")
_UNDONE_BY: Final = {
    b"m": b"\x1b[m",
    b"r": b"\x1b7\x1b[r\x1b8",
    b"(": b"\x1b(B",
    b")": b"\x1b)B",
    b"=": b"\x1b>",
}
"""What takes back colours, a region that scrolls (it moves the cursor), characters for lines, the keypad's own keys."""
_TEXT: Final = re.compile(
    rb"(?:[\x07-\x0d\x20-\x7e]+|\xc2[\xa0-\xbf]|[\xc3-\xdf][\x80-\xbf]|\xe0[\xa0-\xbf][\x80-\xbf]"
    rb"|[\xe1-\xec\xee\xef][\x80-\xbf]{2}|\xed[\x80-\x9f][\x80-\xbf]|\xf0[\x90-\xbf][\x80-\xbf]{2}"
    rb"|[\xf1-\xf3][\x80-\xbf]{3}|\xf4[\x80-\x8f][\x80-\xbf]{2}|\xc2(?![\x80-\x9f])|[\xa0-\xc1\xc3-\xff])+"
)
"""Characters of UTF-8 that are no controls, and what is no UTF-8 but for the bytes that are controls themselves (0x9b
begins a sequence where a terminal takes its input byte by byte). No possessive quantifiers: repeated groups of Python
before 3.11.5 forget with them what a look ahead forbids."""
_CUT_CHARACTER: Final = re.compile(rb"(?:[\xc3-\xdf]|[\xe0-\xef][\x80-\xbf]?|[\xf0-\xf4][\x80-\xbf]{0,2})\Z")
_MAX_SEQUENCE: Final = 256


class TerminalFilter:
    """Cleans a stream of output, whatever pieces it comes in."""

    def __init__(self) -> None:
        self._tail = b""
        self._in_string = False
        self._modes: dict[bytes, bytes] = {}
        """Modes that are set (h) or reset (l) now, and by themselves are not."""
        self._changed: set[bytes] = set()
        """What else is not now as it was."""

    @property
    def takes_the_screen(self) -> bool:
        """Whether a picture fills it now, which a line of anybody else's would spoil."""
        return not _WHOLE_SCREEN.isdisjoint(self._modes)

    def clean(self, data: bytes) -> bytes:
        """The part of the stream so far that is complete and not yet returned, without what a terminal would obey."""
        data = self._tail + data
        self._tail = b""
        kept: list[bytes] = []
        at = 0
        while at < len(data):
            if self._in_string:
                end = _STRING_END.search(data, at)
                if end is None:
                    self._tail = data[-1:] if data[-1:] in (b"\x1b", b"\xc2") else b""
                    break
                self._in_string = False
                at = end.start() if end[0] == b"\x1b" else end.end()
                continue
            text, at = self._text(data, at)
            kept += _TEXT.findall(text)
            if at < len(data):
                at = self._sequence(data, at, kept)
        return b"".join(kept)

    def end(self) -> bytes:
        """The rest of a stream that has ended, and what puts the terminal back."""
        rest = [] if self._in_string else _TEXT.findall(self._tail)
        modes = (b"\x1b[%s%s" % (mode, b"l" if final == b"h" else b"h") for mode, final in self._modes.items())
        return b"".join((*rest, *modes, *(_UNDONE_BY[what] for what in sorted(self._changed))))

    def _text(self, data: bytes, at: int) -> tuple[bytes, int]:
        """Text, and where something else may begin; the start of a character stays for the next time."""
        if found := _BEGINNING.search(data, at):
            return data[at : found.start()], found.start()
        if cut := _CUT_CHARACTER.search(data, at):
            self._tail = cut[0]
            return data[at : cut.start()], len(data)
        return data[at:], len(data)

    def _sequence(self, data: bytes, at: int, kept: list[bytes]) -> int:
        """Deal with what begins here; returns where what follows it begins."""
        if string := _STRING_START.match(data, at):
            self._in_string = True
            return string.end()
        if sequence := _SEQUENCE.match(data, at):
            if _HARMLESS.fullmatch(sequence[0]):
                kept.append(self._noted(sequence[0]))
            return sequence.end()
        if len(data) - at < _MAX_SEQUENCE and _UNFINISHED.fullmatch(data, at):
            self._tail = data[at:]  # more may follow
            return len(data)
        return at + 1

    def _noted(self, sequence: bytes) -> bytes:
        """The sequence, of modes those that are allowed; what it leaves behind is remembered."""
        if plain := _PLAIN.fullmatch(sequence):
            self._changed.discard(plain[1] or plain[2] or b"=")
        elif changing := _CHANGING.fullmatch(sequence):
            self._changed.add(changing[1] or changing[2] or changing[3])
        modes = _MODES.fullmatch(sequence)
        if modes is None:
            return sequence
        private, numbers, final = modes.groups()
        named = (private + number.lstrip(b"0") for number in numbers.split(b";"))
        allowed = [mode for mode in named if mode in _ALLOWED_MODES]
        for mode in allowed:
            if (final == b"h") == (mode in _ON_BY_ITSELF):
                self._modes.pop(mode, None)
            else:
                self._modes[mode] = final
        return b"".join(b"\x1b[%s%s" % (mode, final) for mode in allowed)
