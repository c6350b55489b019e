"""The child process that takes orders over a socket until its parent has no more, and has each parsed by another one.

It stays alive between orders, because loading the parsers takes longer than parsing most files. It parses nothing
itself: each file, and each library of which something is not known yet, has a confined child of its own (`child`) that
begins where it is; only files of the system share one (`owners`). It finds the libraries, answers a child's questions
about them (`asking`), and keeps what is found out for all programs.

Time is limited for each order, memory for each process; one that has grown is replaced.
"""

import contextlib
import gc
import os
import socket
import stat
import sys
from functools import partial

import msgspec

from binsafe.formats import identify
from binsafe.intake import bounds, loading, parsing
from binsafe.intake.answers import claimed
from binsafe.intake.cached_answers import RecordingLibraries
from binsafe.intake.cached_programs import CachedProgram
from binsafe.intake.child import CAN_CONFINE, Broken, ConfinedChild, again, nonsense
from binsafe.intake.messages import Calls, Closed, Frame, Kind, Order, receive, send
from binsafe.intake.owners import is_systems_own
from binsafe.intake.summaries import here
from binsafe.limits import MAX_REPORT_BYTES

_OBJECTS_BETWEEN_COLLECTIONS = 200_000
"""Nearly all that is made here stays until the answer: to look for cycles in it takes a tenth of the time."""
_FILES_OF_SYSTEM = 64
"""That are parsed by one child, whose time and memory are limited as for one file; what breaks it is tried alone."""
_MAX_SHARED_BYTES = 16 * 1024**2
_STDERR = 2
"""The descriptor, where last words go."""


def main() -> None:
    """Carry out orders from the socket that is descriptor ``sys.argv[2]``; a status other than 0 says it broke."""
    bounds.end_with_parent()
    serve(socket.socket(fileno=int(sys.argv[2])))


def serve(connection: socket.socket) -> None:
    """Carry out orders until there are no more."""
    bounds.limit_memory()
    bounds.keep_freed_memory()
    gc.set_threshold(_OBJECTS_BETWEEN_COLLECTIONS)
    os.environ["OPENBLAS_NUM_THREADS"] = "1"  # numpy's linear algebra, never used here, starts its threads when loaded
    worker = _WorkerProcess(connection)
    with connection, contextlib.closing(worker), contextlib.suppress(Closed):
        while worker.carry_out(receive(connection, parsing.MAX_ORDER_BYTES)):
            pass


