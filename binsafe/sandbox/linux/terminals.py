"""The modes of the program's terminal (ioctl_tty(2)): it sees what the user's has, and what it sets is done there.

Neither is left to the kernel: of its own, plain terminal the program would see that nothing is shown, and take that for
the user's wish.
"""

import errno
import os
import struct
import tty
from typing import Final

from binsafe.model import Condition, Policy
from binsafe.renderers.narrowing import Tests
from binsafe.sandbox.linux.notifications import Call, Listener
from binsafe.sandbox.pseudoterminal import Attributes, PseudoTerminal

_ATTRIBUTES: Final = struct.Struct("=4IB19s")
"""``struct termios`` of asm-generic/termbits.h: four sets of flags, the discipline, the characters."""

_SPEEDS: Final = struct.Struct("=2I")
"""What ``struct termios2`` has behind that."""

_GET: Final = {0x5401: b"", 0x802C_542A: _SPEEDS.pack(38400, 38400)}
"""TCGETS and TCGETS2, and what the latter says more."""

_SET: Final = frozenset({0x5402, 0x5403, 0x5404, 0x402C_542B, 0x402C_542C, 0x402C_542D})
"""TCSETS, TCSETSW, TCSETSF, and the same of termios2."""

_NOTHING: Final = frozenset({0x5409, 0x540A, 0x540B, 0x5414})
"""TCSBRK, TCXONC, TCFLSH, TIOCSWINSZ, as shells make them: all is written at once, and the size is the user's own."""


def forms(policy: Policy) -> dict[str, tuple[Tests, ...]]:
    """The forms of ioctl that need not come by, where the program has such a terminal."""
    tests = [test for grant in policy.of("syscall") if grant.object == "ioctl" for test in grant.when]
    others = {value for test in tests if test.argument == 1 for value in test.values}.difference(_GET)
    return {"ioctl": ((Condition(argument=1, values=tuple(sorted(others))),),)}


def is_about_modes(call: Call) -> bool:
    """Whether an ioctl reads or sets a terminal's modes."""
    return any(call.arguments[1] in requests for requests in (_GET, _SET, _NOTHING))


def answer(listener: Listener, call: Call, terminal: PseudoTerminal) -> bool:
    """Carry it out on ``terminal``; False where the descriptor is another, which says nothing of what may be done."""
    try:
        itself = os.stat(f"/proc/{call.pid}/fd/{call.arguments[0] & 0xFFFF_FFFF}")
    except OSError:  # it has none of that number
        return False
    listener.check(call)
    if (itself.st_dev, itself.st_rdev) != terminal.identity:
        return False
    request, address = call.arguments[1:3]
    if request in _GET:
        listener.write(call, address, _packed(terminal.seen) + _GET[request])
    elif request in _SET:
        terminal.change(_unpacked(listener.read(call, address, _ATTRIBUTES.size), terminal.seen))
    listener.finish(call)
    return True


def _packed(attributes: Attributes) -> bytes:
    flags = attributes[tty.IFLAG : tty.LFLAG + 1]
    characters = bytes(each if isinstance(each, int) else each[0] for each in attributes[tty.CC])
    return _ATTRIBUTES.pack(*flags, 0, characters[:19])


def _unpacked(raw: bytes, before: Attributes) -> Attributes:
    """Flags and characters as the program wants them; the rest stays as it was."""
    if len(raw) < _ATTRIBUTES.size:
        raise OSError(errno.EFAULT, "the argument points nowhere")
    iflag, oflag, _, lflag, _, characters = _ATTRIBUTES.unpack(raw)
    kept = before[tty.CC][len(characters) :]
    return [iflag, oflag, before[tty.CFLAG], lflag, *before[tty.ISPEED : tty.CC], [*_each(characters), *kept]]


def _each(characters: bytes) -> list[bytes]:
    return [bytes([each]) for each in characters]
