"""Parsing of untrusted bytes: an order and its bytes -> the answer. Runs in a confined child (`child`).

What it finds out about a program is kept under that program's own hash, and each file has a child of its own: whatever
a hostile file makes of its parser, it can lie about itself only.

The parsers are imported where they are called: `loading` has loaded those that a file needs, under its child's limits.
"""

import mmap
import os
import socket
import stat
import time
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from binsafe.errors import NotAnalysable
from binsafe.formats import HEAD_BYTES, identify
from binsafe.intake.cached_answers import CachedAnswer, RecordingLibraries
from binsafe.intake.cached_programs import CachedProgram
from binsafe.intake.messages import Calls, Closed, Kind, Order, receive, send
from binsafe.limits import ARCHIVE_SECONDS, MAX_REPORT_BYTES

if TYPE_CHECKING:
    from binsafe.formats.elf_needs import Needs
    from binsafe.model import Report, Slice
    from binsafe.syscalls import Libraries

    Reach = Callable[[Needs, CachedProgram], Libraries]
    """What a program needs -> the libraries that it gets."""

MAX_ORDER_BYTES = MAX_REPORT_BYTES + (1 << 20)
"""What was kept of a program, which is as large as what is said of one at most, and the rest of an order."""


class Content(NamedTuple):
    """What is parsed: the bytes of a file, or an open folder."""

    data: memoryview = memoryview(b"")
    folder: int | None = None

    @property
    def head(self) -> bytes | None:
        """The first bytes; None of a folder."""
        return bytes(self.data[:HEAD_BYTES]) if self.folder is None else None


def content(order: Order, descriptor: int) -> Content:
    """The content behind an order's descriptor, which the caller keeps."""
    if stat.S_ISDIR(os.fstat(descriptor).st_mode):
        return Content(folder=descriptor)
    return Content(memoryview(mmap.mmap(descriptor, order.artifact.size, prot=mmap.PROT_READ)))


def carry_out(order: Order, content: Content, connection: socket.socket, reach: "Reach") -> bytes:
    """The answer to an order; ``reach`` gives the libraries of a program with some needs."""
    if content.folder is not None:
        return msgspec.json.encode(_folder(order, content.folder))
    if order.only_syscalls:
        return _system_calls(order, content.data, connection, reach)
    return msgspec.json.encode(_file(order, content.data, connection, reach))


def answer_orders(connection: socket.socket) -> bytes:
    """Carry out orders that come with descriptors until there are no more: the work of a child that is shared."""
    from binsafe.intake.asking import AskedLibraries

    while True:
        try:
            frame = receive(connection, MAX_ORDER_BYTES)
        except Closed:
            return b""
        order = msgspec.msgpack.decode(frame.payload, type=Order)
        data = os.pread(frame.descriptor, order.artifact.size, 0)  # who is confined can map no file
        os.close(frame.descriptor)
        answer = carry_out(order, Content(memoryview(data)), connection, partial(AskedLibraries, connection))
        send(connection, Kind.REPORT, answer)


def _folder(order: Order, descriptor: int) -> "Report":
    from binsafe.bundles import inspect_bundle, listing
    from binsafe.intake.folder import Folder
    from binsafe.intake.inspecting import refused

    try:
        folder = Folder(descriptor)
        artifact = msgspec.structs.replace(order.artifact, size=folder.size, sha256=listing(folder))
        return inspect_bundle(artifact, folder, syscalls=order.syscalls, listings=order.listings)
    except NotAnalysable as error:
        return refused(order.artifact, error)


def _system_calls(order: Order, data: memoryview, connection: socket.socket, reach: "Reach") -> bytes:
    own = CachedProgram(order.kept)
    libraries = _libraries(data, own, reach)
    recording = None if libraries is None else RecordingLibraries(libraries)
    from binsafe import formats, syscalls  # loads what takes programs apart

    try:
        slices = formats.parse(data).slices
    except NotAnalysable as error:
        return msgspec.json.encode(Calls(problem=str(error)))
    found = [syscalls.analyse(slice_, recording, explain=order.explain) for slice_ in slices]
    calls = next((calls for calls in found if calls is not None), None)
    answer = msgspec.json.encode(Calls(calls=calls, problem="" if calls is not None else _why_not(slices[0])))
    if calls is not None and order.explain is None:
        own.keep_answer(CachedAnswer(answer) if recording is None else recording.answer(answer))
    tell(own, connection)
    return answer


def _why_not(slice_: "Slice") -> str:
    """Why nothing is known of what the slice asks of the kernel, where nothing is."""
    if slice_.format == "pe":
        return "it is no program for Linux or macOS"
    if slice_.kind not in {"executable", "library"}:
        return f"it is no program that is ready to run, but of the kind {slice_.kind}"
    return f"it is for {slice_.arch}, and only programs for x86_64 and arm64 (little-endian, 64 bits) are analysed"


def tell(own: CachedProgram, connection: socket.socket) -> None:
    """Hand over what was found out about the program, for the next time."""
    payload = own.payload(MAX_REPORT_BYTES)
    if payload and len(payload) <= MAX_REPORT_BYTES:
        send(connection, Kind.KEEP, payload)


def _file(order: Order, data: memoryview, connection: socket.socket, reach: "Reach") -> "Report":
    from binsafe.inspection import inspect

    if identify(data) != "elf" and (answer := _archive(order, data, connection)) is not None:
        return answer
    own = CachedProgram(order.kept)
    report = inspect(
        order.artifact,
        data,
        syscalls=order.syscalls,
        listings=order.listings,
        explain=order.explain,
        libraries=_libraries(data, own, reach) if order.closure else None,
    )
    tell(own, connection)
    return report


def _archive(order: Order, data: memoryview, connection: socket.socket) -> "Report | None":
    """The report on an archive; None where it is none."""
    from binsafe import archives

    if not archives.is_archive(data):
        return None
    started = time.process_time()
    watch = archives.Watch(
        begin=lambda number: send(connection, Kind.MEMBER, str(number).encode()),
        broken=frozenset(order.skip),
        expired=lambda: time.process_time() - started > ARCHIVE_SECONDS,
    )
    return archives.inspect(order.artifact, data, syscalls=order.syscalls, listings=order.listings, watch=watch)


def _libraries(data: memoryview, own: CachedProgram, reach: "Reach") -> "Libraries | None":
    """The closure of an ELF program that loads libraries; None for everything else."""
    from binsafe.formats.elf_needs import needs
    from binsafe.syscalls.glibc import loads_services

    try:
        wanted = needs(data)
    except NotAnalysable:
        return None  # what is wrong with it is said by who parses it
    if wanted.dynamic is None and wanted.interpreter is None and not loads_services(data):
        return None
    own.needs = wanted
    return reach(wanted, own)
