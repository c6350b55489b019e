"""The child process that parses: limits first, then orders over a socket until its parent has no more.

It stays alive between orders, because loading the parsers takes longer than parsing most files. Time is limited for
each order, memory for the process; one that has grown is replaced.
"""

import gc
import mmap
import os
import resource
import socket
import stat
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from binsafe.errors import NotAnalysable
from binsafe.intake.messages import Calls, Closed, Frame, Kind, Order, receive, send
from binsafe.intake.summaries import Own, Summaries, default_folder
from binsafe.limits import ARCHIVE_SECONDS, MAX_REPORT_BYTES, WORKER_BYTES, WORKER_KEPT_BYTES, WORKER_SECONDS

if TYPE_CHECKING:
    from binsafe.model import Report
    from binsafe.syscalls import Libraries

_MAX_ORDER_BYTES = MAX_REPORT_BYTES + (1 << 20)
"""What was kept of a program, which is as large as what is said of one at most, and the rest of an order."""
_OBJECTS_BETWEEN_COLLECTIONS = 200_000
"""Nearly all that is made here stays until the answer: to look for cycles in it takes a tenth of the time."""


def main() -> None:
    """Carry out orders from the socket that is descriptor ``sys.argv[2]``; a status other than 0 says it broke."""
    serve(socket.socket(fileno=int(sys.argv[2])))


def serve(connection: socket.socket) -> None:
    """Carry out orders until there are no more."""
    _limit(resource.RLIMIT_AS, WORKER_BYTES)
    _limit(resource.RLIMIT_CORE, 0)
    gc.set_threshold(_OBJECTS_BETWEEN_COLLECTIONS)
    os.environ["OPENBLAS_NUM_THREADS"] = "1"  # numpy's linear algebra, never used here, starts its threads when loaded
    with connection:
        while True:
            try:
                frame = receive(connection, _MAX_ORDER_BYTES)
            except Closed:
                return
            _limit(resource.RLIMIT_CPU, int(time.process_time()) + WORKER_SECONDS)
            report = _carry_out(frame, connection)
            grown = _peak_bytes() > WORKER_KEPT_BYTES
            send(connection, Kind.LAST if grown else Kind.REPORT, report)
            if grown:
                return


def _carry_out(frame: Frame, connection: socket.socket) -> bytes:
    order = msgspec.msgpack.decode(frame.payload, type=Order)
    if order.only_syscalls:
        return msgspec.json.encode(_system_calls(order, frame, connection))
    is_folder = stat.S_ISDIR(os.fstat(frame.descriptor).st_mode)
    return msgspec.json.encode(_folder(order, frame) if is_folder else _file(order, frame, connection))


def _folder(order: Order, frame: Frame) -> "Report":
    from binsafe.bundles import inspect_bundle, listing  # noqa: PLC0415 - the parsers load under the limits, too
    from binsafe.intake.folder import Folder  # noqa: PLC0415
    from binsafe.intake.inspecting import refused  # noqa: PLC0415

    try:
        folder = Folder(frame.descriptor)
        artifact = msgspec.structs.replace(order.artifact, size=folder.size, sha256=listing(folder))
        return inspect_bundle(artifact, folder, syscalls=order.syscalls, listings=order.listings)
    except NotAnalysable as error:
        return refused(order.artifact, error)
    finally:
        os.close(frame.descriptor)


def _system_calls(order: Order, frame: Frame, connection: socket.socket) -> Calls:
    from binsafe import syscalls  # noqa: PLC0415 - as above

    data = _mapped(order, frame)
    own = Own(order.kept)
    libraries = _libraries(order, data, own)
    if own and libraries is not None:
        return Calls(calls=syscalls.analyse_known(data, libraries, explain=order.explain))
    from binsafe import formats  # noqa: PLC0415 - loads what takes programs apart

    try:
        slices = formats.parse(data).slices
    except NotAnalysable as error:
        return Calls(problem=str(error))
    found = [syscalls.analyse(slice_, libraries, explain=order.explain) for slice_ in slices]
    _tell(own, connection)
    return Calls(calls=next((calls for calls in found if calls is not None), None), problem="it is no Linux program")


def _tell(own: Own, connection: socket.socket) -> None:
    """Hand over what was found out about the program, for the next time."""
    payload = own.payload() if own.is_new else b""
    if payload and len(payload) <= MAX_REPORT_BYTES:
        send(connection, Kind.KEEP, payload)


def _mapped(order: Order, frame: Frame) -> memoryview:
    try:
        return memoryview(mmap.mmap(frame.descriptor, order.artifact.size, prot=mmap.PROT_READ))
    finally:
        os.close(frame.descriptor)


def _file(order: Order, frame: Frame, connection: socket.socket) -> "Report":
    from binsafe import archives  # noqa: PLC0415 - as above
    from binsafe.inspection import inspect  # noqa: PLC0415

    data = _mapped(order, frame)
    if archives.is_archive(data):
        started = time.process_time()
        watch = archives.Watch(
            begin=lambda number: send(connection, Kind.MEMBER, str(number).encode()),
            broken=frozenset(order.skip),
            expired=lambda: time.process_time() - started > ARCHIVE_SECONDS,
        )
        return archives.inspect(order.artifact, data, syscalls=order.syscalls, listings=order.listings, watch=watch)
    own = Own(order.kept)
    report = inspect(
        order.artifact,
        data,
        syscalls=order.syscalls,
        listings=order.listings,
        explain=order.explain,
        libraries=_libraries(order, data, own) if order.closure else None,
    )
    _tell(own, connection)
    return report


def _libraries(order: Order, data: memoryview, own: Own) -> "Libraries | None":
    """The closure of an ELF program that loads libraries, read before the program is; None for everything else."""
    from binsafe.formats.elf_needs import needs  # noqa: PLC0415 - as above
    from binsafe.intake.libraries import Libraries  # noqa: PLC0415
    from binsafe.intake.tree import Tree  # noqa: PLC0415
    from binsafe.syscalls.patterns import loads_services  # noqa: PLC0415

    try:
        wanted = needs(data)
    except NotAnalysable:
        return None  # what is wrong with it is said by who parses it
    if wanted.dynamic is None and wanted.interpreter is None and not loads_services(data):
        return None
    tree = Tree(None if order.root is None else Path(order.root))
    libraries = Libraries(wanted, Path(order.artifact.path), tree, Summaries(default_folder()), own)
    for path in order.loaded:
        libraries.add_file(Path(path))
    if order.syscalls:
        libraries.members()
    return libraries


def _limit(kind: int, value: int) -> None:
    """Lower or raise the soft limit; the hard one stays, so that the next order can have more time."""
    hard = resource.getrlimit(kind)[1]
    value = value if hard == resource.RLIM_INFINITY else min(value, hard)
    try:
        resource.setrlimit(kind, (value, hard))
    except (OSError, ValueError):
        if sys.platform == "linux":  # macOS refuses RLIMIT_AS below what it has mapped already
            raise


def _peak_bytes() -> int:
    """The most memory that this program has had at once.

    Linux tells it of the address space, which began with our execve (``VmHWM``, proc(5)); its ``ru_maxrss`` keeps what
    whoever forked us had. macOS has only the latter, in bytes, and so have kernels that stand in for Linux (gVisor).
    """
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    if sys.platform == "darwin":
        return most
    return 1024 * _peak_of(Path("/proc/self/status").read_text(encoding="ascii", errors="replace"), most)


def _peak_of(status: str, otherwise: int) -> int:
    """What /proc/self/status says of it, in KiB; ``otherwise`` where it says nothing."""
    return next((int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM:")), otherwise)
