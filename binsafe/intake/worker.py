"""The child process that takes orders over a socket until its parent has no more, and has each parsed by another one.

It stays alive between orders, because loading the parsers takes longer than parsing most files. It parses libraries
only, and keeps what it finds out about them for all programs. What nobody vouches for is parsed by a child of its own
(``parsing``), which begins where it is and asks it about libraries (``asking``).

Time is limited for each order, memory for each process; one that has grown is replaced.
"""

import gc
import os
import socket
import sys
from functools import partial
from typing import TYPE_CHECKING

import msgspec

from binsafe.intake import bounds
from binsafe.intake.forking import Forked
from binsafe.intake.messages import Calls, Closed, Ending, Frame, Kind, Order, TooLarge, receive, send
from binsafe.intake.parsing import MAX_ORDER_BYTES, carry_out, parse
from binsafe.intake.summaries import Own
from binsafe.limits import MAX_REPORT_BYTES

if TYPE_CHECKING:
    from binsafe.model import Syscalls

_OBJECTS_BETWEEN_COLLECTIONS = 200_000
"""Nearly all that is made here stays until the answer: to look for cycles in it takes a tenth of the time."""
_LAST_WORDS_SECONDS = 5
_STDERR = 2
"""The descriptor, where a forked worker's last words go; ``sys.stderr`` is still whatever its parent had made of it."""


def main() -> None:
    """Carry out orders from the socket that is descriptor ``sys.argv[2]``; a status other than 0 says it broke."""
    serve(socket.socket(fileno=int(sys.argv[2])))


def serve(connection: socket.socket) -> None:
    """Carry out orders until there are no more."""
    bounds.limit_memory()
    gc.set_threshold(_OBJECTS_BETWEEN_COLLECTIONS)
    os.environ["OPENBLAS_NUM_THREADS"] = "1"  # numpy's linear algebra, never used here, starts its threads when loaded
    worker = _Worker(connection)
    with connection:
        try:
            while worker.carry_out(receive(connection, MAX_ORDER_BYTES)):
                pass
        except Closed:
            pass
        finally:
            worker.close()


class _Worker:
    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._parser: _Parser | None = None

    def close(self) -> None:
        """End the child that parses, if there is one."""
        if self._parser is not None:
            self._parser.close()
        self._parser = None

    def carry_out(self, frame: Frame) -> bool:
        """Answer an order; False where this process should not be given another one."""
        bounds.limit_time()
        try:
            answer = self._answer(frame)
        finally:
            os.close(frame.descriptor)
        grown = bounds.has_grown()
        last = grown and answer.kind is Kind.REPORT
        send(self._connection, Kind.LAST if last else answer.kind, answer.payload)
        return not grown

    def _answer(self, frame: Frame) -> Frame:
        order = msgspec.msgpack.decode(frame.payload, type=Order)
        if order.only_syscalls and order.kept is not None and (calls := _known(order)) is not None:
            return Frame(Kind.REPORT, msgspec.json.encode(Calls(calls=calls)))
        if sys.platform != "linux":  # what is loaded there does not outlive a fork
            from binsafe.intake.librarian import libraries  # noqa: PLC0415 - as below

            return Frame(
                Kind.REPORT, carry_out(order, os.dup(frame.descriptor), self._connection, partial(libraries, order))
            )
        if order.syscalls:
            self.close()  # something is kept of this one
        if self._parser is None:
            _load(order)
            self._parser = _Parser()
        try:
            answer = self._parser.answer(frame, order, self._connection)
        except _Broken as broken:
            self.close()
            return Frame(Kind.ENDED, msgspec.msgpack.encode(broken.ending))
        if answer.kind is Kind.LAST:
            self.close()
        return Frame(Kind.REPORT, answer.payload)


def _known(order: Order) -> "Syscalls | None":
    """The answer, where all that it takes was kept of the program, whose bytes are not looked at; else None."""
    from binsafe import syscalls  # noqa: PLC0415 - the parsers load under the limits, too
    from binsafe.intake.librarian import libraries  # noqa: PLC0415

    own = Own(order.kept)
    if own.needs is None:
        return None
    try:
        return syscalls.analyse_known(libraries(order, own.needs, own), explain=order.explain)
    except syscalls.NotKept:
        return None


def _load(order: Order) -> None:
    """Load what the child will need, and our own work, so that it is not loaded for each order again."""
    from binsafe.formats import elf  # noqa: F401, PLC0415 - as above
    from binsafe.intake import asking, librarian  # noqa: F401, PLC0415
    from binsafe.syscalls import engine  # noqa: F401, PLC0415

    if not order.only_syscalls:
        from binsafe import archives, bundles, inspection  # noqa: F401, PLC0415


class _Broken(Exception):
    def __init__(self, ending: Ending) -> None:
        super().__init__(ending.reason)
        self.ending = ending


class _Parser:
    """The child that parses, and how we speak with it."""

    def __init__(self) -> None:
        self._connection, theirs = socket.socketpair()
        with theirs:
            self._child = Forked(lambda: parse(theirs), keep=theirs.fileno(), said=_STDERR)

    def close(self) -> None:
        """End it; also when it is busy."""
        self._child.kill()
        self._child.wait()
        self._connection.close()

    def answer(self, frame: Frame, order: Order, connection: socket.socket) -> Frame:
        """Its answer to an order; what else it says is passed on to ``connection``.

        Raises:
            _Broken: it has gone, or says what it should not.
        """
        try:
            send(self._connection, Kind.ORDER, frame.payload, frame.descriptor)
            return self._heard(order, connection)
        except TooLarge:
            raise _Broken(Ending(None, f"the report has more than {MAX_REPORT_BYTES:,} bytes")) from None
        except (ValueError, msgspec.MsgspecError):  # not our child's words any more
            raise _Broken(Ending(None, "the parser answered with something that is no report")) from None
        except Closed:
            raise _Broken(Ending(self._child.wait(_LAST_WORDS_SECONDS))) from None

    def _heard(self, order: Order, connection: socket.socket) -> Frame:
        from binsafe.intake.librarian import Librarian  # noqa: PLC0415 - as above

        librarian = Librarian(order)
        while True:
            frame = receive(self._connection, MAX_REPORT_BYTES)
            if frame.descriptor >= 0:
                os.close(frame.descriptor)
                raise ValueError("a descriptor that nobody asked for")
            if frame.kind is Kind.ASK:
                send(self._connection, Kind.ANSWER, librarian.answer(frame.payload))
            elif frame.kind in {Kind.MEMBER, Kind.KEEP}:
                send(connection, frame.kind, frame.payload)
            elif frame.kind in {Kind.REPORT, Kind.LAST}:
                return frame
            else:
                raise ValueError(f"{frame.kind} is nothing that it may say")
