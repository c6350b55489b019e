"""Targets through an executor: as many on their way as keep it busy, each outcome as soon as it is there."""

from collections.abc import Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait

import msgspec

from binsafe.scan.examining import Known, Options, Outcome, examine
from binsafe.scan.walking import Target


def scan(
    targets: Iterable[Target], executor: Executor, options: Options, *, window: int, known: Known | None = None
) -> Iterator[Outcome]:
    """The outcomes in the order in which they come; at most ``window`` targets are with the executor at any time.

    ``known`` is for an executor whose threads are this process's. A task that the executor itself lost (a machine of a
    cluster that went away) is tried once more, then reported as not analysed.
    """
    waiting = iter(targets)
    running: dict[Future[Outcome], tuple[Target, bool]] = {}

    def start(target: Target, *, again: bool = False) -> None:
        arguments = (target, options) if known is None else (target, options, known)
        running[executor.submit(examine, *arguments)] = (target, again)

    try:
        while True:
            while len(running) < window and (target := next(waiting, None)) is not None:
                start(target)
            if not running:
                return
            done, _ = wait(running, return_when=FIRST_COMPLETED)
            for future in done:
                target, again = running.pop(future)
                error = future.exception()
                if error is None:
                    yield future.result()
                elif not again:
                    start(target, again=True)
                else:
                    yield _lost(target, error)
    finally:
        for future in running:
            future.cancel()


def _lost(target: Target, error: BaseException) -> Outcome:
    blank = Outcome(path=target.path, size=target.size, changed=target.changed)
    return msgspec.structs.replace(blank, problem=f"not analysed: {type(error).__name__}: {str(error)[:300]}")