class _WorkerProcess:
    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._shared: ConfinedChild | None = None
        self._left = 0
        """How many files more the shared child may be given."""

    def close(self) -> None:
        """End the child that is shared."""
        shared, self._shared = self._shared, None
        if shared is not None:
            shared.close()

    def carry_out(self, frame: Frame) -> bool:
        """Answer an order; False where this process should not be given another one."""
        bounds.limit_time()
        _forget_last_words()
        try:
            answer = self._answer(frame)
        except Broken as broken:
            answer = Frame(Kind.ENDED, msgspec.msgpack.encode(broken.ending))
        finally:
            os.close(frame.descriptor)
        grown = bounds.has_grown()
        last = grown and answer.kind is Kind.REPORT
        send(self._connection, Kind.LAST if last else answer.kind, answer.payload)
        return not grown

    def _answer(self, frame: Frame) -> Frame:
        order = msgspec.msgpack.decode(frame.payload, type=Order)
        if order.only_syscalls and order.kept is not None and (known := self._known(order)) is not None:
            return Frame(Kind.REPORT, known)
        content = parsing.content(order, frame.descriptor)
        loading.load(order, content.head)
        if not CAN_CONFINE:
            from binsafe.intake.confining import confine
            from binsafe.intake.librarian import libraries

            send(self._connection, Kind.OPEN, msgspec.msgpack.encode(confine()))
            answer = parsing.carry_out(order, content, self._connection, partial(libraries, order, here))
            return Frame(Kind.REPORT, answer)
        if may_share(order, content) and (shared := self._parsed_by_shared(frame)) is not None:
            return shared
        return again(lambda: self._parsed(order, content))

    def _known(self, order: Order) -> bytes | None:
        """The answer, where all that it takes was kept of the program, whose bytes are not looked at; else None."""
        from binsafe.intake.librarian import libraries
        from binsafe.intake.summarising import Summariser

        own = CachedProgram(order.kept)
        with Summariser(in_system=order.root is None) as summarise:
            answer = own.answer if order.explain is None else None
            if own.needs is None:
                return None if answer is None else answer.payload
            if answer is not None and answer.holds(libraries(order, summarise, own.needs)):
                return answer.payload
            return self._composed(order, own, RecordingLibraries(libraries(order, summarise, own.needs, own)))

    def _composed(self, order: Order, own: CachedProgram, libraries: RecordingLibraries) -> bytes | None:
        """The answer that follows from summaries that were kept, which is kept as well; None where one is missing."""
        from binsafe import syscalls

        try:
            calls = syscalls.analyse_known(libraries, explain=order.explain)
        except syscalls.NotKept:
            return None
        answer = msgspec.json.encode(Calls(calls=calls))
        if order.explain is None:
            own.keep_answer(libraries.answer(answer))
            parsing.tell(own, self._connection)
        return answer

    def _parsed_by_shared(self, frame: Frame) -> Frame | None:
        """The answer of a child that parses files of the system one after the other; None where that breaks."""
        child = (self._shared if self._left else None) or self._new_shared()
        self._shared, self._left = None, self._left - 1  # only one that answers well is asked again
        try:
            child.say(Kind.ORDER, frame.payload, frame.descriptor)
            answer = child.hear(MAX_REPORT_BYTES)
        except (Broken, loading.Unloaded):
            answer = None
        if answer is None or answer.kind is not Kind.REPORT:
            child.close()
            return None
        self._shared = child
        return self._passed(answer, child)

    def _new_shared(self) -> ConfinedChild:
        self.close()
        self._left = _FILES_OF_SYSTEM
        return ConfinedChild(parsing.answer_orders)

    def _passed(self, answer: Frame, child: ConfinedChild) -> Frame:
        if child.gaps:
            send(self._connection, Kind.OPEN, child.gaps)
        return answer

    def _parsed(self, order: Order, content: parsing.Content) -> Frame:
        """The answer of a child that parses this alone; what else it says is passed on."""
        from binsafe.intake.asking import AskedLibraries
        from binsafe.intake.librarian import Librarian

        def work(connection: socket.socket) -> bytes:
            return parsing.carry_out(order, content, connection, partial(AskedLibraries, connection))

        with Librarian(order) as librarian, ConfinedChild(work, folder=content.folder) as child:
            while True:
                frame = child.hear(MAX_REPORT_BYTES)
                try:
                    if frame.kind is Kind.ASK:
                        child.say(Kind.ANSWER, librarian.answer(frame.payload))
                    elif frame.kind in {Kind.MEMBER, Kind.KEEP}:
                        send(self._connection, frame.kind, frame.payload)
                    elif frame.kind is Kind.REPORT and {*claimed(frame.payload)} <= {*librarian.resolved}:
                        return self._passed(frame, child)
                    else:
                        raise nonsense()
                except (ValueError, msgspec.MsgspecError):
                    raise nonsense() from None


def may_share(order: Order, content: parsing.Content) -> bool:
    """Whether a file may be parsed by a child that has parsed others: programs of the system, when nothing is kept."""
    return (
        not order.syscalls
        and not order.closure
        and content.head is not None
        and identify(content.head) == "elf"
        and order.artifact.size <= _MAX_SHARED_BYTES
        and is_systems_own(order.artifact.path)
    )


def _forget_last_words() -> None:
    """What one child said of its end is not said of the next one's."""
    if stat.S_ISREG(os.fstat(_STDERR).st_mode):
        os.ftruncate(_STDERR, 0)
        os.lseek(_STDERR, 0, os.SEEK_SET)
