"""What of a program's output reaches a terminal, whatever pieces it comes in."""

import contextlib
import os
import pty
import re
import select
import tempfile
import threading
import time
import tty

import pytest
from hypothesis import given
from hypothesis import strategies as st

from binsafe.sandbox.relaying import Relay
from binsafe.sandbox.terminal import TerminalFilter

DROPPED = {
    "clipboard": b"\x1b]52;c;AAAA\x07",
    "keys by a device control string": b"\x1bP1;1|17/41\x1b\\",
    "screen's title": b"\x1bkroot\x1b\\",
    "where is the cursor": b"\x1b[6n",
    "what are you": b"\x1b[c",
    "what are you, second": b"\x1b[>c",
    "what are you, old": b"\x1bZ",
    "who are you": b"\x05",
    "reset": b"\x1bc",
    "print": b"\x1b[5i",
    "report the title": b"\x1b[21t",
    "lock the keyboard": b"\x1b[2h",
    "what Enter types": b"\x1b[20h",
    "132 columns": b"\x1b[?3h",
    "keys as Windows has them": b"\x1b[?9001h",
    "the last character a million times": b"\x1b[1000000b",
    "a sequence in eight bits": b"\x9b",
    "a string in eight bits": b"\x9d",
    "the same in UTF-8": b"\xc2\x9b",
    "shift out": b"\x0e",
}
KEPT = {
    "colours": b"\x1b[1;31mred\x1b[0m",
    "movements": b"\x1b[2A\x1b[10;20H\x1b[K",
    "controls of text": b"a\tb\r\nc\x08\x07",
    "UTF-8": "žluťoučký 日本 🐎 ُ".encode(),
    "Latin-1": b"caf\xe9 \xa0",
    "a character repeated": b"-\x1b[79b",
    "the screen of an editor": b"\x1b[?1049h\x1b[?25lx\x1b[?25h\x1b[?1049l",
}


def cleaned(data: bytes, size: int) -> bytes:
    stream = TerminalFilter()
    pieces = [data[at : at + size] for at in range(0, len(data), size)]
    return b"".join(map(stream.clean, pieces)) + stream.end()


@pytest.mark.parametrize("size", [1, 2, 3, 1000])
@pytest.mark.parametrize("what", DROPPED)
def test_a_terminal_does_not_get(what: str, size: int):
    assert cleaned(b"before" + DROPPED[what] + b"\x07after", size).replace(b"\x07", b"") == b"beforeafter"


@pytest.mark.parametrize("size", [1, 2, 3, 1000])
@pytest.mark.parametrize("what", KEPT)
def test_a_terminal_gets(what: str, size: int):
    assert cleaned(KEPT[what], size) == KEPT[what]


PIECES = [b"\x1b", b"[", b"]", b"?", b"0", b"6", b"n", b"h", b"\x07", b"\\", b"a"]


@given(st.lists(st.sampled_from(PIECES) | st.binary(max_size=3)))
def test_no_control_character_gets_through_in_any_disguise(pieces: list[bytes]):
    """Neither as UTF-8 (surrogates: bytes that are none), nor in more bytes than it needs; nor do the pieces matter."""
    stream = TerminalFilter()
    out = b"".join(map(stream.clean, pieces)) + stream.end()
    assert out == cleaned(b"".join(pieces), 1000)
    assert not [c for c in out.decode("utf-8", "surrogateescape") if "\x80" <= c < "\xa0" or "\udc80" <= c < "\udca0"]
    assert b"\x1b]" not in out
    assert b"\x1b[6n" not in out


@pytest.mark.parametrize(
    ("left", "undone"),
    [
        (b"\x1b[?1003h", b"\x1b[?1003l"),
        (b"\x1b[?1000;1006h\x1b[?1006l", b"\x1b[?1000l"),
        (b"\x1b[?25l", b"\x1b[?25h"),
        (b"\x1b[?1049h\x1b[4h", b"\x1b[?1049l\x1b[4l"),
        (b"\x1b[31m", b"\x1b[m"),
        (b"\x1b[2;5r", b"\x1b7\x1b[r\x1b8"),
        (b"\x1b(0\x1b=", b"\x1b(B\x1b>"),
        (b"\x1b[?7l\x1b[?7h\x1b[31m\x1b[m\x1b(0\x1b(B\x1b=\x1b>", b""),
    ],
)
def test_what_a_program_leaves_behind_is_undone(left: bytes, undone: bytes):
    """Mouse and focus reports would be typed into the shell that reads next."""
    stream = TerminalFilter()
    stream.clean(left)
    assert stream.end() == undone


def test_what_was_cut_is_told_at_the_end():
    assert cleaned(b"caf\xe9", 1000) == b"caf\xe9"
    assert cleaned(b"x\x1b]0;never ended", 1000) == b"x"


def test_much_at_once_costs_no_more_than_the_same_in_pieces():
    """The rest of what came at once was copied for each sequence: 64 KB of escapes took half a second."""
    data = b"\x1b[m\x1b]x\x07" * 50_000
    costs = []
    for size in (1 << 10, len(data)):
        began = time.process_time()
        cleaned(data, size)
        costs.append(time.process_time() - began)
    assert costs[1] < 4 * costs[0]


def test_standard_error_does_not_end_what_standard_output_has_begun():
    """A slow terminal that does not block takes a part of what is written, which may end in the midst of a sequence."""
    master, terminal = pty.openpty()
    tty.setraw(terminal)
    os.set_blocking(terminal, False)
    relay = Relay((False, False, False))
    writers = []
    with contextlib.ExitStack() as pipes:
        for said in (b"\x1b[m", b"]2;mine\x07"):
            source = pipes.enter_context(tempfile.TemporaryFile(buffering=0))
            source.write(said * (1_000_000 // len(said)))
            source.seek(0)
            arguments = os.dup(source.fileno()), terminal
            writers.append(threading.Thread(target=relay._output, args=arguments, daemon=True))
            writers[-1].start()
        shown = b""
        while any(writer.is_alive() for writer in writers) or select.select([master], [], [], 0.1)[0]:
            if select.select([master], [], [], 0.1)[0]:
                shown += os.read(master, 4096)
    assert len(shown) > 1_999_980
    assert re.fullmatch(rb"(?:\x1b\[m|\]2;mine\x07)*", shown)
    os.close(master)
    os.close(terminal)
