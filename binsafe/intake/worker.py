"""The child process that parses: limits first, then the order from standard input, the report on standard output."""

import mmap
import resource
import sys

import msgspec

from binsafe.intake.inspecting import Order
from binsafe.limits import WORKER_BYTES, WORKER_SECONDS


def main() -> None:
    """Carry out one order. Whatever goes wrong ends this process with a status other than 0."""
    _limit(resource.RLIMIT_CPU, WORKER_SECONDS)
    _limit(resource.RLIMIT_AS, WORKER_BYTES)
    _limit(resource.RLIMIT_CORE, 0)
    order = msgspec.json.decode(sys.stdin.buffer.read(), type=Order)
    from binsafe.inspection import inspect  # noqa: PLC0415 - the parsers load under the limits, too

    mapped = mmap.mmap(order.descriptor, order.artifact.size, prot=mmap.PROT_READ)
    report = inspect(order.artifact, memoryview(mapped), syscalls=order.syscalls)
    sys.stdout.buffer.write(msgspec.json.encode(report))


def _limit(kind: int, value: int) -> None:
    hard = resource.getrlimit(kind)[1]
    value = value if hard == resource.RLIM_INFINITY else min(value, hard)
    try:
        resource.setrlimit(kind, (value, hard))
    except (OSError, ValueError):
        if sys.platform == "linux":  # macOS refuses RLIMIT_AS below what it has mapped already
            raise
