"""The child process that parses: limits first, then the order from standard input, the report on standard output."""

import mmap
import resource
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from binsafe.errors import NotAnalysable
from binsafe.intake.inspecting import Order
from binsafe.limits import WORKER_BYTES, WORKER_SECONDS

if TYPE_CHECKING:
    from binsafe.syscalls import Libraries


def main() -> None:
    """Carry out one order. Whatever goes wrong ends this process with a status other than 0."""
    _limit(resource.RLIMIT_CPU, WORKER_SECONDS)
    _limit(resource.RLIMIT_AS, WORKER_BYTES)
    _limit(resource.RLIMIT_CORE, 0)
    order = msgspec.json.decode(sys.stdin.buffer.read(), type=Order)
    from binsafe.inspection import inspect  # noqa: PLC0415 - the parsers load under the limits, too

    mapped = mmap.mmap(order.descriptor, order.artifact.size, prot=mmap.PROT_READ)
    data = memoryview(mapped)
    report = inspect(
        order.artifact,
        data,
        syscalls=order.syscalls,
        listings=order.listings,
        libraries=_libraries(order, data),
    )
    sys.stdout.buffer.write(msgspec.json.encode(report))


def _libraries(order: Order, data: memoryview) -> "Libraries | None":
    """The closure of a dynamic ELF program; None for everything else."""
    from binsafe.formats.elf_needs import needs  # noqa: PLC0415 - as above
    from binsafe.intake.libraries import Libraries  # noqa: PLC0415
    from binsafe.intake.tree import Tree  # noqa: PLC0415

    try:
        wanted = needs(data)
    except NotAnalysable:
        return None  # what is wrong with it is said by who parses it
    if wanted.dynamic is None:
        return None
    return Libraries(wanted, Path(order.artifact.path), Tree(None if order.root is None else Path(order.root)))


def _limit(kind: int, value: int) -> None:
    hard = resource.getrlimit(kind)[1]
    value = value if hard == resource.RLIM_INFINITY else min(value, hard)
    try:
        resource.setrlimit(kind, (value, hard))
    except (OSError, ValueError):
        if sys.platform == "linux":  # macOS refuses RLIMIT_AS below what it has mapped already
            raise
