"""Targets through an executor: as many on their way as keep it busy, each outcome as soon as it is there."""

from collections.abc import Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from queue import Empty, SimpleQueue
from threading import Thread

import msgspec

from binsafe.scan.examining import Known, Options, Outcome, about, examine
from binsafe.scan.walking import Target

_GLANCE = 0.1
"""Seconds between two looks at a walk that has nothing for us yet."""


def scan(
    targets: Iterable[Target], executor: Executor, options: Options, *, window: int, known: Known | None = None
) -> Iterator[Outcome]:
    """The outcomes in the order in which they come; at most ``window`` targets are with the executor at any time.

    ``targets`` are taken in a thread of its own, so that a walk that finds nothing for a while holds up no outcome.
    ``known`` is for an executor whose threads are this process's. A task that the executor itself lost (a machine of a
    cluster that went away) is tried once more, then reported as not analysed.
    """
    ahead = _Ahead(targets)
    running: dict[Future[Outcome], tuple[Target, bool]] = {}

    def start(target: Target, *, again: bool = False) -> None:
        running[executor.submit(examine, target, options, known)] = (target, again)

    try:
        while running or not ahead.ended:
            while len(running) < window and (target := ahead.next(wait=not running)) is not None:
                start(target)
            done, _ = wait(running, timeout=None if ahead.ended else _GLANCE, return_when=FIRST_COMPLETED)
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


class _Ahead:
    """Takes all of an iterable in a thread, as fast as it comes."""

    def __init__(self, targets: Iterable[Target]) -> None:
        self.ended = False
        """Whether all have been given out."""
        self._queue = SimpleQueue[Target | BaseException | None]()
        Thread(target=self._take, args=(targets,), name="walk", daemon=True).start()

    def next(self, *, wait: bool) -> Target | None:
        """The next one; None where there is none yet, or none any more. What the iterable raised is raised here."""
        if self.ended:
            return None
        try:
            found = self._queue.get(block=wait)
        except Empty:
            return None
        self.ended = not isinstance(found, Target)
        if isinstance(found, BaseException):
            raise found
        return found

    def _take(self, targets: Iterable[Target]) -> None:
        try:
            for target in targets:
                self._queue.put(target)
        except BaseException as error:  # noqa: BLE001 - raised where the targets are asked for
            self._queue.put(error)
        else:
            self._queue.put(None)


def _lost(target: Target, error: BaseException) -> Outcome:
    return msgspec.structs.replace(about(target), problem=f"not analysed: {type(error).__name__}: {str(error)[:300]}")
